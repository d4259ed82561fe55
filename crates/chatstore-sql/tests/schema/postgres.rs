//! What PostgreSQL says of its schema.

use tokio_postgres::{Client, NoTls};

use crate::catalog::{Catalog, Column, ForeignKey, HISTORY, Index, Key, Table};

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub async fn catalog(client: &Client) -> Catalog {
    let mut catalog = Catalog::new();
    let names = "select relname::text from pg_class \
        where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and relname::text not like $1";
    for row in client.query(names, &[&HISTORY]).await.unwrap() {
        let name: String = row.get(0);
        let mut table = Table { columns: columns(client, &name).await, ..Table::default() };
        constraints(client, &name, &mut table).await;
        table.indexes = indexes(client, &name).await;
        table.uniques.sort_unstable();
        table.foreign_keys.sort_unstable();
        catalog.insert(name, table);
    }
    catalog
}

async fn columns(client: &Client, table: &str) -> Vec<Column> {
    let sql = "select a.attname::text, format_type(a.atttypid, a.atttypmod), not a.attnotnull, c.collname::text \
        from pg_attribute a left join pg_collation c on c.oid = a.attcollation \
        where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum";
    let rows = client.query(sql, &[&table]).await.unwrap();
    let read = |row: &tokio_postgres::Row| Column {
        name: row.get(0),
        kind: row.get(1),
        nullable: row.get(2),
        collation: row.get(3),
    };
    rows.iter().map(read).collect()
}

async fn constraints(client: &Client, name: &str, table: &mut Table) {
    let sql = "select contype::text, conname::text, pg_get_constraintdef(oid), confrelid::regclass::text, \
        confdeltype::text, confupdtype::text, \
        array(select attname::text from unnest(conkey) with ordinality as k (number, place) \
              join pg_attribute on attrelid = conrelid and attnum = number order by place), \
        array(select attname::text from unnest(confkey) with ordinality as k (number, place) \
              join pg_attribute on attrelid = confrelid and attnum = number order by place) \
        from pg_constraint where conrelid = $1::text::regclass";
    for row in client.query(sql, &[&name]).await.unwrap() {
        let (kind, name, text): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let columns: Vec<String> = row.get(6);
        match kind.as_str() {
            "p" => table.primary_key = Key { name, columns },
            "u" => table.uniques.push(Key { name, columns }),
            "f" => table.foreign_keys.push(ForeignKey {
                name,
                columns,
                parent: row.get(3),
                parent_columns: row.get(7),
                on_delete: action(row.get(4)),
                on_update: action(row.get(5)),
            }),
            "c" => {
                table.checks.insert(name, text);
            }
            other => panic!("{name} is a constraint of the unknown kind {other}"),
        }
    }
}

fn action(letter: &str) -> String {
    let words = [("a", "no action"), ("r", "restrict"), ("c", "cascade"), ("n", "set null")];
    let (_, word) = words.iter().find(|(known, _)| *known == letter).unwrap();
    (*word).to_owned()
}

/// Those that belong to no constraint.
async fn indexes(client: &Client, table: &str) -> Vec<Index> {
    let sql = "select c.relname::text, pg_get_expr(i.indpred, i.indrelid), \
        array(select pg_get_indexdef(i.indexrelid, place, true) \
              || case when o.opcdefault then '' else ' ' || o.opcname end \
              || case when i.indoption[place - 1] & 1 = 1 then ' desc' else '' end \
              from generate_series(1, i.indnkeyatts) as place \
              join pg_opclass o on o.oid = i.indclass[place - 1] order by place), \
        nullif(m.amname::text, 'btree'), i.indisunique \
        from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam \
        where i.indrelid = $1::text::regclass \
        and not exists (select from pg_constraint where conindid = i.indexrelid and conrelid = i.indrelid) \
        order by 1";
    let rows = client.query(sql, &[&table]).await.unwrap();
    let read = |row: &tokio_postgres::Row| {
        let predicate: Option<String> = row.get(1);
        Index {
            name: row.get(0),
            columns: row.get(2),
            predicate: predicate.map(|text| without_casts(&text)),
            method: row.get(3),
            is_unique: row.get(4),
        }
    };
    rows.iter().map(read).collect()
}

fn without_casts(predicate: &str) -> String {
    predicate.replace(['(', ')'], "").replace("::text", "").to_lowercase()
}
