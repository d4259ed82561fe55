//! A help desk that embeds chatstore: it has a table of its own, writes into it and into the store in one transaction,
//! mounts the HTTP API below `/chat`, and lets users in by its own login.
//!
//! The login is that of a proxy, which names the user of each request in `X-Forwarded-Email` and removes what clients
//! send there.
//!
//! ```sh
//! cargo run -p chatstore-http --example embed
//! curl -s -H 'X-Forwarded-Email: ada@example.org' -H 'Content-Type: application/json' \
//!      -d '{"subject": "Printer", "text": "It prints nothing."}' http://127.0.0.1:8080/tickets
//! curl -s -H 'X-Forwarded-Email: ada@example.org' http://127.0.0.1:8080/chat/api/v1/conversations
//! ```

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use chatstore::sql::{Sql, Value};
use chatstore::{Conversation, ConversationId, NewConversation, NewMessage, Store, StoreError, Via};
use chatstore_http::ActingUser;
use serde::{Deserialize, Serialize};

/// The desk's own table, beside those of the store. An id is 16 bytes in SQLite.
const CREATE_TABLE: Sql = Sql::pair(
    "desk_create_table",
    "create table if not exists desk_tickets (
        conversation_id blob primary key, customer_id blob not null, state text not null
    ) strict",
    "create table if not exists desk_tickets (
        conversation_id uuid primary key, customer_id uuid not null, state text not null
    )",
);

const INSERT_TICKET: Sql = Sql::same(
    "desk_insert_ticket",
    "insert into desk_tickets (conversation_id, customer_id, state) values ($1, $2, $3)",
);

const LIST_TICKETS: Sql = Sql::same(
    "desk_list_tickets",
    "select ticket.conversation_id, conversation.title, ticket.state
    from desk_tickets as ticket
    join conversations as conversation
      on conversation.owner_id = ticket.customer_id and conversation.id = ticket.conversation_id
    where ticket.customer_id = $1
    order by conversation.created_at",
);

/// How often what expired is deleted, and how long events are kept.
const MAINTAIN_EVERY: Duration = Duration::from_secs(15 * 60);
const EVENTS_KEPT: Duration = Duration::from_secs(90 * 86_400);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::connect("sqlite://desk.db").await?;
    // The store's tables first: it takes no database that has other tables already.
    store.migrate().await?;
    create_table(&store).await?;
    tokio::spawn(maintain(store.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    let stopped = async {
        // Without the signal the desk runs until it is killed.
        let _ = tokio::signal::ctrl_c().await;
    };
    chatstore_http::serve(listener, desk(store.clone()), stopped).await?;
    store.close().await;
    Ok(())
}

/// The desk: its own routes, and the API for its pages to read and write the messages of a ticket.
pub(crate) fn desk(store: Store) -> Router {
    Router::new()
        .route("/tickets", get(tickets).post(open_ticket))
        .with_state(store.clone())
        .nest("/chat", chatstore_http::router(store.clone()))
        .layer(from_fn_with_state(store, let_in))
}

/// Creates the desk's table where it does not exist.
pub(crate) async fn create_table(store: &Store) -> Result<(), StoreError> {
    store.write("desk_create_table", async |tx| tx.execute(&CREATE_TABLE, &[]).await).await?;
    Ok(())
}

async fn maintain(store: Store) {
    let mut ticks = tokio::time::interval(MAINTAIN_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = store.maintain(Some(EVENTS_KEPT)).await {
            tracing::warn!(%error, "what expired was not deleted");
        }
    }
}

/// Says to the API and to the desk's own routes whose request it is.
async fn let_in(State(store): State<Store>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get("x-forwarded-email").and_then(|value| value.to_str().ok());
    let Some(email) = header.map(str::to_owned) else { return StatusCode::UNAUTHORIZED.into_response() };
    match store.users().get_or_create_by_email(&email).await {
        Ok((user, _is_new)) => {
            request.extensions_mut().insert(ActingUser(user.id));
            next.run(request).await
        }
        Err(error) => Failure(error).into_response(),
    }
}

/// What a customer asks for help with.
#[derive(Debug, Deserialize)]
struct NewTicket {
    subject: String,
    text: String,
}

/// A ticket in a list.
#[derive(Debug, Serialize)]
struct Ticket {
    conversation_id: ConversationId,
    subject: Option<String>,
    state: String,
}

/// Opens a ticket: its conversation, the first message in it and the desk's own row are committed together or not at all.
async fn open_ticket(
    State(store): State<Store>,
    Extension(ActingUser(customer)): Extension<ActingUser>,
    Json(NewTicket { subject, text }): Json<NewTicket>,
) -> Result<(StatusCode, Json<Conversation>), Failure> {
    let opened = store
        .write("desk_open_ticket", async move |tx| {
            let conversation =
                tx.conversations().create(customer, &NewConversation::titled(subject.clone())).await?;
            tx.messages()
                .append(Via::Owner(customer), conversation.id, &NewMessage::user(text.clone()))
                .await?;
            let values =
                [Value::Uuid(conversation.id.uuid()), Value::Uuid(customer.uuid()), Value::Text("open")];
            tx.execute(&INSERT_TICKET, &values).await?;
            Ok::<_, StoreError>(conversation)
        })
        .await;
    let conversation = opened.map_err(|error| Failure(error.into()))?;
    // Serialized as the API shows it.
    Ok((StatusCode::CREATED, Json(conversation)))
}

async fn tickets(
    State(store): State<Store>,
    Extension(ActingUser(customer)): Extension<ActingUser>,
) -> Result<Json<Vec<Ticket>>, Failure> {
    let list = store
        .read("desk_tickets", async move |tx| {
            tx.query(&LIST_TICKETS, &[Value::Uuid(customer.uuid())], |row| {
                Ok(Ticket { conversation_id: row.next()?, subject: row.next()?, state: row.next()? })
            })
            .await
        })
        .await;
    list.map(Json).map_err(|error: StoreError| Failure(error.into()))
}

/// An error of the store as an answer of the desk.
#[derive(Debug)]
struct Failure(chatstore::Error);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(error) = self;
        match error.kind() {
            chatstore::ErrorKind::Invalid => {
                (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response()
            }
            _ => {
                tracing::error!(%error, "the store failed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
