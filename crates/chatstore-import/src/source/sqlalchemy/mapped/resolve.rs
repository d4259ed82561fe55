//! Finds the tables and columns that a mapping names.

use chatstore_sql::{ExternalDatabase, ExternalTable, Joined, Selection};

use super::super::SqlalchemyError;
use super::super::mapping::{Expression, Filter, Join, Mapping, Section, Value, ValueMap};
use super::fields::{TARGETS, Target, mismatch};
use super::read::{Read, ReadField};

/// A table that a mapping names, ready to be read.
#[derive(Debug)]
pub(in crate::source::sqlalchemy) struct MappedTable {
    pub(super) target: Target,
    /// The section's table, and those that are joined.
    pub(super) tables: Vec<ExternalTable>,
    joins: Vec<ResolvedJoin>,
    /// The columns that are read of each table.
    columns: Vec<Vec<String>>,
    order: Vec<(usize, String)>,
    pub(super) fields: Vec<ReadField>,
    /// Columns without a field, with their places and whether they hold JSON.
    pub(super) kept: Vec<(usize, String, bool)>,
    /// The place of the filter's column.
    pub(super) filter: Option<(usize, Filter)>,
    /// Whether rows that say the same are one.
    pub(super) is_distinct: bool,
    /// Whether the rows' order is that of the mapping, and not that of their times.
    pub(super) is_ordered: bool,
    /// Columns that are not read, as the mapping says.
    pub(super) ignored: Vec<String>,
}

#[derive(Debug)]
struct ResolvedJoin {
    column: String,
    of: (usize, String),
}

impl MappedTable {
    pub(super) fn selection(&self) -> Selection<'_> {
        let names = |place: usize| self.columns[place].iter().map(String::as_str).collect();
        let joined = self.joins.iter().zip(1..).map(|(join, place)| Joined {
            table: &self.tables[place],
            columns: names(place),
            key: &join.column,
            of: (join.of.0, &join.of.1),
        });
        Selection {
            table: &self.tables[0],
            columns: names(0),
            joined: joined.collect(),
            without: None,
            order: self.order.iter().map(|(place, name)| (*place, name.as_str())).collect(),
            identified: Vec::new(),
        }
    }

    /// The name of the column at a place of a row.
    pub(super) fn column_at(&self, place: usize) -> Option<&str> {
        self.columns.iter().flatten().nth(place).map(String::as_str)
    }

    pub(super) fn has_field(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }
}

/// The tables of a mapping in this database, in the order in which they are read.
pub(in crate::source::sqlalchemy) async fn resolve(
    database: &ExternalDatabase,
    mapping: &Mapping,
) -> Result<Vec<MappedTable>, SqlalchemyError> {
    for name in ["responses", "chats"] {
        if let Some(section) = mapping.section(name) {
            let problem = format!(
                "line {}: [{name}] belongs to a schema that is known; name it (schema = \"chat-app\"), or use users, \
                 conversations, messages, documents and members",
                section.line
            );
            return Err(SqlalchemyError::Mapping(problem));
        }
    }
    if let Some(messages) = mapping.section("messages")
        && mapping.section("conversations").is_none()
    {
        let problem = format!(
            "line {}: [messages] needs [conversations]; where the database has no such table, take the ids from that of \
             the messages, with distinct = true",
            messages.line
        );
        return Err(SqlalchemyError::Mapping(problem));
    }
    let mut tables = Vec::new();
    for target in TARGETS {
        if let Some(section) = mapping.section(target.name) {
            tables.push(resolve_section(database, target, section).await?);
        }
    }
    if tables.is_empty() {
        return Err(SqlalchemyError::Mapping("line 1: it names no table".to_owned()));
    }
    Ok(tables)
}

/// A section, read but for its columns.
#[derive(Default)]
struct Parsed {
    table: Option<(String, usize)>,
    joins: Vec<Join>,
    order: Option<(Vec<String>, usize)>,
    ignored: Option<(Vec<String>, usize)>,
    filter: Option<Filter>,
    is_distinct: bool,
    fields: Vec<(&'static str, ValueMap)>,
}

fn parse(target: Target, section: &Section) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    for (name, node) in &section.entries {
        match name.as_str() {
            "table" => parsed.table = Some((node.text("table")?.to_owned(), node.line)),
            "joins" => parsed.joins = Join::parse_all(node)?,
            "order" => parsed.order = Some((node.texts("order")?, node.line)),
            "ignore" => parsed.ignored = Some((node.texts("ignore")?, node.line)),
            "only" | "skip" => parsed.filter = Some(Filter::parse(node, name == "only")?),
            "distinct" => match node.value {
                Value::Flag(flag) => parsed.is_distinct = flag,
                _ => return Err(node.wrong(format!("distinct is true or false, not {}", node.kind()))),
            },
            _ => {
                let what = format!("{}.{name}", target.name);
                let Some(field) = target.fields.iter().find(|field| *field == name) else {
                    return Err(node.wrong(format!(
                        "there is no field {what}; the fields are {}, and beside them table, joins, order, distinct, \
                         only, skip and ignore",
                        target.fields.join(", ")
                    )));
                };
                parsed.fields.push((*field, ValueMap::parse(node, &what)?));
            }
        }
    }
    for fields in target.required {
        if !parsed.fields.iter().any(|(name, _)| fields.contains(name)) {
            let (name, needed) = (target.name, fields.join(" or "));
            return Err(format!("line {}: [{name}] does not say what {needed} is", section.line));
        }
    }
    if target.name == "messages" && parsed.order.is_none() && !has_time(&parsed) {
        return Err(format!(
            "line {}: [messages] does not say in which order they are; add created_at, or order = [\"id\"]",
            section.line
        ));
    }
    Ok(parsed)
}

fn has_time(parsed: &Parsed) -> bool {
    parsed.fields.iter().any(|(name, _)| *name == "created_at")
}

async fn resolve_section(
    database: &ExternalDatabase,
    target: Target,
    section: &Section,
) -> Result<MappedTable, SqlalchemyError> {
    let parsed = parse(target, section).map_err(SqlalchemyError::Mapping)?;
    let (name, line) = parsed.table.clone().unwrap_or_else(|| (target.name.to_owned(), section.line));
    let mut tables = vec![find_table(database, &name, line).await?];
    for join in &parsed.joins {
        tables.push(find_table(database, &join.table, join.line).await?);
    }
    columns_of(target, parsed, tables).map_err(SqlalchemyError::Mapping)
}

async fn find_table(
    database: &ExternalDatabase,
    name: &str,
    line: usize,
) -> Result<ExternalTable, SqlalchemyError> {
    match database.table(name).await? {
        Some(table) => Ok(table),
        None => {
            let names = database.table_names().await?.join(", ");
            let problem = format!("line {line}: there is no table {name}; the database has {names}");
            Err(SqlalchemyError::Mapping(problem))
        }
    }
}

fn columns_of(target: Target, parsed: Parsed, tables: Vec<ExternalTable>) -> Result<MappedTable, String> {
    let mut joins = Vec::new();
    for (join, place) in parsed.joins.iter().zip(1..) {
        let known = &tables[..place];
        find_column(&tables[place..=place], &join.column, join.line)?;
        joins.push(ResolvedJoin {
            column: join.column.clone(),
            of: find_column(known, &join.equals, join.line)?,
        });
    }
    let ignored = parsed.ignored.clone().unwrap_or_default();
    for name in &ignored.0 {
        find_column(&tables[..1], name, ignored.1)?;
    }
    let mut needed: Vec<(usize, String)> = Vec::new();
    for (field, map) in &parsed.fields {
        collect(&map.expression, &mut |name, line, path| {
            let found = find_column(&tables, name, line)?;
            let declared =
                tables[found.0].column(&found.1).map(|column| column.declared.clone()).unwrap_or_default();
            if let Some(reason) = mismatch(field, &declared, map, !path.is_empty()) {
                let table = &tables[found.0].name;
                return Err(format!(
                    "line {line}: {}.{field} cannot be read from the column {name} of {table}: {reason}",
                    target.name
                ));
            }
            needed.push(found);
            Ok(())
        })?;
    }
    let filter = match parsed.filter {
        None => None,
        Some(filter) => {
            let found = find_column(&tables, &filter.column, filter.line)?;
            needed.push(found.clone());
            Some((found, filter))
        }
    };
    let mut columns: Vec<Vec<String>> = vec![Vec::new(); tables.len()];
    for (place, table) in tables.iter().enumerate() {
        for column in &table.columns {
            let is_needed = needed.contains(&(place, column.name.clone()));
            let is_kept = place == 0 && !parsed.is_distinct && !ignored.0.contains(&column.name);
            if is_needed || is_kept {
                columns[place].push(column.name.clone());
            }
        }
    }
    let index = |(place, name): &(usize, String)| {
        let before: usize = columns[..*place].iter().map(Vec::len).sum();
        before + columns[*place].iter().position(|column| column == name).unwrap_or_default()
    };
    let is_json = |(place, name): &(usize, String)| {
        tables[*place].column(name).is_some_and(|column| column.declared.starts_with("json"))
    };
    let compile_column = |name: &str, line: usize| {
        let found = find_column(&tables, name, line)?;
        Ok::<_, String>((index(&found), is_json(&found)))
    };
    let fields = parsed
        .fields
        .iter()
        .map(|(name, map)| {
            Ok(ReadField { name, read: compile(&map.expression, &compile_column)?, map: map.clone() })
        })
        .collect::<Result<Vec<_>, String>>()?;
    let kept = columns[0]
        .iter()
        .map(|name| (0, name.clone()))
        .filter(|column| !needed.contains(column))
        .map(|column| (index(&column), column.1.clone(), is_json(&column)))
        .collect();
    let (order, is_ordered) = match &parsed.order {
        Some((names, line)) => {
            let order = names.iter().map(|name| find_column(&tables, name, *line));
            (order.collect::<Result<Vec<_>, _>>()?, true)
        }
        None if parsed.is_distinct => {
            let all = columns.iter().enumerate();
            (
                all.flat_map(|(place, names)| names.iter().map(move |name| (place, name.clone()))).collect(),
                false,
            )
        }
        None => (
            natural_order(&parsed.fields, &tables)?,
            !parsed.fields.iter().any(|(name, _)| *name == "created_at"),
        ),
    };
    let filter = filter.map(|(found, filter)| (index(&found), filter));
    Ok(MappedTable {
        target,
        joins,
        order,
        fields,
        kept,
        filter,
        is_distinct: parsed.is_distinct,
        is_ordered,
        ignored: ignored.0,
        columns,
        tables,
    })
}

/// By time and id, where these are columns.
fn natural_order(
    fields: &[(&'static str, ValueMap)],
    tables: &[ExternalTable],
) -> Result<Vec<(usize, String)>, String> {
    let mut order = Vec::new();
    for wanted in ["created_at", "id"] {
        let Some((_, map)) = fields.iter().find(|(name, _)| *name == wanted) else { continue };
        collect(&map.expression, &mut |name, line, path| {
            if path.is_empty() {
                order.push(find_column(tables, name, line)?);
            }
            Ok(())
        })?;
    }
    Ok(order)
}

/// Tells of each column that an expression names.
fn collect(
    expression: &Expression,
    tell: &mut impl FnMut(&str, usize, &[String]) -> Result<(), String>,
) -> Result<(), String> {
    match expression {
        Expression::Column { name, line, path } => tell(name, *line, path),
        Expression::Constant(_) => Ok(()),
        Expression::Joined { parts, .. } | Expression::First(parts) => {
            parts.iter().try_for_each(|part| collect(part, tell))
        }
    }
}

fn compile(
    expression: &Expression,
    column: &impl Fn(&str, usize) -> Result<(usize, bool), String>,
) -> Result<Read, String> {
    let all =
        |parts: &[Expression]| parts.iter().map(|part| compile(part, column)).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        Expression::Column { name, line, path } => {
            let (index, is_json) = column(name, *line)?;
            Read::Cell { index, is_json, path: path.clone() }
        }
        Expression::Constant(text) => Read::Constant(text.clone()),
        Expression::Joined { parts, separator } => {
            Read::Joined { parts: all(parts)?, separator: separator.clone() }
        }
        Expression::First(parts) => Read::First(all(parts)?),
    })
}

/// The place of a table, and its column of this name; `runs.id` is a column of a joined table.
fn find_column(tables: &[ExternalTable], name: &str, line: usize) -> Result<(usize, String), String> {
    let Some(main) = tables.first() else { return Err(format!("line {line}: there is no table")) };
    if main.column(name).is_some() {
        return Ok((0, name.to_owned()));
    }
    if let Some((table, column)) = name.rsplit_once('.') {
        let is_named = |known: &ExternalTable| {
            known.name == table || known.name.rsplit_once('.').is_some_and(|(_, last)| last == table)
        };
        if let Some(place) = tables.iter().position(is_named) {
            return match tables[place].column(column) {
                Some(_) => Ok((place, column.to_owned())),
                None => Err(no_column(&tables[place], column, line)),
            };
        }
    }
    Err(no_column(main, name, line))
}

fn no_column(table: &ExternalTable, name: &str, line: usize) -> String {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    format!(
        "line {line}: the table {} has no column {name}; its columns are {}",
        table.name,
        columns.join(", ")
    )
}
