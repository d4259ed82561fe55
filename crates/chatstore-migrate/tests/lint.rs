//! Which hazards of a revision are found, and what is not a hazard.

#![allow(clippy::unwrap_used, missing_docs, reason = "a case that meets the unexpected fails at once")]

use chatstore_migrate::model::{
    Check, Column, ColumnType, Index, IndexPart, Indexed, Key, Method, Schema, SqlText, Storage, Table,
};
use chatstore_migrate::{Dialect, Difference, Parent, Renames, Revision, RevisionFiles, lint};

fn column(name: &str, kind: ColumnType, nullable: bool) -> Column {
    Column { name: name.to_owned(), kind, nullable, default: None }
}

fn key(name: &str, columns: &[&str]) -> Key {
    Key { name: name.to_owned(), columns: columns.iter().map(|name| (*name).to_owned()).collect() }
}

fn check(name: &str, condition: &str) -> Check {
    Check { name: name.to_owned(), condition: SqlText::from(condition) }
}

fn index(name: &str, column: &str, unique: bool) -> Index {
    let of = Indexed::Column(column.to_owned());
    let parts = vec![IndexPart { of, descending: false, operator_class: None }];
    Index { name: name.to_owned(), parts, unique, predicate: None, method: Method::Btree }
}

fn table(name: &str) -> Table {
    Table {
        name: name.to_owned(),
        columns: vec![
            column("id", ColumnType::Uuid, false),
            column("note", ColumnType::Text, true),
            column("size", ColumnType::Int, false),
        ],
        primary_key: key(&format!("pk_{name}"), &["id"]),
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        checks: vec![check("ck_size", "size <= 100"), check("ck_note", "note in ('a', 'b')")],
        indexes: Vec::new(),
        storage: Storage::ByPrimaryKey,
    }
}

/// One table, `things`, changed.
fn things(change: impl FnOnce(&mut Table)) -> Schema {
    let mut things = table("things");
    change(&mut things);
    Schema { tables: vec![things] }
}

fn revision(description: &str, up: [&str; 2], down: [&str; 2]) -> Revision {
    let text = |text: &str| Some(text.to_owned().into());
    let description =
        format!("id = \"00000000000a\"\nslug = \"step\"\nmessage = \"a step\"\nrevises = []\n{description}");
    Revision::parse(RevisionFiles {
        folder: "00000000000a_step".into(),
        description: description.into(),
        up_sqlite: text(up[0]),
        up_postgres: text(up[1]),
        down_sqlite: text(down[0]),
        down_postgres: text(down[1]),
    })
    .unwrap()
}

fn shown(revision: &Revision, parents: &[Parent<'_>], after: Option<&Schema>) -> Vec<String> {
    let line = |finding: &chatstore_migrate::LintFinding| {
        assert!(!finding.what.is_empty() && !finding.instead.is_empty(), "{finding:?}");
        let column = finding.column.as_ref().map(|column| format!(".{column}")).unwrap_or_default();
        format!("{} {}{column}", finding.hazard, finding.table)
    };
    lint(revision, parents, after).iter().map(line).collect()
}

/// The hazards of the SQL that is generated from one schema to another.
fn generated(before: &Schema, after: &Schema, renames: &[&str]) -> Vec<String> {
    let renames = Renames::parse(renames.iter().copied()).unwrap().and_no_others();
    let Difference { up, down } = Difference::between(before, after, &renames).unwrap();
    let both = [Dialect::Sqlite, Dialect::Postgres];
    let [up, down] = [up, down].map(|way| both.map(|dialect| way.sql(dialect)));
    let revision = revision("", [&up[0], &up[1]], [&down[0], &down[1]]);
    let first = self::revision("", ["", ""], ["", ""]);
    let parent = Parent { revision: &first, schema: Some(before.clone()) };
    shown(&revision, &[parent], Some(after))
}

/// The hazards of SQL that was written by hand and has no schemas beside it.
fn by_hand(up: &str) -> Vec<String> {
    let first = revision("", ["", ""], ["", ""]);
    let parent = Parent { revision: &first, schema: None };
    shown(&revision("", ["", up], ["", ""]), &[parent], None)
}

const NONE: [&str; 0] = [];

#[test]
fn a_dropped_table_or_column_is_data_loss() {
    let usual = things(|_| {});
    assert_eq!(generated(&usual, &Schema::default(), &[]), ["data-loss things"]);
    let without = things(|it| {
        it.columns.remove(1);
        it.checks.remove(1);
    });
    assert_eq!(generated(&usual, &without, &[]), ["data-loss things.note"]);
    let unseen = revision("", ["select 1;", "do $$ begin perform 1; end $$;"], ["", ""]);
    let parent = Parent { revision: &unseen, schema: Some(usual) };
    assert_eq!(shown(&unseen, &[parent], Some(&without)), ["data-loss things.note"]);
    let sql = "drop table if exists public.a, \"B\" cascade; alter table c drop d, drop column if exists e;";
    assert_eq!(by_hand(sql), ["data-loss a", "data-loss B", "data-loss c.d", "data-loss c.e"]);
}

#[test]
fn what_is_renamed_or_rebuilt_is_not_lost() {
    let usual = things(|_| {});
    let renamed = things(|it| {
        it.name = "items".to_owned();
        it.columns[1].name = "text".to_owned();
        it.checks[1] = check("ck_note", "text in ('a', 'b')");
    });
    assert_eq!(generated(&usual, &renamed, &["things:items", "items.note:text"]), NONE);
    let anew = "create table new (id uuid); insert into new select id from things; drop table things; \
                alter table new rename to things;";
    assert_eq!(by_hand(anew), NONE);
    let aside = "alter table things rename to old; create table things (id uuid); \
                 insert into things select id from old; drop table old;";
    assert_eq!(by_hand(aside), NONE);
    assert_eq!(by_hand("create table work (id uuid); drop table work;"), NONE);
}

#[test]
fn an_undoing_that_drops_something_is_data_loss_unless_the_revision_says_so() {
    let (before, after) =
        (things(|_| {}), things(|it| it.columns.push(column("new", ColumnType::Text, true))));
    assert_eq!(generated(&before, &after, &[]), NONE);
    let up = "alter table things add column new text;";
    let down = "alter table things drop column new;";
    let marked = revision("destructive = false", [up, up], [down, down]);
    let parent = Parent { revision: &marked, schema: Some(before) };
    assert_eq!(shown(&marked, std::slice::from_ref(&parent), Some(&after)), ["data-loss things.new"]);
    let stays = revision("destructive = false", [up, up], ["", ""]);
    assert_eq!(shown(&stays, &[parent], Some(&after)), NONE);
}

#[test]
fn a_hazard_that_a_revision_allows_is_not_reported_and_others_are() {
    let (up, down) = ("alter table things drop column note;", "alter table things drop column size;");
    let of = |description| {
        let revision = revision(description, ["", up], [down, down]);
        shown(&revision, &[Parent { revision: &revision, schema: None }], None)
    };
    assert_eq!(of(""), ["data-loss things.note"]);
    assert_eq!(of("allow = [\"narrowing\"]"), ["data-loss things.note"]);
    assert_eq!(of("allow = [\"data-loss\"]"), NONE);
    let untrue = "destructive = false\nallow = [\"data-loss\"]";
    assert_eq!(of(untrue), ["data-loss things.size"], "what revision.toml says must be true");
}

#[test]
fn a_type_that_holds_less_is_narrowing_and_one_that_holds_more_is_not() {
    let usual = things(|it| it.checks.clear());
    let with = |place: usize, kind| {
        things(|it| {
            it.checks.clear();
            it.columns[place].kind = kind;
        })
    };
    assert_eq!(generated(&usual, &with(1, ColumnType::Int), &[]), ["narrowing things.note"]);
    assert_eq!(generated(&usual, &with(2, ColumnType::Float), &[]), ["narrowing things.size"]);
    assert_eq!(generated(&usual, &with(2, ColumnType::Text), &[]), NONE);
    let sql = "alter table a alter column b set data type varchar(10), alter c type text;";
    assert_eq!(by_hand(sql), ["narrowing a.b"]);
}

#[test]
fn a_check_that_is_new_or_admits_less_is_narrowing_and_one_that_admits_more_is_not() {
    let usual = things(|_| {});
    let narrowed = |condition: &str, place: usize| {
        let after = things(|it| it.checks[place].condition = SqlText::from(condition));
        let found = generated(&usual, &after, &[]);
        assert_eq!(found.last().unwrap(), "locking-index things", "{condition}");
        found.contains(&"narrowing things".to_owned())
    };
    for narrower in ["size <= 99", "size < 100", "size >= 100", "not size <= 200", "size <= 200 and id = id"]
    {
        assert!(narrowed(narrower, 0), "{narrower}");
    }
    assert!(narrowed("note in ('a')", 1));
    assert!(narrowed("note not in ('a', 'b', 'c')", 1));
    assert!(!narrowed("size <= 200", 0));
    assert!(!narrowed("note in ('c', 'b', 'a')", 1));
    let limited = |condition: &str| things(|it| it.checks[0].condition = SqlText::from(condition));
    let denied = generated(&limited("not size <= 100"), &limited("not size <= 200"), &[]);
    assert_eq!(denied, ["narrowing things", "locking-index things"]);
    assert_eq!(generated(&limited("size > 5"), &limited("size > 0"), &[]), ["locking-index things"]);
    let unrelated = generated(
        &limited("id is not null and size <= 100"),
        &limited("id is not null and size <= 200"),
        &[],
    );
    assert_eq!(unrelated, ["locking-index things"]);
    let added = things(|it| it.checks.push(check("ck_more", "size > 0")));
    assert_eq!(generated(&usual, &added, &[]), ["narrowing things", "locking-index things"]);
    assert_eq!(generated(&added, &usual, &[]), NONE);
    let not_valid = "alter table a add constraint c check (b > 0) not valid;";
    assert_eq!(by_hand(not_valid), ["narrowing a"]);
}

#[test]
fn a_key_over_existing_rows_is_narrowing_unless_they_cannot_be_equal() {
    let usual = things(|_| {});
    let unique = |columns: &[&str]| things(|it| it.uniques.push(key("uq", columns)));
    let both = ["narrowing things.size, note", "locking-index things.size, note"];
    assert_eq!(generated(&usual, &unique(&["size", "note"]), &[]), both);
    assert_eq!(generated(&usual, &unique(&["size", "id"]), &[]), ["locking-index things.size, id"]);
    let indexed = things(|it| it.indexes.push(index("ux", "size", true)));
    assert_eq!(generated(&usual, &indexed, &[]), ["narrowing things.size", "locking-index things.size"]);
    let wider = things(|it| {
        it.indexes.push(index("ux", "size", true));
        it.uniques.push(key("uq", &["size", "note"]));
    });
    assert_eq!(generated(&indexed, &wider, &[]), ["locking-index things.size, note"]);
    let empty = things(|it| {
        it.columns.push(column("new", ColumnType::Text, true));
        it.uniques.push(key("uq", &["new"]));
    });
    assert_eq!(generated(&usual, &empty, &[]), ["locking-index things.new"]);
    let alone = "create unique index concurrently if not exists ux on only a using btree (b, lower(c));";
    assert_eq!(by_hand(alone), ["narrowing a.b"]);
}

#[test]
fn a_column_that_is_set_not_null_is_narrowing_and_wants_values_first() {
    let (usual, required) = (things(|_| {}), things(|it| it.columns[1].nullable = false));
    let all = ["not-null-without-default things.note", "narrowing things.note", "locking-index things.note"];
    assert_eq!(generated(&usual, &required, &[]), all);
    let set = "alter table things alter column note set not null;";
    assert_eq!(by_hand(set), all);
    let filled = format!("update things set note = '' where note is null; {set}");
    assert_eq!(by_hand(&filled), all[1..]);
    let step = revision("data_step = \"fill\"", ["", ""], ["", ""]);
    let parent = Parent { revision: &step, schema: Some(usual.clone()) };
    let later = revision("", ["", set], ["", ""]);
    assert_eq!(shown(&later, &[parent], Some(&required)), all[1..]);
    let proved = things(|it| it.checks.push(check("ck_there", "note is not null")));
    let parent = Parent { revision: &step, schema: Some(proved) };
    assert_eq!(shown(&later, &[parent], Some(&required)), all[1..2]);
}

#[test]
fn a_column_that_is_added_not_null_wants_a_default() {
    let add = |rest: &str| by_hand(&format!("alter table a add column if not exists b {rest};"));
    assert_eq!(add("text collate \"C\" not null"), ["not-null-without-default a.b"]);
    assert_eq!(add("text not null default ''"), NONE);
    assert_eq!(add("bigint not null generated always as identity"), NONE);
    assert_eq!(add("text"), NONE);
    let in_two = "alter table a add b text; update a set b = ''; alter table a alter b set not null;";
    assert_eq!(by_hand(in_two), ["locking-index a.b"]);
    let after = things(|it| it.columns.push(column("new", ColumnType::Text, false)));
    let unseen = revision("", ["select 1;", "do $$ begin perform 1; end $$;"], ["", ""]);
    let parent = Parent { revision: &unseen, schema: Some(things(|_| {})) };
    assert_eq!(shown(&unseen, &[parent], Some(&after)), ["not-null-without-default things.new"]);
}

#[test]
fn an_index_that_is_created_inside_a_transaction_locks_and_a_concurrent_one_does_not() {
    let (usual, indexed) = (things(|_| {}), things(|it| it.indexes.push(index("ix", "size", false))));
    assert_eq!(generated(&usual, &indexed, &[]), ["locking-index things.size"]);
    assert_eq!(generated(&indexed, &usual, &[]), NONE);
    assert_eq!(by_hand("create index on a ((b || c), d);"), ["locking-index a.d"]);
    let alone = "create index concurrently ix on a (b);";
    let first = revision("", ["", ""], ["", ""]);
    let parent = Parent { revision: &first, schema: None };
    let concurrent =
        revision("transaction = false", [&alone.replace("concurrently ", ""), alone], [alone; 2]);
    assert_eq!(shown(&concurrent, &[parent], None), NONE);
}

#[test]
fn a_constraint_that_scans_every_row_locks_unless_the_scan_is_postponed() {
    let foreign = "alter table a add constraint fk foreign key (b) references c (d)";
    assert_eq!(by_hand(&format!("{foreign};")), ["locking-index a.b"]);
    assert_eq!(by_hand(&format!("{foreign} not valid;")), NONE);
    let at_once = format!("{foreign} not valid; alter table a validate constraint fk;");
    assert_eq!(by_hand(&at_once), ["locking-index a"]);
    assert_eq!(by_hand("alter table a validate constraint fk;"), NONE);
    assert_eq!(by_hand("alter table a add column b uuid references c (d);"), ["locking-index a.b"]);
    let key = "alter table a add constraint uq unique using index ux;";
    assert!(!by_hand(key).contains(&"locking-index a".to_owned()));
}

#[test]
fn nothing_done_to_a_table_of_the_same_revision_is_a_hazard() {
    let sql = "create table if not exists a (b text); create index ix on a (b); \
               alter table a add constraint uq unique (b), add column c int not null, drop column b; \
               alter table a rename to d; alter table d alter column c set not null;";
    assert_eq!(by_hand(sql), NONE);
    let indexed = things(|it| it.indexes.push(index("ix", "size", true)));
    assert_eq!(generated(&Schema::default(), &indexed, &[]), NONE);
}

#[test]
fn a_revision_that_joins_branches_has_the_hazards_that_it_has_after_each_of_them() {
    let first = revision("", ["", ""], ["", ""]);
    let parents = [things(|_| {}), things(|it| it.columns[1].nullable = false)]
        .map(|schema| Parent { revision: &first, schema: Some(schema) });
    let required = things(|it| it.columns[1].nullable = false);
    let joins = revision("", ["select 1;"; 2], ["", ""]);
    assert_eq!(shown(&joins, &parents, Some(&required)), NONE);
    assert_ne!(shown(&joins, &parents[..1], Some(&required)), NONE);
    let index = revision("", ["", "create index ix on things (note);"], ["", ""]);
    assert_eq!(shown(&index, &parents, Some(&required)), ["locking-index things.note"]);
}
