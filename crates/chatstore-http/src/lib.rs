//! The HTTP API of chatstore: a router to serve on its own or to mount into another application.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = chatstore::Store::connect("sqlite://chat.db").await?;
//! let app = axum::Router::new().nest("/chat", chatstore_http::router(store));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! chatstore_http::serve(listener, app, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it must not know
//! SQL, a driver or a storage error: it calls the services of [`chatstore`] and sees of their failures only
//! [`chatstore::ErrorKind`]. It reads neither the environment nor the machine's clock.
//!
//! # How a request passes
//! `middleware` gives it an id, and turns every failure into a problem document, logged there and nowhere else.
//! The layer that `router` declares for the route buffers the body and bounds the number of concurrent requests;
//! `admission` rejects the rest (503). The extractors in `caller`, `path`, `query`, `condition` and `body` reject
//! invalid requests in the order of the handler's arguments: the caller first (401, 403), then path and query, then
//! the body (400, 413, 415, 422). Only then a handler looks for objects (404) and checks what the caller may do with
//! them (403, 412, 409).
//!
//! # To add a route
//! 1. In `routes/<resource>.rs` write what is read from a request with `request_object!` (or as a `query::FromParameters`),
//!    the answer's struct with `Serialize`, and the handler with `#[utoipa::path]`; choose the group of problems it
//!    can answer from `openapi`.
//! 2. Name the handler in `router.rs`, in the group of its callers and its admission.
//! 3. Write its transcripts in `tests/` and refresh `openapi.json`:
//!    `cargo run -p chatstore-http --example openapi > crates/chatstore-http/openapi.json`.

mod accept;
mod admission;
mod answer;
mod body;
mod budget;
mod caller;
mod client;
mod condition;
mod description;
mod error;
mod fields;
mod header_names;
mod metrics;
mod middleware;
mod openapi;
mod origins;
mod pace;
mod path;
mod position;
mod query;
mod rate_limit;
mod repetitions;
mod request;
mod router;
mod routes;
mod schema;
mod serve;
mod shares;
mod state;

pub use caller::ActingUser;
pub use client::{InvalidProxies, TrustedProxies};
pub use metrics::{MetricDescription, MetricKind, metric_descriptions};
pub use origins::{AllowedOrigins, InvalidOrigins};
pub use router::{Api, openapi, router};
pub use serve::{ConnectionCounts, ServeOptions, serve, serve_with};
