//! Idempotency keys: recorded with the effect, found until they expire, one effect however many ask.

use std::time::Duration;

use chatstore_model::{
    CanonicalJson, IdempotencyRecord, MessageId, NewIdempotencyRecord, NewMessage, UserId,
};
use chatstore_sql::{Database, StoreError, Via, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join_all;

use crate::fixtures::{
    absent_user, arbitrary_owner, arbitrary_user, conversation_row, failure, later, messages, read, write,
};

conformance!(
    a_record_is_found_by_its_caller_and_key,
    a_key_is_recorded_once,
    one_key_of_two_callers_is_two,
    an_expired_key_is_forgotten_and_can_be_used_again,
    pruning_forgets_what_expired_and_nothing_else,
    pruning_forgets_no_more_at_once_than_it_is_told_to,
    a_record_needs_its_owner_and_its_caller,
    sixteen_requests_with_one_key_have_one_effect,
    a_key_is_in_the_digest_whether_or_not_it_belongs_to_a_conversation,
);

const DAY: Duration = Duration::from_secs(86_400);

fn new_record(case: &TestDatabase, key: &str) -> NewIdempotencyRecord {
    NewIdempotencyRecord {
        key: key.to_owned(),
        operation: "POST /api/v1/conversations".to_owned(),
        request_sha256: [7; 32],
        status: 201,
        result: CanonicalJson::parse(r#"{"ids": ["a"]}"#).unwrap(),
        expires_at: case.database.clock().now().plus(DAY),
        conversation_id: None,
    }
}

async fn record(
    case: &TestDatabase,
    owner: UserId,
    caller: UserId,
    new: NewIdempotencyRecord,
) -> Result<(), StoreError> {
    write(case, async move |tx| tx.idempotency_keys().record(owner, caller, &new).await).await
}

async fn find(case: &TestDatabase, caller: UserId, key: &'static str) -> Option<IdempotencyRecord> {
    read(case, async move |tx| tx.idempotency_keys().find(caller, key).await).await
}

async fn a_record_is_found_by_its_caller_and_key(case: TestDatabase) {
    let (owner, caller) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let now = later(&case);
    let new = new_record(&case, "key");

    record(&case, owner, caller, new.clone()).await.unwrap();

    let expected = IdempotencyRecord {
        owner_id: owner,
        caller_id: caller,
        key: "key".to_owned(),
        operation: new.operation,
        request_sha256: [7; 32],
        status: 201,
        result: new.result,
        created_at: now,
        expires_at: now.plus(DAY),
        conversation_id: None,
    };
    assert_eq!(find(&case, caller, "key").await, Some(expected));
    assert_eq!(find(&case, owner, "key").await, None, "it is the caller's key, not the owner's");
    assert_eq!(find(&case, caller, "KEY").await, None);
}

async fn a_key_is_recorded_once(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    record(&case, user, user, new_record(&case, "key")).await.unwrap();
    let first = find(&case, user, "key").await;
    later(&case);

    let other = NewIdempotencyRecord { status: 200, ..new_record(&case, "key") };
    let answer = record(&case, user, user, other).await;

    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    assert_eq!(find(&case, user, "key").await, first);
}

async fn one_key_of_two_callers_is_two(case: TestDatabase) {
    let (ada, grace) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    record(&case, ada, ada, new_record(&case, "key")).await.unwrap();
    record(&case, ada, grace, new_record(&case, "key")).await.unwrap();

    assert_eq!(find(&case, ada, "key").await.unwrap().caller_id, ada);
    assert_eq!(find(&case, grace, "key").await.unwrap().caller_id, grace);
}

async fn an_expired_key_is_forgotten_and_can_be_used_again(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let mut new = new_record(&case, "key");
    new.expires_at = case.database.clock().now().plus_microseconds(2);
    record(&case, user, user, new).await.unwrap();
    case.clock.advance(Duration::from_micros(1));
    assert!(find(&case, user, "key").await.is_some());
    let early = record(&case, user, user, new_record(&case, "key")).await;
    assert!(matches!(early, Err(StoreError::Conflict(_))), "{early:?}");

    case.clock.advance(Duration::from_micros(1));
    assert_eq!(find(&case, user, "key").await, None);
    let again = NewIdempotencyRecord { status: 200, ..new_record(&case, "key") };
    record(&case, user, user, again).await.unwrap();
    assert_eq!(find(&case, user, "key").await.unwrap().status, 200);
}

async fn pruning_forgets_what_expired_and_nothing_else(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let now = case.database.clock().now();
    for (key, lifetime) in [("1", 1), ("2", 2), ("3", 3)] {
        let expires_at = now.plus_microseconds(lifetime);
        record(&case, user, user, NewIdempotencyRecord { expires_at, ..new_record(&case, key) })
            .await
            .unwrap();
    }
    let then = now.plus_microseconds(2);

    let prune = async |case: &TestDatabase| {
        write(case, async move |tx| tx.idempotency_keys().prune(then, 100).await).await.unwrap()
    };
    assert_eq!(prune(&case).await, 2);
    assert_eq!(prune(&case).await, 0);

    assert_eq!(find(&case, user, "1").await, None);
    assert_eq!(find(&case, user, "2").await, None);
    assert!(find(&case, user, "3").await.is_some());
}

async fn pruning_forgets_no_more_at_once_than_it_is_told_to(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let now = case.database.clock().now();
    for (key, lifetime) in [("a", 3), ("b", 1), ("c", 2)] {
        let expires_at = now.plus_microseconds(lifetime);
        record(&case, user, user, NewIdempotencyRecord { expires_at, ..new_record(&case, key) })
            .await
            .unwrap();
    }
    let then = now.plus_microseconds(3);
    let prune =
        async || write(&case, async move |tx| tx.idempotency_keys().prune(then, 2).await).await.unwrap();

    assert_eq!(prune().await, 2);
    assert!(find(&case, user, "a").await.is_some(), "what expires last is forgotten last");
    assert_eq!((prune().await, prune().await), (1, 0));
}

async fn a_record_needs_its_owner_and_its_caller(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let absent = absent_user(&case);
    for (owner, caller) in [(absent, user), (user, absent)] {
        let answer = record(&case, owner, caller, new_record(&case, "key")).await;
        assert_eq!(failure(answer), "missing parent: idempotency_key");
    }
}

/// One request as a service does it: replay, or act and record, and look again when another was
/// quicker.
async fn request(
    database: Database,
    owner: UserId,
    conversation: chatstore_model::ConversationId,
    new: NewIdempotencyRecord,
) -> (CanonicalJson, bool) {
    for _ in 0..64 {
        let new = new.clone();
        let work = async move |tx: &mut WriteTx<'_>| {
            if let Some(record) = tx.idempotency_keys().find(owner, &new.key).await? {
                return Ok((record.result, false));
            }
            let message = NewMessage::user("once");
            let appended = tx.messages().append(Via::Owner(owner), conversation, &message).await?;
            let result = CanonicalJson::parse(&format!("{:?}", appended.id.to_string())).unwrap();
            let new = NewIdempotencyRecord { result: result.clone(), ..new.clone() };
            tx.idempotency_keys().record(owner, owner, &new).await?;
            Ok((result, true))
        };
        match database.write("request", work).await {
            Err(StoreError::Conflict(_)) => {}
            answer => return answer.unwrap(),
        }
    }
    panic!("another was quicker again and again");
}

async fn sixteen_requests_with_one_key_have_one_effect(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let requests = (0..16).map(|_| {
        let new = new_record(&case, "key");
        tokio::spawn(request(case.database.clone(), owner, conversation, new))
    });
    let answers: Vec<(CanonicalJson, bool)> =
        join_all(requests).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(answers.iter().filter(|(_, acted)| *acted).count(), 1);
    let appended = messages(&case, owner, conversation).await;
    assert_eq!(appended.len(), 1);
    let id: MessageId = appended[0].id;
    assert!(answers.iter().all(|(result, _)| result.to_value() == id.to_string()), "{answers:?}");
    assert_eq!(conversation_row(&case, owner, conversation).await.last_seq, 1);
}

async fn a_key_is_in_the_digest_whether_or_not_it_belongs_to_a_conversation(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for (key, conversation_id) in [("alone", None), ("with", Some(conversation))] {
        let new = NewIdempotencyRecord { conversation_id, ..new_record(&case, key) };
        record(&case, owner, owner, new).await.unwrap();
    }

    let digests = read(&case, async |tx| tx.statistics().digests().await).await;
    let rows = digests.iter().find(|digest| digest.table == "idempotency_keys").unwrap().rows;
    assert_eq!(rows, 2);
}
