//! Revisions that take some time: tables with rows, a branch and a merge, a data step, indexes that
//! are built outside a transaction.

use chatstore_bench::error::Error;
use chatstore_sql::migrate::{DataSteps, Revision, RevisionFiles, StepAnswer, StepConnection};

/// How many there are.
pub(crate) const COUNT: usize = 8;

/// The functions that they name.
pub(crate) const STEPS: DataSteps = &[("name_rows", name_rows)];

fn name_rows<'a>(connection: &'a mut StepConnection<'_>) -> StepAnswer<'a> {
    Box::pin(async move {
        let sql = "update parents set name = 'parent ' || id where id in \
                   (select id from parents where name is null order by id limit 500) returning id";
        connection.batches(sql).await?;
        Ok(())
    })
}

struct Step {
    id: &'static str,
    slug: &'static str,
    revises: &'static [&'static str],
    more: &'static str,
    up: &'static str,
    down: &'static str,
}

const ALL: [Step; COUNT] = [
    Step {
        id: "000000000001",
        slug: "parents",
        revises: &[],
        more: "",
        up: "create table parents (id bigint not null primary key, name text);\n\
             insert into parents (id) with recursive numbers (id) as \
             (select 1 union all select id + 1 from numbers where id < 3000) select id from numbers;",
        down: "drop table parents;",
    },
    Step {
        id: "000000000002",
        slug: "children",
        revises: &["000000000001"],
        more: "",
        up: "create table children (id bigint not null primary key, parent_id bigint not null \
             references parents (id) on delete cascade);\n\
             insert into children (id, parent_id) select id, id from parents;",
        down: "drop table children;",
    },
    Step {
        id: "000000000003",
        slug: "index_of_names",
        revises: &["000000000002"],
        more: "transaction = false",
        up: "create index concurrently ix_parents_name on parents (name)",
        down: "drop index concurrently ix_parents_name",
    },
    Step {
        id: "000000000004",
        slug: "names",
        revises: &["000000000003"],
        more: "data_step = \"name_rows\"",
        up: "",
        down: "update parents set name = null;",
    },
    Step {
        id: "000000000005",
        slug: "another_branch",
        revises: &["000000000001"],
        more: "",
        up: "create table notes (id bigint not null primary key, note text);\n\
             insert into notes (id, note) select id, 'note' from parents;",
        down: "drop table notes;",
    },
    Step {
        id: "000000000006",
        slug: "join_branches",
        revises: &["000000000004", "000000000005"],
        more: "",
        up: "",
        down: "",
    },
    Step {
        id: "000000000007",
        slug: "index_of_children",
        revises: &["000000000006"],
        more: "transaction = false",
        up: "create unique index concurrently ix_children_parent_id on children (parent_id, id)",
        down: "drop index concurrently ix_children_parent_id",
    },
    Step {
        id: "000000000008",
        slug: "column",
        revises: &["000000000007"],
        more: "breaking = true",
        up: "alter table notes add column author text;\nupdate notes set author = 'ada';",
        down: "alter table notes drop column author;",
    },
];

/// Replaces an index by one that PostgreSQL builds long enough to be killed meanwhile.
const SLOW: [&str; 2] = ["(parent_id, id)", "(parent_id, id, md5(repeat(cast(id as text), 3000)))"];

/// The revisions; both branches are joined, so there is one head.
pub(crate) fn all() -> Result<Vec<Revision>, Error> {
    let mut revisions = Vec::with_capacity(COUNT);
    for Step { id, slug, revises, more, up, down } in ALL {
        let on_sqlite = |text: &str| Some(text.replace(" concurrently", "").into());
        revisions.push(Revision::parse(RevisionFiles {
            folder: format!("{id}_{slug}").into(),
            description: format!(
                "id = {id:?}\nslug = {slug:?}\nmessage = {slug:?}\nrevises = {revises:?}\n{more}\n"
            )
            .into(),
            up_sqlite: on_sqlite(up),
            up_postgres: Some(up.replace(SLOW[0], SLOW[1]).into()),
            down_sqlite: on_sqlite(down),
            down_postgres: Some(down.into()),
        })?);
    }
    Ok(revisions)
}
