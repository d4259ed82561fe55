//! PostgreSQL's catalog, which spells every definition itself.

use super::rows::{is_of_the_history, object, query, texts};
use crate::catalog::Catalog;
use crate::connection::Connection;
use crate::error::{DatabaseError, MigrationError};
use crate::history::quoted;

const RELATIONS: &str = "\
select relname, relkind, relpersistence,
       case when relkind in ('v', 'm') then pg_get_viewdef(oid, true) end
from pg_catalog.pg_class
where relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  and relkind in ('r', 'p', 'v', 'm', 'f')
order by relname";

const COLUMNS: &str = "\
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
       || case when a.attcollation <> t.typcollation then ' collate ' || quote_ident(l.collname) else '' end
       || case when a.attnotnull then ' not null' else '' end
       || case when a.attidentity <> '' then ' identity ' || cast(a.attidentity as text) else '' end
       || case when d.adbin is null then ''
               when a.attgenerated <> '' then ' generated ' || pg_get_expr(d.adbin, d.adrelid, true)
               else ' default ' || pg_get_expr(d.adbin, d.adrelid, true) end
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_collation l on l.oid = a.attcollation
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  and c.relkind in ('r', 'p', 'f') and a.attnum > 0 and not a.attisdropped
order by c.relname, a.attnum";

/// Not-null belongs to the column, even where it is a constraint with a name.
const CONSTRAINTS: &str = "\
select c.relname, n.conname, pg_get_constraintdef(n.oid, true)
from pg_catalog.pg_constraint n
join pg_catalog.pg_class c on c.oid = n.conrelid
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  and n.contype in ('p', 'u', 'f', 'c', 'x')
order by c.relname, n.conname";

/// Indexes that do not belong to a constraint. A foreign key has no index; it names the one that proves it.
const INDEXES: &str = "\
select c.relname, i.relname,
       pg_get_indexdef(x.indexrelid, 0, true) || case when x.indisvalid then '' else ' (invalid)' end
from pg_catalog.pg_index x
join pg_catalog.pg_class i on i.oid = x.indexrelid
join pg_catalog.pg_class c on c.oid = x.indrelid
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  and not exists (select 1 from pg_catalog.pg_constraint n
                  where n.conindid = x.indexrelid and n.contype in ('p', 'u', 'x'))
order by c.relname, i.relname";

pub(super) async fn read(connection: &mut dyn Connection) -> Result<Catalog, MigrationError> {
    let mut catalog = Catalog::default();
    for row in query(connection, RELATIONS).await? {
        let [name, kind, persistence, definition] = texts(row);
        let (kind, of_kind) = match kind.as_str() {
            "v" | "m" => ("view", definition),
            "p" => ("table", "partitioned".to_owned()),
            "f" => ("table", "foreign".to_owned()),
            _ if persistence == "u" => ("table", "unlogged".to_owned()),
            _ => ("table", String::new()),
        };
        if !is_of_the_history(&name) {
            catalog.add(object(kind, &name, ""), of_kind);
        }
    }
    for (kind, sql) in [("column", COLUMNS), ("constraint", CONSTRAINTS), ("index", INDEXES)] {
        for row in query(connection, sql).await? {
            let [table, name, definition] = texts(row);
            if !is_of_the_history(&table) {
                catalog.add(object(kind, &table, &name), definition);
            }
        }
    }
    Ok(catalog)
}

/// Whether an index is complete; `None` when it does not exist.
pub(crate) async fn index_is_complete(
    connection: &mut dyn Connection,
    name: &str,
) -> Result<Option<bool>, DatabaseError> {
    let sql = format!(
        "select cast(indisvalid and indisready as integer) from pg_catalog.pg_index \
         where indexrelid = to_regclass({})",
        quoted(name)
    );
    let rows = connection.query(&sql).await?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()).map(|is_valid| is_valid == "1"))
}
