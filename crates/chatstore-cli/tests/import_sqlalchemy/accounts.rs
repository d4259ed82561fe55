//! Rows in are rows out and rows reported, table by table, whatever the old database is like.

use std::collections::{BTreeMap, BTreeSet};

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::Value;

use crate::old::{Maker, Manifest, Report, Reported, backend_of, counts, digests, look, stored};

conformance!(
    rows_in_are_rows_out_and_rows_reported_for_odd_rows_of_chat_app,
    rows_in_are_rows_out_and_rows_reported_for_odd_rows_of_pakton,
    rows_in_are_rows_out_for_many_conversations,
    every_odd_row_of_chat_app_is_reported,
    every_odd_row_of_pakton_is_reported,
    a_second_import_of_odd_rows_adds_nothing_and_reports_what_it_leaves_out,
    what_is_no_text_of_ours_is_kept_whole,
    every_account_keeps_its_conversations,
    spellings_of_one_address_are_one_user_with_the_threads_of_all,
    short_names_names_with_joiners_and_names_that_are_addresses_stay,
    an_imported_database_is_sound,
);

/// Fails the case unless the database holds what the report says, and the number of users that were created for addresses
/// without a user.
#[track_caller]
fn assert_holds(url: &str, report: &Report, created_users: u64) {
    let held = counts(url);
    for (table, added) in report.added() {
        let created = if table == "users" { created_users } else { 0 };
        assert_eq!(held[table], added + created, "{table}");
    }
}

/// Addresses of conversations that no row of users has: two spellings of one, which are one user.
const CREATED_FOR_PAKTON: u64 = 1;

async fn rows_in_are_rows_out_and_rows_reported_for_odd_rows_of_chat_app(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "oddities").await;
    let report = old.import_into(&case.url, &[]);
    report.assert_complete(&manifest);
    assert_holds(&case.url, &report, 0);
}

async fn rows_in_are_rows_out_and_rows_reported_for_odd_rows_of_pakton(case: TestDatabase) {
    let (old, manifest) = Maker::Pakton.make(&case, "oddities").await;
    let report = old.import_into(&case.url, &[]);
    report.assert_complete(&manifest);
    assert_holds(&case.url, &report, CREATED_FOR_PAKTON);
}

async fn rows_in_are_rows_out_for_many_conversations(case: TestDatabase) {
    for maker in Maker::ALL {
        let case = backend_of(&case).database().await;
        let (old, manifest) = maker.make(&case, "dialogs").await;
        let report = old.import_into(&case.url, &[]);
        report.assert_complete(&manifest);
        assert!(report.tables.values().all(|counted| counted.added == counted.read), "{:?}", report.tables);
        assert_holds(&case.url, &report, 0);
    }
}

/// A NUL may be shown as what it is replaced by.
fn shown<'r>(table: &'r str, key: &str) -> (&'r str, String) {
    (table, key.replace('\0', "\u{fffd}"))
}

#[track_caller]
fn assert_reported(report: &Report, manifest: &Manifest) {
    let of_rows = report.of_rows();
    let key_of = |reported: &'_ Reported| reported.key.clone().unwrap_or_default();
    let named: BTreeSet<(&str, String)> =
        of_rows.iter().map(|reported| shown(&reported.table, &key_of(reported))).collect();
    let must = manifest.oddities.iter().filter(|oddity| oddity.must);
    let silent: Vec<String> = must
        .filter(|oddity| !named.contains(&shown(&oddity.table, &oddity.key)))
        .map(|oddity| format!("{} {}: {}", oddity.table, oddity.key, oddity.what))
        .collect();
    assert!(silent.is_empty(), "nothing is said about:\n{}", silent.join("\n"));

    // A row with nothing odd about it gives no reason to speak.
    let odd: BTreeSet<(&str, String)> =
        manifest.oddities.iter().map(|oddity| shown(&oddity.table, &oddity.key)).collect();
    let wrong: Vec<String> = of_rows
        .iter()
        .filter(|reported| !odd.contains(&shown(&reported.table, &key_of(reported))))
        .map(|reported| format!("{reported:?}"))
        .collect();
    assert!(wrong.is_empty(), "reported without need:\n{}", wrong.join("\n"));
    for (table, counted) in &report.tables {
        let is_same = |reported: &&Reported| {
            reported.table == *table && reported.problem.contains("in another spelling")
        };
        let same = report.reported.iter().filter(is_same).count() as u64;
        assert_eq!(counted.unchanged, same, "{table}: nothing was there before");
    }
}

async fn every_odd_row_of_chat_app_is_reported(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "oddities").await;
    assert_reported(&old.import_into(&case.url, &[]), &manifest);
}

async fn every_odd_row_of_pakton_is_reported(case: TestDatabase) {
    let (old, manifest) = Maker::Pakton.make(&case, "oddities").await;
    assert_reported(&old.import_into(&case.url, &[]), &manifest);
}

async fn a_second_import_of_odd_rows_adds_nothing_and_reports_what_it_leaves_out(case: TestDatabase) {
    for maker in Maker::ALL {
        let case = backend_of(&case).database().await;
        let (old, manifest) = maker.make(&case, "oddities").await;
        let first = old.import_into(&case.url, &[]);
        let before = digests(&case.url);
        let second = old.import_into(&case.url, &[]);
        second.assert_complete(&manifest);
        assert!(second.added().values().all(|added| *added == 0), "{maker:?}: {:?}", second.tables);
        let left_out = |report: &Report| -> Vec<Reported> {
            report.reported.iter().filter(|reported| reported.left_out).cloned().collect()
        };
        assert_eq!(left_out(&second), left_out(&first), "{maker:?}");
        let again: Vec<&Reported> = second.reported.iter().filter(|reported| !reported.left_out).collect();
        assert!(again.is_empty(), "{maker:?}: nothing was done about {again:?}");
        assert_eq!(digests(&case.url), before, "{maker:?}");
    }
}

/// The stored rows of a table with what they keep of their old ones, by the integer id there.
fn by_old_id(url: &str, table: &str, columns: &str) -> BTreeMap<i64, (Vec<Value>, Value)> {
    let rows = stored(url, table, columns).into_iter();
    rows.filter_map(|(row, source)| Some((source["id"].as_i64()?, (row, source)))).collect()
}

async fn what_is_no_text_of_ours_is_kept_whole(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "oddities").await;
    old.import_into(&case.url, &[]);
    let conversations = by_old_id(&case.url, "conversations", "title");
    let messages = by_old_id(&case.url, "messages", "content, role");
    let key_of = |table: &str, what: &str| -> Option<i64> {
        let oddity = manifest.oddities.iter().find(|it| it.table == table && it.what == what)?;
        oddity.key.parse().ok()
    };

    let long = &conversations[&key_of("conversations", "a title of 2,000 characters").unwrap()];
    let cut = long.0[0].as_str().unwrap();
    assert!(cut.chars().count() <= 512 && cut.starts_with('T'), "{cut}");
    assert!(long.1.to_string().contains(&"T".repeat(2000)), "the whole title is kept");
    for (what, role) in [
        ("the role 'User'", "user"),
        ("the role 'bot'", "assistant"),
        ("the role 'human'", "user"),
        ("the role 'function'", "tool"),
        ("the role 'moderator'", "tool"),
        ("the role None", "tool"),
    ] {
        let (row, source) = &messages[&key_of("messages", what).unwrap()];
        assert_eq!(row[1], role, "{what}: {source}");
    }
    let large = messages.values().any(|(row, _)| row[0].as_str() == Some(&"ß".repeat(1_000_000)));
    assert!(large, "a content of 2 MB arrives");

    if case.url.starts_with("sqlite") {
        let (row, source) = &messages[&key_of("messages", "bytes that are no UTF-8 in a message").unwrap()];
        assert_eq!(row[0], "caf\u{fffd} \u{fffd}\u{fffd}");
        assert!(source.to_string().contains("Y2Fm6SD//g=="), "the bytes are kept: {source}");
        let (row, _) = &messages[&key_of("messages", "bytes that are UTF-8 in a message").unwrap()];
        assert_eq!(row[0], "café ☕");
        let (row, _) = &messages[&key_of("messages", "a NUL character in a message").unwrap()];
        assert_eq!(row[0], "a\u{fffd}b");
    }
}

async fn every_account_keeps_its_conversations(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "oddities").await;
    old.import_into(&case.url, &[]);
    let before = old.look(
        "select c.id, case when u.id is null then 0 else u.id end from conversations c left join users u \
         on u.id = c.user_id",
    );
    let users = by_old_id(&case.url, "users", "id");
    let conversations = by_old_id(&case.url, "conversations", "owner_id");
    for row in before {
        let (conversation, user) = (row[0].as_i64().unwrap(), row[1].as_i64().unwrap());
        let owner = &conversations[&conversation].0[0];
        match users.get(&user) {
            Some((kept, _)) => assert_eq!(&kept[0], owner, "conversation {conversation} of user {user}"),
            None => assert_eq!(owner, "00000000-0000-0000-0000-000000000000", "conversation {conversation}"),
        }
    }
}

async fn spellings_of_one_address_are_one_user_with_the_threads_of_all(case: TestDatabase) {
    let (old, _) = Maker::Pakton.make(&case, "oddities").await;
    let report = old.import_into(&case.url, &[]);

    let threads = "select count(distinct owner_id), count(*) from conversations \
                   where thread_id in ('of-0', 'of-1', 'of-2')";
    assert_eq!(look(&case.url, threads), [[1, 3]]);
    let user =
        "select count(*) from users where email_key = 'ada@example.org' and email_verified_at is not null";
    assert_eq!(look(&case.url, user), [[1]]);
    let same: Vec<&Reported> =
        report.reported.iter().filter(|it| it.table == "users" && it.needs_review).collect();
    assert!(same.len() >= 2 && same.iter().any(|it| it.problem.contains("in another spelling")), "{same:?}");
    assert_eq!(old.import_into(&case.url, &[]).need_review, 0, "reported once");
}

async fn short_names_names_with_joiners_and_names_that_are_addresses_stay(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "oddities").await;
    old.import_into(&case.url, &[]);

    for name in ["ab", "李娜", "نامه\u{200c}ای", "login@example.org"] {
        let named = format!("select count(*) from users where username = '{name}'");
        assert_eq!(look(&case.url, &named), [[1]], "{name}");
    }
    let login =
        "select email_key from users where username = 'login@example.org' and email_verified_at is null";
    assert_eq!(look(&case.url, login), [["login@example.org"]]);
    let other = "select count(*) from users where username_key = 'other@example.org'";
    assert_eq!(look(&case.url, other), [[0]]);
}

async fn an_imported_database_is_sound(case: TestDatabase) {
    for maker in Maker::ALL {
        let case = backend_of(&case).database().await;
        let (old, _) = maker.make(&case, "oddities").await;
        old.import_into(&case.url, &[]);
        let gaps = look(
            &case.url,
            "select c.id, c.last_seq, c.message_count, count(m.seq), max(m.seq) from conversations c \
             left join messages m on m.owner_id = c.owner_id and m.conversation_id = c.id \
             group by c.owner_id, c.id, c.last_seq, c.message_count \
             having c.message_count <> count(m.seq) or c.last_seq <> coalesce(max(m.seq), 0)",
        );
        assert!(gaps.is_empty(), "{maker:?}: {gaps:?}");
        let not_of_an_answer = look(
            &case.url,
            "select m.id, m.role from responses r join messages m on m.owner_id = r.owner_id and m.id = r.message_id \
             where m.role <> 'assistant'",
        );
        assert!(not_of_an_answer.is_empty(), "{maker:?}: {not_of_an_answer:?}");
        let backwards = look(&case.url, "select id from conversations where updated_at < created_at");
        assert!(backwards.is_empty(), "{maker:?}: {backwards:?}");
    }
}
