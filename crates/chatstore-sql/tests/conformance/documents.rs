//! Documents: created, read, changed, deleted, listed and filtered.

use chatstore_model::{
    CanonicalJson, Change, Document, DocumentFilter, DocumentId, DocumentPatch, DocumentPosition, JsonFilter,
    Limit, NewDocument, Order, Page, UserId,
};
use chatstore_sql::{Deletion, DocumentList, Marked, StoreError, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    absent_user, arbitrary_user, arbitrary_uuid, failure, invalid_fields, later, read, write,
};

conformance!(
    a_document_reads_back_as_it_was_created,
    the_content_of_a_document_is_any_json,
    a_document_belongs_to_its_owner_alone,
    each_field_of_a_document_is_changed_alone,
    an_empty_patch_changes_nothing,
    an_id_is_taken_once,
    documents_of_a_batch_are_created_together_or_not_at_all,
    no_document_is_created_for_an_absent_user,
    a_deleted_document_is_gone,
    documents_are_listed_by_creation_in_both_directions,
    documents_of_one_instant_are_paged_without_a_gap,
    a_filter_takes_what_holds_all_of_its_conditions,
    a_filtered_list_is_paged_without_a_gap,
    a_page_of_large_documents_ends_with_its_bytes,
    documents_are_found_by_their_ids,
    many_or_large_documents_are_deleted_in_pieces,
);

fn json(text: &str) -> CanonicalJson {
    CanonicalJson::parse(text).unwrap()
}

fn filter(text: &str) -> Option<JsonFilter> {
    Some(JsonFilter::parse(text).unwrap())
}

async fn create(case: &TestDatabase, owner: UserId, new: NewDocument) -> Result<Document, StoreError> {
    let work = async move |tx: &mut WriteTx<'_>| tx.documents().create(owner, &new).await;
    case.database.write_single("create", work).await
}

async fn document(case: &TestDatabase, owner: UserId, content: &str) -> Document {
    create(case, owner, NewDocument::new(json(content))).await.unwrap()
}

async fn get(case: &TestDatabase, owner: UserId, id: DocumentId) -> Option<Document> {
    read(case, async move |tx| tx.documents().get(owner, id).await).await
}

async fn update(
    case: &TestDatabase,
    owner: UserId,
    id: DocumentId,
    patch: DocumentPatch,
) -> Result<Document, StoreError> {
    write(case, async move |tx| tx.documents().update(owner, id, &patch).await).await
}

async fn page(case: &TestDatabase, owner: UserId, list: DocumentList) -> Page<Document, DocumentPosition> {
    read(case, async move |tx| tx.documents().page(owner, &list).await).await
}

async fn count(case: &TestDatabase, owner: UserId, filter: DocumentFilter) -> i64 {
    read(case, async move |tx| tx.documents().count(owner, &filter).await).await
}

/// Every document of a list, page by page.
async fn walk(case: &TestDatabase, owner: UserId, mut list: DocumentList) -> Vec<Document> {
    let mut all = Vec::new();
    loop {
        let found = page(case, owner, list.clone()).await;
        assert!(found.items.len() <= list.limit.rows());
        all.extend(found.items);
        list.from = found.next;
        if list.from.is_none() {
            return all;
        }
    }
}

fn contents(documents: &[Document]) -> Vec<String> {
    documents.iter().map(|document| document.content.to_string()).collect()
}

async fn a_document_reads_back_as_it_was_created(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let now = later(&case);
    let new = NewDocument {
        title: Some("Manual".to_owned()),
        metadata: json(r#"{"source": "upload"}"#),
        ..NewDocument::new(json(r#"{"pages": [1, {"text": "知"}]}"#))
    };
    let created = create(&case, owner, new.clone()).await.unwrap();
    assert_eq!((created.owner_id, created.revision), (owner, 1));
    assert_eq!((created.created_at, created.updated_at), (now, now));
    assert_eq!(
        (&created.title, &created.content, &created.metadata),
        (&new.title, &new.content, &new.metadata)
    );
    assert_eq!(get(&case, owner, created.id).await, Some(created));
}

async fn the_content_of_a_document_is_any_json(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    for text in [
        "null",
        "true",
        "0",
        "\"\"",
        "[]",
        "{}",
        "18446744073709551615",
        "[-9223372036854775808,1e300,5e-324,0.1]",
        r#"{"":{"é":"\u0001","😀":[[[]]]}}"#,
    ] {
        let created = document(&case, owner, text).await;
        let found = get(&case, owner, created.id).await.unwrap();
        assert_eq!(found.content, json(text), "{text}");
    }
}

async fn a_document_belongs_to_its_owner_alone(case: TestDatabase) {
    let (ada, eve) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let id = document(&case, ada, "1").await.id;
    assert_eq!(get(&case, eve, id).await, None);
    let patch = DocumentPatch { content: Some(json("2")), ..DocumentPatch::default() };
    assert_eq!(failure(update(&case, eve, id, patch).await), "not found: document");
    let deleted = write(&case, async move |tx| tx.documents().delete(eve, id).await).await;
    assert_eq!(failure(deleted), "not found: document");
    assert_eq!(walk(&case, eve, DocumentList::default()).await, []);
    assert_eq!(count(&case, eve, DocumentFilter::default()).await, 0);
    assert_eq!(document(&case, eve, "1").await.revision, 1);
    let of_both = NewDocument { id: Some(id), ..NewDocument::new(json("3")) };
    assert_eq!(create(&case, eve, of_both).await.unwrap().id, id, "an id is unique among its owner's");
    assert_eq!(get(&case, ada, id).await.unwrap().content, json("1"));
}

async fn each_field_of_a_document_is_changed_alone(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let new = NewDocument { title: Some("old".to_owned()), ..NewDocument::new(json("[1]")) };
    let mut expected = create(&case, owner, new).await.unwrap();
    let id = expected.id;
    for number in 0..4 {
        let mut patch = DocumentPatch::default();
        match number {
            0 => patch.title = Change::Set("new".to_owned()),
            1 => patch.title = Change::Clear,
            2 => patch.content = Some(json("null")),
            _ => patch.metadata = Some(json(r#"{"a": 1}"#)),
        }
        expected.title = match number {
            0 => Some("new".to_owned()),
            _ => None,
        };
        expected.content = patch.content.clone().unwrap_or(expected.content);
        expected.metadata = patch.metadata.clone().unwrap_or(expected.metadata);
        (expected.updated_at, expected.revision) = (later(&case), number + 2);
        assert_eq!(update(&case, owner, id, patch).await.unwrap(), expected);
        assert_eq!(get(&case, owner, id).await, Some(expected.clone()));
    }
}

async fn an_empty_patch_changes_nothing(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let created = document(&case, owner, "1").await;
    later(&case);
    assert_eq!(update(&case, owner, created.id, DocumentPatch::default()).await.unwrap(), created);
    let absent = DocumentId::from_uuid(arbitrary_uuid(&case));
    assert_eq!(failure(update(&case, owner, absent, DocumentPatch::default()).await), "not found: document");
}

async fn an_id_is_taken_once(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let first = document(&case, owner, "1").await;
    let same = || NewDocument { id: Some(first.id), ..NewDocument::new(json("2")) };
    assert_eq!(failure(create(&case, owner, same()).await), "already exists: document.id");
    let batch = vec![NewDocument::default(), same()];
    let created = write(&case, async move |tx| tx.documents().create_many(owner, &batch).await).await;
    assert_eq!(failure(created), "already exists: document.id");
    assert_eq!(walk(&case, owner, DocumentList::default()).await, [first]);
}

async fn documents_of_a_batch_are_created_together_or_not_at_all(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let batch: Vec<NewDocument> =
        (0..200).map(|number| NewDocument::new(json(&number.to_string()))).collect();
    let created =
        write(&case, async move |tx| tx.documents().create_many(owner, &batch).await).await.unwrap();
    let numbers: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    assert_eq!(contents(&created), numbers);
    assert_eq!(count(&case, owner, DocumentFilter::default()).await, 200);
    let wrong = NewDocument { title: Some("a\0".to_owned()), ..NewDocument::default() };
    let batch = vec![NewDocument::default(), wrong];
    let refused = write(&case, async move |tx| tx.documents().create_many(owner, &batch).await).await;
    assert_eq!(invalid_fields(refused), ["documents[1].title"]);
    assert_eq!(count(&case, owner, DocumentFilter::default()).await, 200);
}

async fn no_document_is_created_for_an_absent_user(case: TestDatabase) {
    let absent = absent_user(&case);
    assert_eq!(failure(create(&case, absent, NewDocument::default()).await), "missing parent: document");
    let created =
        write(&case, async move |tx| tx.documents().create_many(absent, &[NewDocument::default()]).await);
    assert_eq!(failure(created.await), "missing parent: document");
}

async fn a_deleted_document_is_gone(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let (kept, gone) = (document(&case, owner, "1").await, document(&case, owner, "2").await);
    let id = gone.id;
    write(&case, async move |tx| tx.documents().delete(owner, id).await).await.unwrap();
    assert_eq!(get(&case, owner, id).await, None);
    let again = write(&case, async move |tx| tx.documents().delete(owner, id).await).await;
    assert_eq!(failure(again), "not found: document");
    assert_eq!(walk(&case, owner, DocumentList::default()).await, [kept]);
}

async fn documents_are_listed_by_creation_in_both_directions(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    for number in 0..7 {
        later(&case);
        document(&case, owner, &number.to_string()).await;
    }
    for rows in [1, 2, 6, 7, 200] {
        let limit = Limit::new(rows).unwrap();
        let list = |order| DocumentList { order, limit, ..DocumentList::default() };
        let newest = walk(&case, owner, list(Order::Descending)).await;
        assert_eq!(contents(&newest), ["6", "5", "4", "3", "2", "1", "0"]);
        let mut oldest = walk(&case, owner, list(Order::Ascending)).await;
        oldest.reverse();
        assert_eq!(oldest, newest, "limit {rows}");
    }
    let full = page(&case, owner, DocumentList { limit: Limit::new(7).unwrap(), ..DocumentList::default() });
    assert_eq!(full.await.next, None, "nothing follows a page that is just full");
}

async fn documents_of_one_instant_are_paged_without_a_gap(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let batch: Vec<NewDocument> = (0..50).map(|number| NewDocument::new(json(&number.to_string()))).collect();
    write(&case, async move |tx| tx.documents().create_many(owner, &batch).await).await.unwrap();
    for filter in [
        DocumentFilter::default(),
        DocumentFilter { metadata_contains: filter("{}"), ..DocumentFilter::default() },
    ] {
        let limit = Limit::new(7).unwrap();
        let mut met: Vec<i64> = walk(&case, owner, DocumentList { filter, limit, ..DocumentList::default() })
            .await
            .iter()
            .map(|document| document.content.as_str().parse().unwrap())
            .collect();
        met.sort_unstable();
        assert_eq!(met, (0..50).collect::<Vec<i64>>());
    }
}

/// Documents with a title, content and metadata of each kind.
async fn mixed(case: &TestDatabase, owner: UserId) {
    for (title, content, metadata) in [
        (Some("a"), r#"{"kind": "note", "tags": ["x", "y"], "n": 1}"#, r#"{"source": "web"}"#),
        (Some("b"), r#"{"kind": "note", "tags": ["y"], "n": 1.5}"#, r#"{"source": "mail"}"#),
        (Some("a"), r#"{"kind": "file", "tags": [], "n": null}"#, "{}"),
        (None, r#"["x", ["y"]]"#, r#"{"source": "web", "deep": {"a": [1]}}"#),
        (None, r#""x""#, "{}"),
    ] {
        later(case);
        let new = NewDocument {
            title: title.map(str::to_owned),
            metadata: json(metadata),
            ..NewDocument::new(json(content))
        };
        create(case, owner, new).await.unwrap();
    }
}

async fn a_filter_takes_what_holds_all_of_its_conditions(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let other = arbitrary_user(&case).await;
    mixed(&case, owner).await;
    mixed(&case, other).await;
    for (title, contains, metadata, expected) in [
        (None, Some(r#"{"kind": "note"}"#), None, 2),
        (None, Some(r#"{"tags": ["y", "x"]}"#), None, 1),
        (None, Some(r#"{"n": 1.0}"#), None, 1),
        (None, Some("{}"), None, 3),
        (None, Some("[]"), None, 1),
        (None, Some(r#""x""#), None, 2),
        (None, Some(r#"["x"]"#), None, 1),
        (None, Some("null"), None, 0),
        (None, None, Some(r#"{"source": "web"}"#), 2),
        (None, None, Some(r#"{"deep": {"a": [1, 1]}}"#), 1),
        (None, Some(r#"{"kind": "note"}"#), Some(r#"{"source": "mail"}"#), 1),
        (Some("a"), None, None, 2),
        (Some("a"), Some(r#"{"kind": "file"}"#), None, 1),
        (Some("a"), Some(r#"{"kind": "note"}"#), Some(r#"{"source": "mail"}"#), 0),
        (Some("A"), None, None, 0),
    ] {
        let condition = DocumentFilter {
            title: title.map(str::to_owned),
            contains: contains.and_then(filter),
            metadata_contains: metadata.and_then(filter),
        };
        let found =
            walk(&case, owner, DocumentList { filter: condition.clone(), ..DocumentList::default() }).await;
        assert_eq!(found.len(), expected, "{condition:?}");
        assert!(found.iter().all(|document| document.owner_id == owner));
        assert_eq!(count(&case, owner, condition).await, i64::try_from(expected).unwrap());
    }
    let nul = DocumentFilter { title: Some("\0".to_owned()), ..DocumentFilter::default() };
    let refused = case.database.read("count", async move |tx| tx.documents().count(owner, &nul).await).await;
    assert_eq!(invalid_fields(refused), ["title"]);
}

async fn a_filtered_list_is_paged_without_a_gap(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    for number in 0..30 {
        later(&case);
        let title = Some(if number % 2 == 0 { "even" } else { "odd" }.to_owned());
        let content = json(&format!(r#"{{"rest": {}, "number": {number}}}"#, number % 3));
        create(&case, owner, NewDocument { title, ..NewDocument::new(content) }).await.unwrap();
    }
    let numbers = |documents: &[Document]| -> Vec<i64> {
        documents.iter().map(|one| one.content.to_value()["number"].as_i64().unwrap()).collect()
    };
    let by_rest = DocumentFilter { contains: filter(r#"{"rest": 0}"#), ..DocumentFilter::default() };
    let even = DocumentFilter { title: Some("even".to_owned()), ..by_rest.clone() };
    for rows in [1, 4, 5, 10, 200] {
        let limit = Limit::new(rows).unwrap();
        let list = |filter: &DocumentFilter, order| DocumentList {
            filter: filter.clone(),
            order,
            from: None,
            limit,
        };
        let newest = walk(&case, owner, list(&by_rest, Order::Descending)).await;
        assert_eq!(numbers(&newest), [27, 24, 21, 18, 15, 12, 9, 6, 3, 0], "limit {rows}");
        let oldest = walk(&case, owner, list(&even, Order::Ascending)).await;
        assert_eq!(numbers(&oldest), [0, 6, 12, 18, 24], "limit {rows}");
    }
    let full = DocumentList { filter: even, limit: Limit::new(5).unwrap(), ..DocumentList::default() };
    assert_eq!(page(&case, owner, full).await.next, None);
}

async fn a_page_of_large_documents_ends_with_its_bytes(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    for number in 0..6_u32 {
        later(&case);
        // Digits that compress little.
        let mut state = u64::from(number) + 1;
        let text: String = std::iter::from_fn(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Some(format!("{state:016x}"))
        })
        .take(50_000)
        .collect();
        document(&case, owner, &format!(r#"{{"text": "{text}", "number": {number}}}"#)).await;
    }
    for condition in [None, filter("{}")] {
        let list = DocumentList {
            filter: DocumentFilter { contains: condition, ..DocumentFilter::default() },
            ..DocumentList::default()
        };
        let first = page(&case, owner, list.clone()).await;
        assert!((1..=3).contains(&first.items.len()), "{} of 800 kB each", first.items.len());
        assert!(first.next.is_some());
        assert_eq!(walk(&case, owner, list).await.len(), 6);
    }
}

async fn documents_are_found_by_their_ids(case: TestDatabase) {
    let (owner, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let (first, second) = (document(&case, owner, "1").await, document(&case, owner, "2").await);
    let foreign = document(&case, other, "3").await;
    let absent = DocumentId::from_uuid(arbitrary_uuid(&case));
    let ids = vec![second.id, absent, foreign.id, first.id, second.id];
    let asked = ids.clone();
    let mut present = read(&case, async move |tx| tx.documents().find_present(owner, &asked).await).await;
    present.sort_unstable();
    let mut expected = vec![first.id, second.id];
    expected.sort_unstable();
    assert_eq!(present, expected);
    let asked = ids.clone();
    let found = read(&case, async move |tx| tx.documents().find(owner, &asked).await).await;
    assert!(found.is_complete);
    assert_eq!(found.documents.len(), 2);
    assert!(found.documents.contains(&first) && found.documents.contains(&second));
    let many: Vec<DocumentId> = std::iter::repeat_n(absent, 201).collect();
    let found = read(&case, async move |tx| tx.documents().find(owner, &many).await).await;
    assert!(!found.is_complete && found.documents.is_empty(), "only the first 200 are looked for");
    assert_eq!(read(&case, async move |tx| tx.documents().find_present(owner, &[]).await).await, []);
}

async fn many_or_large_documents_are_deleted_in_pieces(case: TestDatabase) {
    let (owner, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let kept = document(&case, other, "1").await;
    let batch: Vec<NewDocument> = (0..1_001).map(|_| NewDocument::default()).collect();
    write(&case, async move |tx| tx.documents().create_many(owner, batch.as_slice()).await).await.unwrap();
    let erased = write(&case, async move |tx| tx.users().erase(owner).await).await.unwrap();
    assert_eq!(erased, Deletion::Marked(Marked::User(owner)));
    assert_eq!(walk(&case, owner, DocumentList::default()).await, []);
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.documents, 1);
    assert_eq!(failure(create(&case, owner, NewDocument::default()).await), "missing parent: document");
    let mut sweep = case.database.sweep(Marked::User(owner));
    while sweep.next().await.unwrap() != chatstore_sql::Swept::Gone {}
    assert_eq!(get(&case, other, kept.id).await, Some(kept));
    let digests = read(&case, async |tx| tx.statistics().digests().await).await;
    assert_eq!(digests.iter().find(|digest| digest.table == "documents").unwrap().rows, 1);
}
