//! What this is, for those who open the address of the server itself.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use crate::path::BasePath;
use crate::state::AppState;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The server, for programs.
#[derive(Debug, Serialize)]
struct About {
    name: &'static str,
    version: &'static str,
    api: String,
    /// Absent where they are not served.
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openapi: Option<String>,
}

/// A page, or JSON for a client that asks for it.
pub(crate) async fn get(State(state): State<AppState>, base_path: BasePath, headers: HeaderMap) -> Response {
    let description = |path| Some(base_path.root(path)).filter(|_| !state.policy().hides_description);
    let about = About {
        name: "chatstore",
        version: VERSION,
        api: base_path.path(""),
        docs: description("/docs"),
        openapi: description("/openapi.json"),
    };
    let mut answer =
        if wants_json(&headers) { Json(about).into_response() } else { Html(page(&about)).into_response() };
    answer.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
    answer
}

/// Whether JSON is named and pages are not: browsers name both.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let types: Vec<&str> = accepted
        .flat_map(|value| value.split(','))
        .filter_map(|one| one.split(';').next())
        .map(str::trim)
        .collect();
    types.contains(&"application/json") && !types.contains(&"text/html")
}

fn page(about: &About) -> String {
    let links: String = [(&about.docs, "Try every route"), (&about.openapi, "The description for programs")]
        .into_iter()
        .filter_map(|(path, text)| Some((escaped(path.as_ref()?), text)))
        .map(|(path, text)| format!("<li><a href=\"{path}\">{text}</a>\n"))
        .collect();
    let links = if links.is_empty() { links } else { format!("<ul>\n{links}</ul>\n") };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>chatstore</title>\n\
         <h1>chatstore {VERSION}</h1>\n\
         <p>This server stores the conversations of applications. It is used by programs, at <code>{api}</code>, with \
         an API key or an access token.</p>\n{links}</html>\n",
        api = escaped(&about.api),
    )
}

/// Where another application mounts the router may depend on what its client wrote.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
