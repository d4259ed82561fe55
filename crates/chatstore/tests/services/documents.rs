//! Documents of a user: bounded in size, and nobody else's.

use chatstore::{
    CanonicalJson, DocumentFilter, DocumentList, DocumentPatch, ErrorKind, FileLock, IdempotencyKey,
    KeyRetention, NewDocument, Store,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(a_document_has_a_maximum_size, documents_are_those_of_one_user);

/// JSON of so many bytes.
fn json(bytes: usize) -> CanonicalJson {
    CanonicalJson::parse(&format!("\"{}\"", "x".repeat(bytes - 2))).unwrap()
}

async fn a_document_has_a_maximum_size(case: TestDatabase) {
    let builder = Store::builder(case.url.clone()).file_lock(FileLock::Share).document_limit(2_000);
    let store = builder.connect().await.unwrap();
    let ada = user(&store, "ada").await;
    let documents = store.as_user(ada).documents();
    let largest = documents.create(NewDocument::new(json(2_000))).await.unwrap();
    let error = documents.create(NewDocument::new(json(2_001))).await.unwrap_err();
    assert_eq!(error.to_string(), "content: must have at most 2000 bytes as JSON");
    let batch = || vec![NewDocument::new(json(5)), NewDocument::new(json(2_001))];
    let error = documents.create_many(batch()).await.unwrap_err();
    assert!(error.to_string().contains("documents[1].content"), "{error}");
    let key = IdempotencyKey {
        key: "k".to_owned(),
        operation: "POST".to_owned(),
        request_sha256: [0; 32],
        retention: KeyRetention::Day,
    };
    let error = store.as_user(ada).idempotent(key).create_documents(batch()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let patch = DocumentPatch { content: Some(json(2_001)), ..DocumentPatch::default() };
    assert_eq!(documents.update(largest.id, patch).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(documents.count(DocumentFilter::default()).await.unwrap(), 1);
    let unbounded = Store::builder("sqlite://:memory:").document_limit(usize::MAX).connect().await.unwrap();
    assert_eq!(unbounded.document_limit(), 64 * 1024 * 1024);
    assert_eq!(Store::memory().await.unwrap().document_limit(), 1024 * 1024);
}

async fn documents_are_those_of_one_user(case: TestDatabase) {
    let store = store(&case).await;
    let (ada, eve) = (user(&store, "ada").await, user(&store, "eve").await);
    let document = store.as_user(ada).documents().create(NewDocument::default()).await.unwrap();
    let of_eve = store.as_user(eve).documents();
    assert_eq!(of_eve.get(document.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(of_eve.delete(document.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    let chat = store.as_user(eve).if_revision(9);
    let error = chat.documents().update(document.id, DocumentPatch::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "absent before it is at another revision");
    assert!(of_eve.page(DocumentList::default()).await.unwrap().items.is_empty());
    let stale = store.as_user(ada).if_revision(9).documents().delete(document.id).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::PreconditionFailed);
    store.as_user(ada).if_revision(1).documents().delete(document.id).await.unwrap();
}
