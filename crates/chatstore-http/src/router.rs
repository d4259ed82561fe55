//! Which path leads to which handler.

use axum::Router;
use axum::routing::{any, get};
use chatstore::Store;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::description::complete;
use crate::error::Problem;
use crate::metrics::Metrics;
use crate::middleware::{boundary, panicked};
use crate::openapi::Description;
use crate::origin::TrustedProxies;
use crate::routes::conversations::{self, members, thread};
use crate::routes::messages::{self, replies};
use crate::routes::users::{self, me};
use crate::routes::{api_keys, auth, docs, export, health, metrics, sessions, usage};
use crate::state::{AppState, Policy};

/// The API over this store: everything under `/api/v1`, and `/healthz`, `/readyz`, `/openapi.json` and `/docs`.
///
/// It has no fallback of its own, so it can be merged into another application as well as nested in one;
/// unknown paths under `/api/v1` are nevertheless answered here.
pub fn router(store: Store) -> Router {
    Api::new(store).router()
}

/// The API over a store, with what can be chosen about it.
#[derive(Debug, Clone)]
pub struct Api {
    store: Store,
    policy: Policy,
    metrics: Metrics,
}

impl Api {
    /// The API as [`router`] gives it.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, policy: Policy::default(), metrics: Metrics::default() }
    }

    /// Whether requests without credentials may make conversations, which belong to the built-in user, and
    /// read those by their ids; off when nothing is said.
    #[must_use]
    pub fn anonymous(mut self, is_on: bool) -> Self {
        self.policy.takes_anonymous = is_on;
        self
    }

    /// Whether anybody may register; off when nothing is said.
    #[must_use]
    pub fn registration(mut self, is_on: bool) -> Self {
        self.policy.takes_registrations = is_on;
        self
    }

    /// The proxies whose word about the client's address is believed; none when nothing is said.
    ///
    /// The address of the connection itself is known where [`serve`](crate::serve) serves, and elsewhere from
    /// axum's `into_make_service_with_connect_info`.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.policy.proxies = proxies;
        self
    }

    /// How many requests each user may send from each address in a minute; any number when nothing is said.
    #[must_use]
    pub fn requests_a_minute(mut self, count: Option<u32>) -> Self {
        self.policy.requests_a_minute = count;
        self
    }

    /// The routes; see [`router`].
    pub fn router(&self) -> Router {
        let (routes, openapi) = routes().split_for_parts();
        let openapi = complete(openapi);
        // A document of plain structs always becomes JSON.
        let openapi = openapi.to_json().unwrap_or_default();
        finish(routes, self.state(openapi))
    }

    /// `/metrics`, in the text format of Prometheus: what all routers of this API counted. For a listener
    /// that only the operator reaches.
    pub fn metrics_router(&self) -> Router {
        Router::new().route("/metrics", get(metrics::get)).with_state(self.state(String::new()))
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
    let v1 = OpenApiRouter::new()
        .routes(routes!(conversations::list::list, conversations::create))
        .routes(routes!(conversations::list::count))
        .routes(routes!(conversations::get, conversations::change, conversations::delete))
        .routes(routes!(thread::get, thread::put, thread::change, thread::delete))
        .routes(routes!(members::list))
        .routes(routes!(members::put, members::remove))
        .routes(routes!(messages::list::list, messages::append))
        .routes(routes!(messages::get, messages::change, messages::delete))
        .routes(routes!(replies::create))
        .routes(routes!(replies::get_response))
        .routes(routes!(usage::list))
        .routes(routes!(users::list::list, users::create))
        .routes(routes!(me::get, me::change, me::erase))
        .routes(routes!(export::export))
        .routes(routes!(users::get, users::change, users::erase))
        .routes(routes!(users::put_by_email))
        .routes(routes!(api_keys::any::list, api_keys::any::create))
        .routes(routes!(api_keys::any::revoke))
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::logout_all))
        .routes(routes!(auth::change_password))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::withdraw))
        .routes(routes!(api_keys::own::list, api_keys::own::create))
        .routes(routes!(api_keys::own::revoke))
        .route("/", any(unknown))
        .route("/{*unknown}", any(unknown));
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(docs::document))
        .route("/docs", get(docs::index))
        .route("/docs/", get(docs::page))
        .route("/docs/{*name}", get(docs::part))
        .nest("/api/v1", v1)
}

/// Puts around the routes what every request passes.
fn finish(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn_with_state(state.clone(), boundary))
        .with_state(state)
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

    /// What was logged.
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

    // One test for both: another one beside it that logs without a subscriber could switch the event off.
    #[tokio::test]
    async fn a_panic_fails_one_request_and_is_logged_once_with_its_cause() {
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
        for part in ["ERROR", "request.id=\"r-1\"", "response.status=500", "a secret of the server"] {
            assert!(lines[0].contains(part), "{part}: {lines:?}");
        }
    }
}
