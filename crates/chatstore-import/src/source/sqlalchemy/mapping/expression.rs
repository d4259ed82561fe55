//! How a field is read from a row.

use std::collections::BTreeMap;

use jiff::tz::{Offset, TimeZone};

use super::node::{Node, Value};

/// What joins the values of several columns, unless the mapping says otherwise.
const SEPARATOR: &str = "/";

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(in crate::source::sqlalchemy) enum Expression {
    /// A column, or a value in the JSON of one, found by names of keys and numbers of items.
    Column {
        name: String,
        line: usize,
        path: Vec<String>,
    },
    Constant(String),
    /// The values of several columns, joined by a text.
    Joined {
        parts: Vec<Expression>,
        separator: String,
    },
    /// The first that is not null.
    First(Vec<Expression>),
}

/// An expression, and what becomes of its value.
#[derive(Debug, Clone)]
pub(in crate::source::sqlalchemy) struct ValueMap {
    pub(in crate::source::sqlalchemy) expression: Expression,
    pub(in crate::source::sqlalchemy) values: BTreeMap<String, String>,
    /// For a value that is not in `values`, or null.
    pub(in crate::source::sqlalchemy) otherwise: Option<String>,
    pub(in crate::source::sqlalchemy) time: Option<TimeForm>,
    /// The zone of times without one.
    pub(in crate::source::sqlalchemy) zone: Option<TimeZone>,
}

/// How times are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::sqlalchemy) enum TimeForm {
    /// A number since 1970, with how many of it are a second.
    Epoch(i64),
    /// As `strptime` reads it.
    Pattern(String),
}

/// Rows that are read, or are not.
#[derive(Debug, Clone)]
pub(in crate::source::sqlalchemy) struct Filter {
    pub(in crate::source::sqlalchemy) column: String,
    pub(in crate::source::sqlalchemy) line: usize,
    pub(in crate::source::sqlalchemy) values: Vec<String>,
    /// Whether rows with these values are read, and no others; else these alone are not.
    pub(in crate::source::sqlalchemy) keeps: bool,
}

/// A table whose row belongs to each row.
#[derive(Debug, Clone)]
pub(in crate::source::sqlalchemy) struct Join {
    pub(in crate::source::sqlalchemy) table: String,
    /// Its column.
    pub(in crate::source::sqlalchemy) column: String,
    /// The column that has the same value.
    pub(in crate::source::sqlalchemy) equals: String,
    pub(in crate::source::sqlalchemy) line: usize,
}

impl ValueMap {
    /// Reads the value of a field.
    pub(in crate::source::sqlalchemy) fn parse(node: &Node, what: &str) -> Result<Self, String> {
        let plain = |expression| Self {
            expression,
            values: BTreeMap::new(),
            otherwise: None,
            time: None,
            zone: None,
        };
        let Value::Table(entries) = &node.value else { return Ok(plain(expression(node, what)?)) };
        let mut map = plain(expression(node, what)?);
        for (name, node) in entries {
            match name.as_str() {
                "values" => map.values = values(node, what)?,
                "otherwise" => map.otherwise = Some(node.text("otherwise")?.to_owned()),
                "time" => map.time = Some(time_form(node)?),
                "zone" => map.zone = Some(zone(node)?),
                _ => {}
            }
        }
        Ok(map)
    }
}

fn expression(node: &Node, what: &str) -> Result<Expression, String> {
    let entries = match &node.value {
        Value::Text(name) => {
            return Ok(Expression::Column { name: name.clone(), line: node.line, path: Vec::new() });
        }
        Value::List(nodes) => return joined(nodes, SEPARATOR.to_owned(), what),
        Value::Table(entries) => entries,
        _ => {
            let problem = format!(
                "{what} is the name of a column, a list of names, or a table like {{ column = \"data\", path = \"content\" }}, \
                 not {}",
                node.kind()
            );
            return Err(node.wrong(problem));
        }
    };
    const KNOWN: [&str; 10] = [
        "column",
        "path",
        "constant",
        "columns",
        "separator",
        "first",
        "values",
        "otherwise",
        "time",
        "zone",
    ];
    if let Some((name, entry)) = entries.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        return Err(entry.wrong(format!("{what} has {name}; it may have {}", KNOWN.join(", "))));
    }
    let of = |name: &str| entries.iter().find(|(known, _)| known == name).map(|(_, node)| node);
    let sources = ["column", "constant", "columns", "first"].map(of);
    match sources {
        [Some(column), None, None, None] => {
            let path = match of("path") {
                None => Vec::new(),
                Some(Node { value: Value::Text(path), .. }) => path.split('.').map(str::to_owned).collect(),
                Some(path) => path.texts("path")?,
            };
            Ok(Expression::Column { name: column.text("column")?.to_owned(), line: column.line, path })
        }
        [None, Some(constant), None, None] => Ok(Expression::Constant(constant.text("constant")?.to_owned())),
        [None, None, Some(Node { value: Value::List(nodes), .. }), None] => {
            let separator = of("separator").map_or(Ok(SEPARATOR), |node| node.text("separator"))?.to_owned();
            joined(nodes, separator, what)
        }
        [None, None, None, Some(Node { value: Value::List(nodes), .. })] if !nodes.is_empty() => {
            Ok(Expression::First(nodes.iter().map(|node| expression(node, what)).collect::<Result<_, _>>()?))
        }
        _ => {
            let problem = format!(
                "{what} has one of column = \"…\", columns = [\"…\", …], first = [\"…\", …] and constant = \"…\""
            );
            Err(node.wrong(problem))
        }
    }
}

fn joined(nodes: &[Node], separator: String, what: &str) -> Result<Expression, String> {
    let parts = nodes.iter().map(|node| expression(node, what)).collect::<Result<_, _>>()?;
    Ok(Expression::Joined { parts, separator })
}

fn values(node: &Node, what: &str) -> Result<BTreeMap<String, String>, String> {
    let Value::Table(entries) = &node.value else {
        return Err(node
            .wrong(format!("values of {what} is a table like {{ human = \"user\" }}, not {}", node.kind())));
    };
    entries.iter().map(|(name, node)| Ok((name.clone(), node.text("a value")?.to_owned()))).collect()
}

fn time_form(node: &Node) -> Result<TimeForm, String> {
    Ok(match node.text("time")? {
        "seconds" => TimeForm::Epoch(1),
        "milliseconds" => TimeForm::Epoch(1_000),
        "microseconds" => TimeForm::Epoch(1_000_000),
        "nanoseconds" => TimeForm::Epoch(1_000_000_000),
        pattern if pattern.contains('%') => TimeForm::Pattern(pattern.to_owned()),
        other => {
            return Err(node.wrong(format!(
                "time is {other:?}; it is seconds, milliseconds, microseconds or nanoseconds since 1970, or a pattern \
                 like \"%d.%m.%Y %H:%M\""
            )));
        }
    })
}

fn zone(node: &Node) -> Result<TimeZone, String> {
    let text = node.text("zone")?;
    let offset = || {
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
        let seconds = hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60;
        Offset::from_seconds(sign * seconds).ok()
    };
    if matches!(text, "UTC" | "Z") {
        return Ok(TimeZone::UTC);
    }
    offset()
        .map(TimeZone::fixed)
        .ok_or_else(|| node.wrong(format!("zone is {text:?}; it is UTC, or an offset like \"+02:00\"")))
}

impl Filter {
    pub(in crate::source::sqlalchemy) fn parse(node: &Node, keeps: bool) -> Result<Self, String> {
        let what = if keeps { "only" } else { "skip" };
        let form = || node.wrong(format!("{what} is {{ column = \"type\", values = [\"run\"] }}"));
        let Value::Table(entries) = &node.value else { return Err(form()) };
        let (mut column, mut values) = (None, Vec::new());
        for (name, node) in entries {
            match name.as_str() {
                "column" => column = Some((node.text("column")?.to_owned(), node.line)),
                "values" => values = node.texts("values")?,
                _ => return Err(form()),
            }
        }
        let (column, line) = column.ok_or_else(form)?;
        Ok(Self { column, line, values, keeps })
    }
}

impl Join {
    pub(in crate::source::sqlalchemy) fn parse_all(node: &Node) -> Result<Vec<Self>, String> {
        let form = |node: &Node| {
            node.wrong(
                "joins is a list of { table = \"runs\", column = \"id\", equals = \"run_id\" }, where equals is a column \
                 of the section's table, or of a table joined before, as in \"runs.thread_id\"",
            )
        };
        let Value::List(nodes) = &node.value else { return Err(form(node)) };
        let mut joins = Vec::new();
        for node in nodes {
            let Value::Table(entries) = &node.value else { return Err(form(node)) };
            let of = |name: &str| {
                let found = entries.iter().find(|(known, _)| known == name).ok_or_else(|| form(node))?;
                Ok::<_, String>(found.1.text(name)?.to_owned())
            };
            if entries.len() != 3 {
                return Err(form(node));
            }
            joins.push(Self {
                table: of("table")?,
                column: of("column")?,
                equals: of("equals")?,
                line: node.line,
            });
        }
        Ok(joins)
    }
}
