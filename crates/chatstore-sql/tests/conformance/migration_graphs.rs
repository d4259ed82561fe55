//! Revisions in branches: applied, merged, undone and stamped.

use chatstore_model::IdSource;
use chatstore_sql::migrate::{MigrationEvent, Revision, Target};
use chatstore_sql::{Database, MigrationError, Sql};
use chatstore_testkit::{SeededIds, TestDatabase, conformance};

use crate::migration_fixtures::{
    files, history, ids, lines, log, migrator, open, open_fresh, schema, statements, table,
};

conformance!(
    two_heads_are_refused_and_nothing_is_applied,
    branches_of_two_developers_reach_the_merge_whichever_was_applied_before,
    random_graphs_with_a_random_part_applied_reach_every_head_and_go_back_to_nothing,
    what_a_revision_of_another_branch_needs_is_applied_before_it,
    going_back_to_a_revision_leaves_other_branches_alone,
    a_part_of_the_path_is_applied_on_request,
    an_applied_revision_with_one_byte_changed_is_named_by_every_command,
    a_failing_revision_leaves_those_before_it_and_an_entry_in_the_log,
    an_upgrade_that_another_process_overtakes_stops,
    what_cannot_be_undone_or_would_lose_data_is_refused_before_anything_is_undone,
    a_stamp_writes_the_history_and_runs_nothing,
    a_stamp_of_tables_that_do_not_exist_is_refused,
    a_stamp_records_the_new_text_of_an_edited_revision,
    a_revision_that_is_unknown_stops_a_migration_and_a_server_only_when_it_is_breaking,
    a_foreign_history_is_refused,
);

const ROOT: &str = "000000000001";
const LEFT: &str = "00000000000a";
const RIGHT: &str = "00000000000b";
const MERGE: &str = "00000000000c";

const fn silent(_: &MigrationEvent<'_>) {}

async fn upgrade(
    database: &Database,
    revisions: &[Revision],
    target: Target,
) -> Result<Vec<String>, MigrationError> {
    let migrations = database.migrations_by(migrator(revisions.to_vec()));
    let done = migrations.upgrade(target, silent).await?;
    Ok(done.into_iter().map(|revision| revision.id).collect())
}

async fn downgrade(
    database: &Database,
    revisions: &[Revision],
    target: Target,
) -> Result<Vec<String>, MigrationError> {
    let migrations = database.migrations_by(migrator(revisions.to_vec()));
    let done = migrations.downgrade(target, true, silent).await?;
    Ok(done.into_iter().map(|revision| revision.id).collect())
}

fn branches() -> Vec<Revision> {
    vec![table(ROOT, &[], ""), table(LEFT, &[ROOT], "labels = [\"left\"]"), table(RIGHT, &[ROOT], "")]
}

fn merge() -> Revision {
    statements(MERGE, &[LEFT, RIGHT], "destructive = false", "-- nothing\n", "")
}

fn name(id: &str) -> Target {
    Target::Revision(id.to_owned())
}

async fn two_heads_are_refused_and_nothing_is_applied(case: TestDatabase) {
    let database = open_fresh(&case).await;

    let error = upgrade(&database, &branches(), Target::Head).await.unwrap_err();

    assert!(matches!(&error, MigrationError::SeveralHeads(heads) if *heads == [LEFT, RIGHT]), "{error}");
    assert!(error.to_string().contains("merge -m TEXT 00000000000a 00000000000b"), "{error}");
    assert_eq!(schema(&database).await, [] as [&str; 0]);
    assert_eq!(upgrade(&database, &branches(), Target::Heads).await.unwrap(), [ROOT, LEFT, RIGHT]);
}

async fn branches_of_two_developers_reach_the_merge_whichever_was_applied_before(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let merged = [branches(), vec![merge()]].concat();
    for (own, other) in [(LEFT, RIGHT), (RIGHT, LEFT)] {
        assert_eq!(upgrade(&database, &branches(), name(own)).await.unwrap(), [ROOT, own]);
        assert_eq!(upgrade(&database, &merged, Target::Head).await.unwrap(), [other, MERGE]);
        assert_eq!(downgrade(&database, &merged, Target::Base).await.unwrap(), [MERGE, RIGHT, LEFT, ROOT]);
    }
}

async fn random_graphs_with_a_random_part_applied_reach_every_head_and_go_back_to_nothing(
    case: TestDatabase,
) {
    let database = open_fresh(&case).await;
    let random = SeededIds::new(11);
    let below = |limit: usize| {
        let mut bytes = [0; 8];
        random.random(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % limit as u64).unwrap()
    };
    for _ in 0..12 {
        let names: Vec<String> =
            (0..2 + below(9)).map(|number| format!("{number:02}{:010x}", below(1 << 30))).collect();
        let mut revisions = Vec::new();
        for (position, id) in names.iter().enumerate() {
            let earlier: Vec<&str> =
                names[..position].iter().filter(|_| below(3) == 0).map(String::as_str).collect();
            let (revises, depends_on) = earlier.split_at(below(earlier.len() + 1));
            // Fails, up and down, where a revision that it builds on is not applied.
            let parents: String = earlier.iter().map(|id| format!("delete from t_{id};\n")).collect();
            let (up, down) = (format!("create table t_{id} (id bigint);"), format!("drop table t_{id};"));
            revisions.push(statements(
                id,
                revises,
                &format!("depends_on = {depends_on:?}"),
                &format!("{parents}{up}"),
                &format!("{parents}{down}"),
            ));
        }
        for revision in &revisions {
            if below(3) == 0 {
                upgrade(&database, &revisions, name(&revision.id)).await.unwrap();
            }
        }

        upgrade(&database, &revisions, Target::Heads).await.unwrap();

        assert_eq!(history(&database).await.len(), revisions.len());
        let schema_of_all = schema(&database).await;
        for id in &names {
            assert!(schema_of_all.iter().any(|line| line.contains(&format!("t_{id}"))), "{id}");
        }
        for _ in 0..below(revisions.len()) {
            assert_eq!(downgrade(&database, &revisions, Target::Back(1)).await.unwrap().len(), 1);
        }
        downgrade(&database, &revisions, Target::Base).await.unwrap();
        assert_eq!(history(&database).await, [] as [&str; 0]);
        assert!(schema(&database).await.iter().all(|line| line.contains("chatstore_migrations")));
    }
}

async fn what_a_revision_of_another_branch_needs_is_applied_before_it(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let revisions = [
        table(ROOT, &[], ""),
        table(LEFT, &[ROOT], &format!("depends_on = [{RIGHT:?}]\nlabels = [\"left\"]")),
        table(RIGHT, &[ROOT], ""),
    ];
    assert_eq!(upgrade(&database, &revisions, name("left@head")).await.unwrap(), [ROOT, RIGHT, LEFT]);
    assert_eq!(downgrade(&database, &revisions, name(RIGHT)).await.unwrap(), [LEFT]);
}

async fn going_back_to_a_revision_leaves_other_branches_alone(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let after_left = "00000000000d";
    let revisions = [branches(), vec![table(after_left, &[LEFT], "")]].concat();
    upgrade(&database, &revisions, Target::Heads).await.unwrap();

    assert_eq!(downgrade(&database, &revisions, name(LEFT)).await.unwrap(), [after_left]);
    let error = downgrade(&database, &revisions, name(after_left)).await.unwrap_err();
    assert!(error.to_string().contains("00000000000d (made_up) is not applied"), "{error}");
    let applied =
        lines(&database, Sql::same("test.ids", "select revision from chatstore_migrations order by 1"));
    assert_eq!(applied.await, [ROOT, LEFT, RIGHT]);
}

async fn a_part_of_the_path_is_applied_on_request(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let revisions = branches();
    assert_eq!(upgrade(&database, &revisions, Target::Forward(2)).await.unwrap(), [ROOT, LEFT]);
    let plan = database.migrations_by(migrator(revisions.clone())).plan(Target::Heads).await.unwrap();
    assert_eq!(ids(&plan), [RIGHT]);
    let error = upgrade(&database, &revisions, Target::Forward(2)).await.unwrap_err();
    assert!(error.to_string().contains("steps left: 1, beginning with 00000000000b (made_up)"), "{error}");
    for (wrong, expected) in
        [("0000", "matches the revisions"), ("f", "there is no revision f"), ("base", "downgrade")]
    {
        let error = upgrade(&database, &revisions, Target::from(wrong)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{wrong}: {error}");
    }
    assert_eq!(upgrade(&database, &revisions, Target::from("00000000000b")).await.unwrap(), [RIGHT]);
}

async fn an_applied_revision_with_one_byte_changed_is_named_by_every_command(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let later = table(RIGHT, &[LEFT], "");
    let revisions = [table(ROOT, &[], ""), table(LEFT, &[ROOT], "")];
    upgrade(&database, &revisions, Target::Head).await.unwrap();
    let before = (schema(&database).await, history(&database).await);
    let mut edited = files(LEFT, &[ROOT], "");
    for text in [&mut edited.up_sqlite, &mut edited.up_postgres] {
        *text = text.take().map(|text| text.replace("name text", "nama text").into());
    }
    let revisions = [table(ROOT, &[], ""), Revision::parse(edited).unwrap(), later];

    let migrations = database.migrations_by(migrator(revisions.to_vec()));
    let verified = migrations.status().await.unwrap().verify().unwrap_err();
    let errors = [
        verified,
        migrations.plan(Target::Head).await.unwrap_err(),
        upgrade(&database, &revisions, Target::Head).await.unwrap_err(),
        downgrade(&database, &revisions, Target::Back(1)).await.unwrap_err(),
    ];

    for error in errors {
        assert!(matches!(&error, MigrationError::Edited(id) if id == LEFT), "{error}");
        assert!(error.to_string().contains(LEFT), "{error}");
    }
    assert_eq!((schema(&database).await, history(&database).await), before);
}

async fn a_failing_revision_leaves_those_before_it_and_an_entry_in_the_log(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let broken = "create table half (id bigint);\ninsert into nowhere values (1);\n";
    let revisions = [table(ROOT, &[], ""), statements(LEFT, &[ROOT], "", broken, "drop table half;")];

    let error = upgrade(&database, &revisions, Target::Head).await.unwrap_err();

    let said = error.to_string();
    assert!(said.contains("applying the revision 00000000000a (made_up) failed"), "{said}");
    assert!(said.contains("nowhere"), "{said}");
    assert_eq!(history(&database).await.len(), 1);
    assert!(!schema(&database).await.iter().any(|line| line.contains("half")));
    let log = log(&database).await;
    assert_eq!(log[0], format!("upgrade {ROOT} "));
    assert!(log[1].starts_with(&format!("failed {LEFT} applying")) && log[1].contains("nowhere"), "{log:?}");
    let mended = [table(ROOT, &[], ""), table(LEFT, &[ROOT], "")];
    assert_eq!(upgrade(&database, &mended, Target::Head).await.unwrap(), [LEFT]);
}

async fn an_upgrade_that_another_process_overtakes_stops(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let revisions = branches();
    upgrade(&database, &revisions, name(ROOT)).await.unwrap();
    let other = open(&if case.url.starts_with("sqlite") {
        case.url.replace("case.db", "fresh.db")
    } else {
        case.url.clone()
    })
    .await;
    let runtime = tokio::runtime::Handle::current();
    let undo_the_root = move |event: &MigrationEvent<'_>| {
        if !matches!(event, MigrationEvent::Applied(revision) if revision.id == LEFT) {
            return;
        }
        let (other, runtime) = (other.clone(), runtime.clone());
        let undone = std::thread::spawn(move || {
            const FORGET: Sql =
                Sql::same("test.forget", "delete from chatstore_migrations where revision = '000000000001'");
            runtime.block_on(other.write("forget", async |tx| tx.execute(&FORGET, &[]).await))
        });
        assert_eq!(undone.join().unwrap().unwrap(), 1);
    };

    let migrations = database.migrations_by(migrator(revisions));
    let error = migrations.upgrade(Target::Heads, undo_the_root).await.unwrap_err();

    assert!(matches!(&error, MigrationError::Overtaken(id) if id.starts_with(RIGHT)), "{error}");
    assert!(!schema(&database).await.iter().any(|line| line.contains(&format!("t_{RIGHT}"))));
}

async fn what_cannot_be_undone_or_would_lose_data_is_refused_before_anything_is_undone(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let mut one_way = files(ROOT, &[], "");
    (one_way.down_sqlite, one_way.down_postgres) = (None, None);
    let revisions = [Revision::parse(one_way).unwrap(), table(LEFT, &[ROOT], "")];
    upgrade(&database, &revisions, Target::Head).await.unwrap();
    let before = (schema(&database).await, history(&database).await);

    let error = downgrade(&database, &revisions, Target::Base).await.unwrap_err();
    let file = format!("has no down.{}.sql", if case.url.starts_with("sqlite") { "sqlite" } else { "pg" });
    assert!(error.to_string().contains(ROOT) && error.to_string().contains(&file), "{error}");
    let migrations = database.migrations_by(migrator(revisions.to_vec()));
    let error = migrations.downgrade(Target::Back(1), false, silent).await.unwrap_err();
    assert!(matches!(&error, MigrationError::Destructive(_)) && error.to_string().contains(LEFT), "{error}");

    assert_eq!((schema(&database).await, history(&database).await), before);
}

async fn a_stamp_writes_the_history_and_runs_nothing(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrations = database.migrations_by(migrator([branches(), vec![merge()]].concat()));
    migrations.upgrade(Target::Head, silent).await.unwrap();
    let before = schema(&database).await;
    migrations.stamp(Target::Base).await.unwrap();
    let noted = log(&database).await.len();

    let stamped = migrations.stamp(name(LEFT)).await.unwrap();

    assert_eq!(ids(&stamped), [ROOT, LEFT]);
    assert_eq!(ids(&migrations.plan(Target::Head).await.unwrap()), [RIGHT, MERGE]);
    assert_eq!(ids(&migrations.stamp(Target::Heads).await.unwrap()), [RIGHT, MERGE]);
    assert_eq!(ids(&migrations.stamp(Target::Heads).await.unwrap()), [] as [&str; 0]);
    assert_eq!(ids(&migrations.stamp(name(ROOT)).await.unwrap()), [LEFT, RIGHT, MERGE]);
    assert_eq!(ids(&migrations.stamp(Target::Base).await.unwrap()), [ROOT]);
    assert_eq!(history(&database).await, [] as [&str; 0]);
    assert_eq!(log(&database).await.len(), noted + 8);
    assert_eq!(schema(&database).await, before);
}

async fn a_stamp_of_tables_that_do_not_exist_is_refused(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let migrations = database.migrations_by(migrator(branches()));

    let error = migrations.stamp(name(LEFT)).await.unwrap_err();

    let MigrationError::OtherTables(deviations) = error else { panic!("{error}") };
    assert_eq!(
        deviations,
        [format!("the table t_{ROOT} is missing"), format!("the table t_{LEFT} is missing")]
    );
    assert_eq!(schema(&database).await, [] as [&str; 0]);
}

async fn a_stamp_records_the_new_text_of_an_edited_revision(case: TestDatabase) {
    let database = open_fresh(&case).await;
    let create =
        |text: &str| statements(ROOT, &[], "", &format!("{text} ours (id bigint);"), "drop table ours;");
    upgrade(&database, &[create("create table")], Target::Head).await.unwrap();
    let edited = [create("create  table")];
    let migrations = database.migrations_by(migrator(edited.to_vec()));
    assert!(migrations.status().await.unwrap().verify().is_err());

    migrations.stamp(name(ROOT)).await.unwrap();

    migrations.status().await.unwrap().verify().unwrap();
}

async fn a_revision_that_is_unknown_stops_a_migration_and_a_server_only_when_it_is_breaking(
    case: TestDatabase,
) {
    let database = open_fresh(&case).await;
    let old = [table(ROOT, &[], "")];
    for (breaking, serves) in [("false", true), ("true", false)] {
        let newer = [table(ROOT, &[], ""), table(LEFT, &[ROOT], &format!("breaking = {breaking}"))];
        upgrade(&database, &newer, Target::Head).await.unwrap();

        let status = database.migrations_by(migrator(old.to_vec())).status().await.unwrap();

        assert_eq!(status.verify_for_service().is_ok(), serves, "{breaking}");
        let error = upgrade(&database, &old, Target::Head).await.unwrap_err();
        assert!(matches!(&error, MigrationError::UnknownRevision(id) if id == LEFT), "{error}");
        downgrade(&database, &newer, Target::Back(1)).await.unwrap();
    }
}

async fn a_foreign_history_is_refused(case: TestDatabase) {
    let database = open_fresh(&case).await;
    upgrade(&database, &branches(), Target::Heads).await.unwrap();
    let own = [table("00000000000f", &[], "")];
    let error = upgrade(&database, &own, Target::Head).await.unwrap_err();
    assert!(matches!(error, MigrationError::ExternalDatabase(_)), "{error}");

    let change = Sql::same("test.foreign", "alter table chatstore_migrations rename column sha256 to md5");
    database.write("foreign", async move |tx| tx.execute(&change, &[]).await).await.unwrap();
    let error = upgrade(&database, &branches(), Target::Heads).await.unwrap_err();
    assert!(error.to_string().contains("other columns than the history of chatstore"), "{error}");
}
