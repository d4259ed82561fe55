//! One document, or a batch of new ones: created, read, changed, deleted.

pub(crate) mod list;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chatstore::fields::{DOCUMENT_CONTENT, DOCUMENT_TITLE, DOCUMENTS, METADATA};
use chatstore::{CanonicalJson, DocumentPatch, Invalid, NewDocument, Valid};
use serde::Serialize;
use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::body::{IdempotentBody, ValidBody};
use crate::caller::Caller;
use crate::condition::{IdempotencyKeyHeader, IfMatch, IfNoneMatch};
use crate::error::Problem;
use crate::fields::{Fields, RequestBody};
use crate::openapi::{BodyProblems, ConditionProblem, ConflictProblem, DeleteProblems, ReadProblems};
use crate::path::{BasePath, DocumentPath, Path};
use crate::query::{NoParameters, Query};
use crate::request::{NamedSchema, ReadFields, RequestObject};
use crate::routes::REPLACES_METADATA;
use crate::routes::responses::{DocumentResponse, created_once};
use crate::schema::request_object;

request_object! {
    /// A document to be created.
    CreateDocument: NewDocument = read_create_document, {
        "title": "Manual", "content": {"kind": "manual", "pages": []}, "metadata": {"source": "upload"}
    }
}

fn read_create_document(fields: &mut impl ReadFields) -> NewDocument {
    NewDocument {
        title: fields.optional(&DOCUMENT_TITLE),
        content: fields.required(&DOCUMENT_CONTENT),
        metadata: fields.given(&METADATA).unwrap_or_else(CanonicalJson::object),
        ..NewDocument::default()
    }
}

request_object! {
    /// Documents to be created together, all or none.
    CreateDocuments: Vec<NewDocument> = read_create_documents, {
        "documents": [{"content": {"kind": "note"}}, {"title": "Manual", "content": "Press the button."}]
    }
}

fn read_create_documents(fields: &mut impl ReadFields) -> Vec<NewDocument> {
    fields.objects::<CreateDocument>(&DOCUMENTS)
}

/// One document, or several.
#[derive(Debug)]
pub(crate) struct CreateRequest;

impl PartialSchema for CreateRequest {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(CreateDocument::NAME);
        let many = Ref::from_schema_name(CreateDocuments::NAME);
        OneOfBuilder::new().item(one).item(many).description(Some("One document, or several.")).into()
    }
}

impl ToSchema for CreateRequest {
    fn name() -> std::borrow::Cow<'static, str> {
        "CreateDocumentRequest".into()
    }

    fn schemas(schemas: &mut Vec<NamedSchema>) {
        schemas.push((CreateDocuments::NAME.to_owned(), CreateDocuments::schema()));
        CreateDocuments::schemas(schemas);
    }
}

/// What is to be created.
#[derive(Debug)]
pub(crate) enum NewDocuments {
    One(Valid<NewDocument>),
    Many(Valid<Vec<NewDocument>>),
}

impl RequestBody for CreateRequest {
    type Input = NewDocuments;

    fn accept(fields: &mut Fields<'_>) -> Result<NewDocuments, Invalid> {
        if fields.has(DOCUMENTS.name) {
            CreateDocuments::accept(fields).map(NewDocuments::Many)
        } else {
            CreateDocument::accept(fields).map(NewDocuments::One)
        }
    }
}

/// The documents that were created together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedDocuments {
    data: Vec<DocumentResponse>,
}

/// What was created.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum CreateDocumentAnswer {
    One(Box<DocumentResponse>),
    Many(CreatedDocuments),
}

impl IntoResponse for CreateDocumentAnswer {
    fn into_response(self) -> Response {
        match self {
            Self::One(document) => document.into_response(),
            Self::Many(documents) => Json(documents).into_response(),
        }
    }
}

/// Create one document, or several, all or none
#[utoipa::path(
    post,
    path = "/documents",
    operation_id = "create_documents",
    tag = "documents",
    params(IdempotencyKeyHeader),
    request_body = CreateRequest,
    responses(
        (
            status = 201,
            description = "The new document, or the new documents in the order of the request",
            body = CreateDocumentAnswer,
            headers(
                ("Location" = String, description = "The first document"),
                ("ETag" = String, description = "The revision, of a single document"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
            links(
                ("get_document" = (operation_id = "get_document", parameters(("id" = "$response.body#/id")))),
            ),
        ),
        BodyProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn create(
    caller: Caller,
    base_path: BasePath,
    _query: Query<NoParameters>,
    IdempotentBody { input: new, once }: IdempotentBody<CreateRequest>,
) -> Result<Response, Problem> {
    let chat = caller.store();
    let documents = chat.documents();
    let (is_one, created, is_replayed) = match (new, once) {
        (NewDocuments::One(new), None) => (true, vec![documents.create(new).await?], false),
        (NewDocuments::Many(new), None) => (false, documents.create_many(new).await?, false),
        (new, Some(key)) => {
            let (is_one, new) = match new {
                NewDocuments::One(new) => (true, new.alone()),
                NewDocuments::Many(new) => (false, new),
            };
            let outcome = chat.idempotent(key).create_documents(new).await?;
            (is_one, outcome.value, outcome.is_replayed)
        }
    };
    let place = created.first().map(|document| base_path.path(&format!("/documents/{}", document.id)));
    let mut data: Vec<DocumentResponse> = created.into_iter().map(DocumentResponse::from).collect();
    let answer = match data.pop() {
        Some(document) if is_one => CreateDocumentAnswer::One(Box::new(document)),
        last => {
            data.extend(last);
            CreateDocumentAnswer::Many(CreatedDocuments { data })
        }
    };
    Ok(created_once(place.unwrap_or_default(), answer, is_replayed))
}

/// Get a document
#[utoipa::path(
    get,
    path = "/documents/{id}",
    operation_id = "get_document",
    tag = "documents",
    params(DocumentPath, IfNoneMatch),
    responses(
        (status = 200, description = "The document", body = DocumentResponse, headers(("ETag" = String))),
        (status = 304, description = "Not modified: the client has the current document", headers(("ETag" = String))),
        ReadProblems,
    )
)]
pub(crate) async fn get(
    caller: Caller,
    Path(path): Path<DocumentPath>,
    _query: Query<NoParameters>,
    unless: IfNoneMatch,
) -> Result<Response, Problem> {
    let document = caller.store().documents().get(path.document.id()?).await?;
    Ok(unless.apply(DocumentResponse::from(document).into_response()))
}

request_object! {
    /// Changes of a document. What is left out stays, a null title clears it.
    ChangeDocument: DocumentPatch = read_change_document, {"content": {"kind": "manual", "pages": [1]}}
}

fn read_change_document(fields: &mut impl ReadFields) -> DocumentPatch {
    DocumentPatch {
        title: fields.nullable(&DOCUMENT_TITLE),
        content: fields
            .given(&DOCUMENT_CONTENT.about("Replaces the content whole; any JSON, null included.")),
        metadata: fields.given(&METADATA.about(REPLACES_METADATA)),
    }
}

/// Change a document
#[utoipa::path(
    patch,
    path = "/documents/{id}",
    operation_id = "change_document",
    tag = "documents",
    params(DocumentPath, IfMatch),
    request_body = ChangeDocument,
    responses(
        (status = 200, description = "The changed document", body = DocumentResponse, headers(("ETag" = String))),
        BodyProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn change(
    caller: Caller,
    Path(path): Path<DocumentPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    ValidBody(patch): ValidBody<ChangeDocument>,
) -> Result<DocumentResponse, Problem> {
    let id = path.document.id()?;
    let document = condition.apply(caller.store()).documents().update(id, patch).await?;
    Ok(document.into())
}

/// Delete a document
#[utoipa::path(
    delete,
    path = "/documents/{id}",
    operation_id = "delete_document",
    tag = "documents",
    params(DocumentPath, IfMatch),
    responses(
        (status = 204, description = "The document is deleted; messages that refer to it keep their reference"),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    caller: Caller,
    Path(path): Path<DocumentPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    condition.apply(caller.store()).documents().delete(path.document.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
