//! The routes of the API: which path leads to which handler, and how its requests are admitted.

use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use chatstore::{Store, limits};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::body::{BodyLimit, DATA_BYTES};
use crate::caller::CredentialsRequired;
use crate::client::TrustedProxies;
use crate::description::{add_acting_user, below_thread, complete};
use crate::error::Problem;
use crate::metrics::Metrics;
use crate::middleware::{
    CountedFor, panicked, request_context, run_with_password_capacity, run_with_permit, with_security_headers,
};
use crate::openapi::Description;
use crate::origins::AllowedOrigins;
use crate::path::API;
use crate::routes::conversations::{self, members, thread};
use crate::routes::messages::{self, replies};
use crate::routes::users::{self, me};
use crate::routes::{
    ai_cache, api_keys, auth, docs, documents, export, front_page, health, logs, metrics, sessions,
    shared_cache, usage,
};
use crate::serve::ConnectionCounts;
use crate::state::{AppState, Policy};

/// The API over this store: everything under `/api/v1`, and `/healthz`, `/readyz`, `/openapi.json` and `/docs`.
///
/// It has no fallback of its own, so it can be merged into another application as well as nested in one;
/// unknown paths under `/api/v1` are nevertheless answered here.
pub fn router(store: Store) -> Router {
    Api::new(store).router()
}

/// The API over a store, with its options.
#[derive(Debug, Clone)]
pub struct Api {
    store: Store,
    policy: Policy,
    metrics: Metrics,
}

impl Api {
    /// The API as [`router`] returns it.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let metrics = Metrics::new(&store);
        Self { store, policy: Policy::default(), metrics }
    }

    /// Whether requests without credentials may create conversations, which belong to the built-in user, and
    /// read those by their ids; off by default.
    #[must_use]
    pub fn anonymous(mut self, is_on: bool) -> Self {
        self.policy.takes_anonymous = is_on;
        self
    }

    /// Whether clients may register; off by default.
    #[must_use]
    pub fn registration(mut self, is_on: bool) -> Self {
        self.policy.takes_registrations = is_on;
        self
    }

    /// The proxies that are trusted to name the client's address; none by default.
    ///
    /// The address of the connection itself is known where [`serve`](crate::serve) serves, and elsewhere from
    /// axum's `into_make_service_with_connect_info`.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.policy.proxies = proxies;
        self
    }

    /// How many requests each user may send from each address in a minute; unlimited by default.
    #[must_use]
    pub fn requests_a_minute(mut self, count: Option<u32>) -> Self {
        self.policy.requests_a_minute = count;
        self
    }

    /// The origins whose pages may use the API from a browser; none by default. For others browsers refuse what their
    /// pages want to send or read.
    #[must_use]
    pub fn allowed_origins(mut self, origins: AllowedOrigins) -> Self {
        self.policy.origins = origins;
        self
    }

    /// Whether `/openapi.json` and `/docs` are served; they are by default.
    #[must_use]
    pub fn description(mut self, is_served: bool) -> Self {
        self.policy.hides_description = !is_served;
        self
    }

    /// Whether `/` answers with a page that says what this is; it does not by default, so that the router can be merged
    /// into an application with a page of its own.
    #[must_use]
    pub fn front_page(mut self, is_served: bool) -> Self {
        self.policy.has_front_page = is_served;
        self
    }

    /// The maximum size of a body with messages or a reply in bytes, from 1 MiB to 64 MiB; 16 MiB by default. Bodies
    /// with documents have the limit of the store, all others at most 1 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.policy.max_body = bytes.clamp(DATA_BYTES, limits::PARTS_BYTES);
        self
    }

    /// The routes; see [`router`].
    pub fn router(&self) -> Router {
        let hidden = || routes_beside(OpenApiRouter::new());
        let routes = if self.policy.hides_description { hidden() } else { routes() };
        let (mut routes, openapi) = routes.split_for_parts();
        if self.policy.has_front_page {
            routes = routes.route("/", get(front_page::get));
        }
        let openapi = complete(openapi);
        // A document of plain structs always becomes JSON.
        let openapi = openapi.to_json().unwrap_or_default();
        finish(routes, self.state(openapi))
    }

    /// `/metrics`, in the text format of Prometheus, of all routers of this API, and `/healthz` and `/readyz`, which no
    /// client keeps from being answered there. For a listener that only the operator reaches.
    pub fn metrics_router(&self) -> Router {
        let routes = Router::new()
            .route("/metrics", get(metrics::get))
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .with_state(self.state(String::new()));
        routes.layer(map_response(with_security_headers))
    }

    /// Where a server counts its connections for these metrics: [`ServeOptions::counts`](crate::ServeOptions::counts).
    #[must_use]
    pub fn connection_counts(&self) -> ConnectionCounts {
        self.metrics.connections().clone()
    }

    fn state(&self, openapi: String) -> AppState {
        AppState::new(self.store.clone(), openapi, self.policy.clone(), self.metrics.clone())
    }
}

/// The description of the API, as `/openapi.json` serves it.
#[must_use]
pub fn openapi() -> OpenApi {
    complete(routes().into_openapi())
}

/// The routes and their description.
fn routes() -> OpenApiRouter<AppState> {
    let description = OpenApiRouter::new()
        .routes(routes!(docs::document))
        .route("/docs", get(docs::index))
        .route("/docs/", get(docs::page))
        .route("/docs/{*name}", get(docs::part));
    routes_beside(description)
}

/// The same with other routes in place of those that show the description.
fn routes_beside(description: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .merge(description)
        .nest(API, api())
}

/// The routes of the API, each with its admission. Health, description and documentation have none: they are
/// answered however busy the server is.
fn api() -> OpenApiRouter<AppState> {
    let unknown = OpenApiRouter::new().route("/", any(unknown)).route("/{*unknown}", any(unknown));
    let with_permit =
        |limit, routes: OpenApiRouter<AppState>| routes.layer(from_fn_with_state(limit, run_with_permit));
    let routes = with_permit(BodyLimit::Data, acting(data()).merge(administration()).merge(unknown))
        .merge(with_permit(BodyLimit::Messages, acting(messages())))
        .merge(with_permit(BodyLimit::Documents, acting(documents())))
        .merge(with_permit(BodyLimit::Credentials, account()));
    let logins = logins().layer(from_fn_with_state(CountedFor::Address, run_with_password_capacity));
    let passwords = passwords().layer(from_fn_with_state(CountedFor::User, run_with_password_capacity));
    routes.merge(logins).merge(passwords)
}

/// Routes on which a service key acts for the user that a header names.
fn acting(mut routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    add_acting_user(routes.get_openapi_mut());
    routes
}

/// Routes for the data of users, beside their messages and documents.
fn data() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(conversations::list::list, conversations::create, conversations::list::delete))
        .routes(routes!(conversations::list::count))
        .routes(routes!(conversations::get, conversations::change, conversations::delete))
        .routes(routes!(thread::get, thread::put, thread::change, thread::delete))
        .merge(below_conversations([
            routes!(members::list),
            routes!(members::put, members::remove),
            routes!(replies::get_response),
            routes!(conversations::copies::copy),
        ]))
        .routes(routes!(logs::list::list, logs::create))
        .routes(routes!(logs::get))
        .routes(routes!(usage::list))
        .routes(routes!(ai_cache::get, ai_cache::put, ai_cache::delete))
        .routes(routes!(me::get, me::change, me::erase))
        .routes(routes!(export::export))
}

/// Routes that take messages.
fn messages() -> OpenApiRouter<AppState> {
    let below_conversations = below_conversations([
        routes!(
            messages::list::list,
            messages::append::append,
            messages::replace::replace,
            messages::remove::clear
        ),
        routes!(messages::remove::pop),
        routes!(messages::replace_suffix::replace_suffix),
        routes!(messages::get, messages::append::put, messages::change, messages::delete),
        routes!(replies::create),
    ]);
    let own = routes!(messages::own::get, messages::own::change, messages::own::delete);
    below_conversations.routes(own).routes(routes!(ai_cache::hash))
}

/// Routes that take documents.
fn documents() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(documents::list::list, documents::create))
        .routes(routes!(documents::list::count))
        .routes(routes!(documents::get, documents::change, documents::delete))
}

/// Routes below a conversation, each of them twice: by the id of the conversation, and by the application's own id of
/// one of the caller's conversations.
fn below_conversations(
    below_conversation: impl IntoIterator<Item = UtoipaMethodRouter<AppState>>,
) -> OpenApiRouter<AppState> {
    let mut routes = OpenApiRouter::new();
    for (schemas, paths, handlers) in below_conversation {
        let of_thread = handlers.clone().layer(Extension(CredentialsRequired));
        routes = routes.routes((schemas.clone(), below_thread(paths.clone()), of_thread));
        routes = routes.routes((schemas, paths, handlers));
    }
    routes
}

/// Routes for the sessions and keys of users, who need credentials of their own.
fn account() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::logout_all))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::revoke))
        .routes(routes!(api_keys::own::list, api_keys::own::create))
        .routes(routes!(api_keys::own::revoke))
        .routes(routes!(api_keys::own::rotate))
        .routes(routes!(api_keys::current::get))
        .routes(routes!(api_keys::current::rotate))
}

/// Routes that verify or hash a password of a user who is not known yet.
fn logins() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(auth::register)).routes(routes!(auth::login))
}

/// Routes that verify or hash the password of the current user.
fn passwords() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(auth::change_password)).routes(routes!(auth::confirm))
}

/// Routes for administrators, and for service keys that act for no user.
fn administration() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(users::list::list, users::create))
        .routes(routes!(users::get, users::change, users::erase))
        .routes(routes!(users::put_by_email))
        .routes(routes!(api_keys::any::list, api_keys::any::create))
        .routes(routes!(api_keys::any::revoke))
        .routes(routes!(logs::list::list_all))
        .routes(routes!(shared_cache::get))
        .routes(routes!(shared_cache::users::get, shared_cache::users::delete))
        .routes(routes!(shared_cache::sessions::list, shared_cache::sessions::delete_all))
        .routes(routes!(shared_cache::sessions::get, shared_cache::sessions::delete))
}

/// Adds the layers that every request passes.
fn finish(routes: Router<AppState>, state: AppState) -> Router {
    let origins = state.policy().origins.layer();
    let routes = routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), request_context))
        .with_state(state);
    match origins {
        // The outermost, so that pages also read what is refused, and the question whether they may is not counted.
        Some(origins) => routes.layer(origins),
        None => routes,
    }
}

async fn unknown() -> Problem {
    Problem::not_found()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    /// The lines of the log.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        }

        fn collect(&self) -> tracing::subscriber::DefaultGuard {
            let log = self.clone();
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone());
            tracing::subscriber::set_default(subscriber.finish())
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    async fn answer(router: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).header("X-Request-Id", "r-1").body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn panicking() -> Router {
        let store = Store::memory().await.unwrap();
        let routes = Router::new()
            .route("/panic", get(async || -> &'static str { panic!("a secret of the server") }))
            .route("/fine", get(async || "fine"));
        finish(routes, AppState::new(store, String::new(), Policy::default(), Metrics::default()))
    }

    // One test for both: a concurrent test that logs without a subscriber could disable the event.
    #[tokio::test]
    async fn a_panic_fails_one_request_and_is_logged_once_with_its_cause_however_often_it_comes() {
        let router = panicking().await;
        let log = Log::default();
        let _collecting = log.collect();
        let (status, body) = answer(&router, "/panic").await;
        assert_eq!(status, 500);
        assert!(body.contains("urn:chatstore:problem:internal") && body.contains("r-1"), "{body}");
        assert!(!body.contains("secret"), "{body}");
        assert_eq!(answer(&router, "/fine").await, (200, "fine".to_owned()));
        assert_eq!(answer(&router, "/nothing").await.0, 404);
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        for _ in 0..100 {
            assert_eq!(answer(&router, "/panic").await.0, 500);
        }
        assert_eq!(log.lines().len(), 1, "a failure that repeats itself is counted");
        for part in ["ERROR", "request.id=\"r-1\"", "response.status=500", "a secret of the server"] {
            assert!(lines[0].contains(part), "{part}: {lines:?}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_kept_in_the_log_of_the_store() {
        let store = Store::builder("sqlite://:memory:").event_log(true).connect().await.unwrap();
        store.migrate().await.unwrap();
        let routes = Router::new().route("/panic/{id}", get(async || -> &'static str { panic!("a secret") }));
        let state = AppState::new(store.clone(), String::new(), Policy::default(), Metrics::default());
        assert_eq!(answer(&finish(routes, state), "/panic/jane").await.0, 500);
        while store.event_log().counts().stored == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let list = chatstore::LogList::default();
        let page = store.event_log().page(chatstore::LogOwner::Everyone, list).await.unwrap();
        let event = &page.items[0];
        assert_eq!(
            (event.event.as_str(), event.level),
            ("server.request_failed", chatstore::LogLevel::Error)
        );
        assert_eq!((event.user_id, event.request_id.as_deref()), (chatstore::UserId::ANONYMOUS, Some("r-1")));
        let data = r#"{"method":"GET","problem":"internal","route":"/panic/{id}","status":500}"#;
        assert_eq!(event.data.as_str(), data);
    }

    #[tokio::test]
    async fn a_route_keeps_its_admission_wherever_it_is() {
        let store = Store::memory().await.unwrap();
        let state = AppState::new(store, String::new(), Policy::default(), Metrics::default());
        let (routes, openapi) = OpenApiRouter::new().nest("/elsewhere/v2", api()).split_for_parts();
        let router = finish(routes, state.clone());
        let mut permits = Vec::new();
        while let Ok(permit) = state.admission().acquire().await {
            permits.push(permit);
        }
        let status = async |path: &str, method: &str| {
            let request = Request::builder().method(method).uri(path.replace(['{', '}'], "_"));
            router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
        };
        let mut admitted = Vec::new();
        for (path, item) in &openapi.paths.paths {
            for (method, operation) in [
                ("GET", &item.get),
                ("PUT", &item.put),
                ("POST", &item.post),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ] {
                if operation.is_some() && status(path, method).await != 503 {
                    admitted.push(path.strip_prefix("/elsewhere/v2").unwrap());
                }
            }
        }
        assert_eq!(admitted, ["/auth/confirm", "/auth/login", "/auth/password", "/auth/register"]);
        assert_eq!(status("/elsewhere/v2/nothing", "GET").await, 503);
    }
}
