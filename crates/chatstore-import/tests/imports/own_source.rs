//! What the engine does with a source that a program brings along.

use chatstore::operations::Deletion;
use chatstore::sql::Sql;
use chatstore::{
    CanonicalJson, ConversationId, DatabaseKind, Email, Error, MessageId, NewConversation, NewMessage,
    NewUser, Store, Timestamp, UserId, Uuid, WriteTx,
};
use chatstore_import::plan::{
    PlannedConversation, PlannedMessage, PlannedOwner, PlannedUser, UserIdentity, derived_uuid,
};
use chatstore_import::{
    Import, ImportEvent, ImportOptions, ImportReport, Issue, Source, TableReport, import,
};
use chatstore_testkit::{TestDatabase, conformance};

conformance!(
    conversations_of_an_invalid_address_are_anonymous,
    a_thread_of_each_spelling_of_an_address_is_kept,
    an_address_that_a_user_claims_is_imported_beside_the_claim,
    messages_of_a_conversation_that_is_left_out_are_reported,
    a_conversation_longer_than_a_batch_is_imported_once,
    messages_deleted_in_the_store_come_back_when_that_is_asked_for,
    what_is_being_deleted_stays_deleted_unless_it_is_asked_for,
    a_member_who_is_missing_is_reported_and_added_when_that_is_asked_for,
    a_batch_takes_few_statements_however_many_conversations_it_has,
    a_repeated_row_of_a_batch_is_found_among_what_the_batch_adds,
);

/// Conversations with their messages.
#[derive(Clone)]
struct Planned(Vec<(PlannedConversation, Vec<PlannedMessage>)>);

impl Source for Planned {
    type Error = Error;

    fn tables(&self) -> Vec<&'static str> {
        vec!["conversations", "messages"]
    }

    async fn read(self, mut import: Import<'_>) -> Result<ImportReport, Error> {
        for (conversation, messages) in self.0 {
            import.conversation(conversation).await?;
            for message in messages {
                import.message(message).await?;
            }
        }
        import.finish().await
    }
}

async fn run(store: &Store, source: &Planned, dry_run: bool) -> (ImportReport, Vec<Issue>) {
    run_with(store, source, dry_run, false).await
}

async fn run_with(
    store: &Store,
    source: &Planned,
    dry_run: bool,
    restore_deleted: bool,
) -> (ImportReport, Vec<Issue>) {
    let base_time = Timestamp::from_microseconds(1_772_366_400_000_000).unwrap();
    let mut issues = Vec::new();
    let hear = |event| {
        if let ImportEvent::Issue(issue) = event {
            issues.push(issue);
        }
    };
    let options = ImportOptions { base_time, dry_run, restore_deleted };
    let report = import(source.clone(), store, options, hear).await.unwrap();
    (report, issues)
}

fn id(parts: &[&[u8]]) -> Uuid {
    derived_uuid(Uuid::from_u128(7), b"own", parts)
}

fn conversation(key: &str, owner: PlannedOwner) -> PlannedConversation {
    let id = ConversationId::from_uuid(id(&[key.as_bytes()]));
    let new = NewConversation { id: Some(id), ..NewConversation::titled("Imported") };
    let (key, issues) = (key.to_owned(), Vec::new());
    PlannedConversation {
        owner,
        new,
        id,
        fallback_id: id,
        key,
        is_thread: false,
        members: Vec::new(),
        issues,
    }
}

fn messages(of: &str, count: usize) -> Vec<PlannedMessage> {
    let message = |number: usize| {
        let key = number.to_string();
        let id = MessageId::from_uuid(id(&[of.as_bytes(), key.as_bytes()]));
        let new = NewMessage { id: Some(id), ..NewMessage::user(format!("message {number}")) };
        PlannedMessage { id, fallback_id: id, new, key, response: None, sender: None, issues: Vec::new() }
    };
    (0..count).map(message).collect()
}

fn user_with_address(address: &str) -> PlannedUser {
    let id = UserId::from_uuid(id(&[b"user", address.as_bytes()]));
    let email = Email::new(address).ok();
    let metadata = CanonicalJson::new(serde_json::json!({ "source": { "email": address } })).unwrap();
    let is_email_verified = email.is_some();
    let new = NewUser { id: Some(id), email, is_email_verified, metadata, ..NewUser::default() };
    PlannedUser { identified_by: UserIdentity::Email, ..PlannedUser::new(id, new, address) }
}

const fn added(rows: u64) -> TableReport {
    TableReport { read: rows, added: rows, unchanged: 0, left_out: 0 }
}

const fn unchanged(rows: u64) -> TableReport {
    TableReport { read: rows, added: 0, unchanged: rows, left_out: 0 }
}

async fn conversations_of_an_invalid_address_are_anonymous(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let owner = || PlannedOwner::Described(Box::new(user_with_address("no address")));
    let source = Planned(["one", "two"].map(|key| (conversation(key, owner()), Vec::new())).into());
    for dry_run in [true, false] {
        let (report, issues) = run(&store, &source, dry_run).await;
        assert_eq!(report.table("conversations"), added(2));
        let keys: Vec<Option<&str>> = issues.iter().map(|issue| issue.key.as_deref()).collect();
        assert_eq!(keys, [Some("one"), Some("two")], "{issues:?}");
    }
    let listed = store.operations().counts().await.unwrap();
    assert_eq!((listed.users, listed.conversations), (0, 2));
    let chat = store.as_user(UserId::ANONYMOUS);
    assert!(chat.conversations().get(ConversationId::from_uuid(id(&[b"two"]))).await.is_ok());
    let (report, issues) = run(&store, &source, false).await;
    assert_eq!((report.table("conversations"), issues), (unchanged(2), Vec::new()));
}

async fn a_thread_of_each_spelling_of_an_address_is_kept(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let thread = |address: &str, key: &str| {
        let mut planned = conversation(key, PlannedOwner::Described(Box::new(user_with_address(address))));
        planned.new.thread_id = Some("t1".to_owned());
        let source = serde_json::json!({ "source": { "user_email": address } });
        planned.new.metadata = CanonicalJson::new(source).unwrap();
        planned.is_thread = true;
        (planned, Vec::new())
    };
    let source = Planned(vec![thread("Ada@example.org", "one"), thread("ada@example.org", "two")]);
    let (report, issues) = run(&store, &source, false).await;

    assert_eq!((report.table("conversations"), report.need_review), (added(2), 1), "{issues:?}");
    let counts = store.operations().counts().await.unwrap();
    assert_eq!((counts.users, counts.conversations), (1, 2));
    let ada = store.users().find_by_email("ADA@example.org").await.unwrap().unwrap();
    let conversations = store.as_user(ada.id);
    let thread_of = async |key: &str| {
        let id = ConversationId::from_uuid(id(&[key.as_bytes()]));
        conversations.conversations().get(id).await.unwrap().0.thread_id
    };
    assert_eq!((thread_of("one").await.as_deref(), thread_of("two").await), (Some("t1"), None));
    let (report, issues) = run(&store, &source, false).await;
    assert_eq!((report.table("conversations"), issues), (unchanged(2), Vec::new()));
}

async fn an_address_that_a_user_claims_is_imported_beside_the_claim(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let claim = NewUser::with_email(Email::new("ada@example.org").unwrap());
    let eve = store.users().create(claim).await.unwrap();
    let owner = PlannedOwner::Described(Box::new(user_with_address("ada@example.org")));
    let source = Planned(vec![(conversation("one", owner), Vec::new())]);
    let (report, issues) = run(&store, &source, false).await;

    assert_eq!((report.table("conversations"), report.need_review), (added(1), 1), "{issues:?}");
    let ada = store.users().find_by_email("ada@example.org").await.unwrap().unwrap();
    assert_ne!(ada.id, eve.id);
}

async fn messages_of_a_conversation_that_is_left_out_are_reported(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let chat = store.as_user(UserId::ANONYMOUS);
    chat.conversations().create(NewConversation::thread("taken")).await.unwrap();
    let mut taken = conversation("one", PlannedOwner::Known(UserId::ANONYMOUS));
    taken.new.thread_id = Some("taken".to_owned());
    taken.is_thread = true;
    let source = Planned(vec![(taken, messages("one", 1_100))]);
    for dry_run in [true, false] {
        let (report, issues) = run(&store, &source, dry_run).await;
        let left_out = |rows| TableReport { read: rows, added: 0, unchanged: 0, left_out: rows };
        assert_eq!(report.table("conversations"), left_out(1));
        assert_eq!(report.table("messages"), left_out(1_100));
        assert!(issues.len() == 1_101 && issues.iter().all(|issue| issue.left_out));
    }
    let counts = store.operations().counts().await.unwrap();
    assert_eq!((counts.conversations, counts.messages), (1, 0));
}

async fn a_conversation_longer_than_a_batch_is_imported_once(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let long = conversation("long", PlannedOwner::Known(UserId::ANONYMOUS));
    let short = conversation("short", PlannedOwner::Known(UserId::ANONYMOUS));
    let source = Planned(vec![(long, messages("long", 2_500)), (short, messages("short", 2))]);
    for dry_run in [true, false] {
        let (report, issues) = run(&store, &source, dry_run).await;
        assert_eq!((report.table("conversations"), report.table("messages")), (added(2), added(2_502)));
        assert_eq!(issues, []);
    }
    let before = store.operations().digests().await.unwrap();
    let (report, _) = run(&store, &source, false).await;
    assert_eq!((report.table("conversations"), report.table("messages")), (unchanged(2), unchanged(2_502)));
    assert_eq!(store.operations().digests().await.unwrap(), before);
}

async fn messages_deleted_in_the_store_come_back_when_that_is_asked_for(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let planned = conversation("one", PlannedOwner::Known(UserId::ANONYMOUS));
    let conversation_id = planned.id;
    let source = Planned(vec![(planned, messages("one", 4))]);
    run(&store, &source, false).await;
    let second = MessageId::from_uuid(id(&[b"one", b"1"]));
    let delete = async move |tx: &mut WriteTx<'_>| {
        tx.messages().delete(UserId::ANONYMOUS, conversation_id, second).await
    };
    store.write("delete", delete).await.unwrap();

    for dry_run in [true, false] {
        let (report, issues) = run(&store, &source, dry_run).await;
        let expected = TableReport { read: 4, added: 0, unchanged: 3, left_out: 1 };
        assert_eq!(report.table("messages"), expected);
        assert_eq!(issues[0].key.as_deref(), Some("1"), "{issues:?}");
        assert_eq!(issues[0].done, "left out; --restore-deleted imports it again");
    }
    let (report, issues) = run_with(&store, &source, false, true).await;
    assert_eq!((report.table("messages").added, issues), (1, Vec::new()));
    let (report, issues) = run(&store, &source, false).await;
    assert_eq!((report.table("messages"), issues), (unchanged(4), Vec::new()));
}

async fn what_is_being_deleted_stays_deleted_unless_it_is_asked_for(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let planned = conversation("one", PlannedOwner::Known(UserId::ANONYMOUS));
    let conversation_id = planned.id;
    let source = Planned(vec![(planned, messages("one", 1_100))]);
    run(&store, &source, false).await;
    // Marked by the repository, so that nothing but the import deletes its rows.
    let mark =
        async move |tx: &mut WriteTx<'_>| tx.conversations().delete(UserId::ANONYMOUS, conversation_id).await;
    assert!(matches!(store.write("mark", mark).await.unwrap(), Deletion::Marked(_)));

    for dry_run in [true, false] {
        let (report, issues) = run(&store, &source, dry_run).await;
        assert_eq!((report.table("conversations").left_out, report.table("messages").left_out), (1, 1_100));
        assert_eq!(issues[0].problem, "it was deleted in the store", "{:?}", issues[0]);
        assert!(!report.is_settled());
    }
    let (report, issues) = run_with(&store, &source, false, true).await;
    assert_eq!((report.table("messages").added, issues), (1_100, Vec::new()));
}

async fn a_member_who_is_missing_is_reported_and_added_when_that_is_asked_for(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let member = user_with_address("grace@example.org").new;
    let grace = store.users().create(member).await.unwrap().id;
    let mut planned = conversation("one", PlannedOwner::Known(UserId::ANONYMOUS));
    let conversation_id = planned.id;
    run(&store, &Planned(vec![(planned.clone(), Vec::new())]), false).await;
    planned.members.push(grace);
    let source = Planned(vec![(planned, Vec::new())]);

    let (_, issues) = run(&store, &source, false).await;
    assert_eq!(issues[0].problem, format!("user {grace} is a member in the source, and not here"));
    assert!(store.as_user(grace).conversations().get(conversation_id).await.is_err());
    run_with(&store, &source, false, true).await;
    assert!(store.as_user(grace).conversations().get(conversation_id).await.is_ok());
    let (_, issues) = run(&store, &source, false).await;
    assert_eq!(issues, Vec::new());
}

async fn a_batch_takes_few_statements_however_many_conversations_it_has(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let planned = (0..100).map(|number| {
        let key = number.to_string();
        let mut planned = conversation(&key, PlannedOwner::Known(UserId::ANONYMOUS));
        planned.new.thread_id = Some(key.clone());
        (planned, messages(&key, 9))
    });
    let source = Planned(planned.collect());
    // SQLite, which is in the same process, inserts row by row.
    let inserts = if store.kind() == DatabaseKind::Sqlite { 1_000 } else { 2 };
    for (dry_run, expected, statements) in [
        (true, added(900), 4),
        (false, added(900), 2 + inserts),
        (false, unchanged(900), 2),
        (true, unchanged(900), 2),
    ] {
        let before = store.operations().statements();
        let (report, issues) = run(&store, &source, dry_run).await;
        let taken = store.operations().statements() - before;
        assert_eq!((report.table("messages"), issues), (expected, Vec::new()));
        // The store may look for deletions to finish meanwhile, and PostgreSQL looks at what it holds.
        assert!((statements..statements + 10).contains(&taken), "{taken} instead of {statements}");
    }
    if store.kind() == DatabaseKind::Postgres {
        let counted =
            store.read("counted", async |tx| tx.query(&COUNTED, &[], |row| row.next::<i64>()).await);
        assert_eq!(counted.await.unwrap(), [900], "what was imported is in the statistics");
    }
}

const COUNTED: Sql =
    Sql::only_postgres("test.counted", "select reltuples::bigint from pg_class where relname = 'messages'");

async fn a_repeated_row_of_a_batch_is_found_among_what_the_batch_adds(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let planned = || conversation("one", PlannedOwner::Known(UserId::ANONYMOUS));
    let other = conversation("two", PlannedOwner::Known(UserId::ANONYMOUS));
    let source = Planned(vec![
        (planned(), messages("one", 2)),
        (other, messages("two", 2)),
        (planned(), messages("one", 3)),
    ]);
    let (report, issues) = run(&store, &source, false).await;
    let expected = |added, unchanged| TableReport { read: added + unchanged, added, unchanged, left_out: 0 };
    assert_eq!((report.table("conversations"), report.table("messages")), (expected(2, 1), expected(5, 2)));
    assert_eq!(issues, []);
    let chat = store.as_user(UserId::ANONYMOUS);
    let (stored, _) = chat.conversations().get(planned().id).await.unwrap();
    assert_eq!((stored.message_count, stored.last_seq, stored.revision), (3, 3, 3));
    assert_eq!(stored.last_message.as_deref(), Some("message 2"));
}
