//! Random tables, columns and what belongs to them.

use chatstore_migrate::model::{
    Action, Check, Column, ColumnType, ForeignKey, Index, IndexPart, Indexed, Key, Method, Schema, SqlText,
    Storage, Table,
};

use super::random::Random;

const KINDS: [ColumnType; 10] = [
    ColumnType::Int,
    ColumnType::Int,
    ColumnType::Int,
    ColumnType::Text,
    ColumnType::Text,
    ColumnType::Bool,
    ColumnType::Float,
    ColumnType::Bytes,
    ColumnType::Json,
    ColumnType::Time,
];

/// Draws parts, each with a unique name.
pub struct Parts<'r> {
    pub random: &'r mut Random,
    names: usize,
}

impl<'r> Parts<'r> {
    pub const fn new(random: &'r mut Random) -> Self {
        Self { random, names: 0 }
    }

    pub fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// Tables that refer to each other, mostly children to parents.
    pub fn schema(&mut self) -> Schema {
        let mut schema = Schema::default();
        for _ in 0..2 + self.random.below(3) {
            let table = self.table();
            schema.tables.push(table);
        }
        for _ in 0..2 + self.random.below(4) {
            self.add_foreign_key(&mut schema);
        }
        schema
    }

    pub fn table(&mut self) -> Table {
        let name = self.name("t");
        let id = Column { name: id_of(&name), kind: ColumnType::Int, nullable: false, default: None };
        let mut table = Table {
            primary_key: Key { name: format!("pk_{name}"), columns: vec![id.name.clone()] },
            name,
            columns: vec![id],
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            storage: if self.random.percent(20) { Storage::ByRowid } else { Storage::ByPrimaryKey },
        };
        for _ in 0..2 + self.random.below(5) {
            let column = self.column();
            table.columns.push(column);
        }
        if self.random.percent(30) {
            self.change_primary_key(&mut table);
        }
        for _ in 0..self.random.below(3) {
            self.add_unique(&mut table);
            self.add_check(&mut table);
            self.add_index(&mut table);
        }
        table
    }

    pub fn column(&mut self) -> Column {
        let kind = if self.random.percent(10) {
            ColumnType::Uuid
        } else {
            self.random.one_of(&KINDS).copied().unwrap_or(ColumnType::Int)
        };
        let mut column =
            Column { name: self.name("c"), kind, nullable: self.random.percent(60), default: None };
        if self.random.percent(35) {
            column.default = self.default(kind);
        }
        column
    }

    pub fn default(&mut self, kind: ColumnType) -> Option<SqlText> {
        let different = |sqlite: &str, postgres: &str| SqlText::Different {
            sqlite: sqlite.to_owned(),
            postgres: postgres.to_owned(),
        };
        let first = self.random.percent(50);
        Some(match kind {
            ColumnType::Int => SqlText::from(if first { "1" } else { "-1" }),
            ColumnType::Text => {
                let texts = ["'plain'", "'it''s; c1 -- no'", "lower('MADE')"];
                SqlText::from(*self.random.one_of(&texts)?)
            }
            ColumnType::Bool if first => different("0", "false"),
            ColumnType::Bool => different("1", "true"),
            ColumnType::Float => SqlText::from(if first { "1.5" } else { "0" }),
            ColumnType::Json => SqlText::from("'{\"a\": [1, 2]}'"),
            ColumnType::Bytes => different("x'0a0b'", "'\\x0a0b'"),
            ColumnType::Time if first => different("0", "'1970-01-01T00:00:00Z'"),
            ColumnType::Time | ColumnType::Uuid => return None,
        })
    }

    /// By the id alone, the id and another column, or another column, beside which the id stays unique.
    pub fn change_primary_key(&mut self, table: &mut Table) {
        let id = id_of(&table.name);
        let is_fit =
            |column: &&Column| !column.nullable && column.kind == ColumnType::Int && column.name != id;
        let fit: Vec<String> =
            table.columns.iter().filter(is_fit).map(|column| column.name.clone()).collect();
        let other = self.random.one_of(&fit).cloned();
        let choice = self.random.below(3);
        table.primary_key.columns = match other {
            Some(other) if choice == 0 => vec![other],
            Some(other) if choice == 1 => vec![id.clone(), other],
            _ => vec![id.clone()],
        };
        if self.random.percent(30) {
            table.primary_key.name = self.name("pk_");
        }
        let name = self.name("uq_");
        if table.primary_key.columns != [id.clone()]
            && !table.uniques.iter().any(|key| key.columns == [id.clone()])
        {
            table.uniques.push(Key { name, columns: vec![id] });
        }
    }

    pub fn add_unique(&mut self, table: &mut Table) {
        let mut columns = Vec::new();
        for _ in 0..=self.random.below(2) {
            columns.extend(self.random.one_of(&table.columns).map(|column| column.name.clone()));
        }
        columns.dedup();
        let name = self.name("uq_");
        table.uniques.push(Key { name, columns });
    }

    pub fn add_check(&mut self, table: &mut Table) {
        let Some(column) = self.random.one_of(&table.columns).cloned() else { return };
        let name = self.name("ck_");
        table.checks.extend(self.condition(&column).map(|condition| Check { name, condition }));
    }

    /// A condition that every value of a column meets, also one that replaces a lost value.
    pub fn condition(&mut self, column: &Column) -> Option<SqlText> {
        let name = &column.name;
        let number = 50 + self.random.below(9);
        Some(match column.kind {
            ColumnType::Int => match self.random.below(3) {
                0 => format!("{name} > -{number}").as_str().into(),
                1 => format!("{name} <> {number} or {name} is null").as_str().into(),
                _ => format!("{name} between -1 and {number}").as_str().into(),
            },
            ColumnType::Text if number.is_multiple_of(2) => {
                format!("length({name}) <= {number}").as_str().into()
            }
            ColumnType::Text => format!("{name} not in ('{name}', 'it''s {name}')").as_str().into(),
            ColumnType::Float => format!("{name} < {number}").as_str().into(),
            ColumnType::Bool => SqlText::Different {
                sqlite: format!("{name} < 2 or {name} is null"),
                postgres: format!("{name} is not null or {name} is null"),
            },
            _ => return None,
        })
    }

    pub fn add_index(&mut self, table: &mut Table) {
        let Some(column) = self.random.one_of(&table.columns).cloned() else { return };
        let other = self.random.one_of(&table.columns).cloned().unwrap_or_else(|| column.clone());
        let part = |of| IndexPart { of, descending: false, operator_class: None };
        let mut index = Index {
            name: self.name("ix_"),
            parts: vec![part(Indexed::Column(column.name.clone()))],
            unique: self.random.percent(15),
            predicate: None,
            method: Method::Btree,
        };
        let expression = match column.kind {
            ColumnType::Text => Some(format!("lower({})", column.name)),
            ColumnType::Int | ColumnType::Float => Some(format!("{} + 1", column.name)),
            _ => None,
        };
        if let (Some(expression), true) = (expression, self.random.percent(35)) {
            index.parts[0].of = Indexed::Expression(expression.as_str().into());
        } else if column.kind == ColumnType::Json && self.random.percent(60) {
            index.method = Method::Gin;
            index.unique = false;
            let class = if self.random.percent(50) { "jsonb_path_ops" } else { "jsonb_ops" };
            index.parts[0].operator_class = Some(class.to_owned());
        } else {
            index.parts[0].descending = self.random.percent(25);
            if other.name != column.name {
                index.parts.push(part(Indexed::Column(other.name.clone())));
            } else if !index.unique && self.random.percent(30) {
                index.method = Method::Hash;
                index.parts[0].descending = false;
            }
        }
        if self.random.percent(35) {
            index.predicate = self.condition(&other);
        }
        table.indexes.push(index);
    }

    /// From a column of one table to a column of another that is a key.
    pub fn add_foreign_key(&mut self, schema: &mut Schema) {
        let place = self.random.below(schema.tables.len());
        // Forward, to itself or backward; mostly backward.
        let parent = if self.random.percent(25) { self.random.below(schema.tables.len()) } else { place / 2 };
        let parent = &schema.tables[parent];
        let mut keys: Vec<&Key> = parent.uniques.iter().filter(|key| key.columns.len() == 1).collect();
        if parent.primary_key.columns.len() == 1 {
            keys.push(&parent.primary_key);
        }
        let Some(parent_columns) = self.random.one_of(&keys).map(|key| key.columns.clone()) else { return };
        let (parent, table) = (parent.name.clone(), &mut schema.tables[place]);
        let is_number = |column: &&Column| column.kind == ColumnType::Int;
        let numbers: Vec<&Column> = table.columns.iter().filter(is_number).collect();
        let Some(column) = self.random.one_of(&numbers).map(|column| column.name.clone()) else { return };
        let key = ForeignKey {
            name: self.name("fk_"),
            columns: vec![column],
            parent,
            parent_columns,
            on_delete: self.action(),
            on_update: self.action(),
        };
        table.foreign_keys.push(key);
    }

    pub fn action(&mut self) -> Action {
        let actions = [
            Action::NoAction,
            Action::Restrict,
            Action::Cascade,
            Action::Cascade,
            Action::SetNull,
            Action::SetDefault,
        ];
        self.random.one_of(&actions).copied().unwrap_or_default()
    }
}

/// The column that identifies the rows of a table; it is never dropped.
pub fn id_of(table: &str) -> String {
    format!("id_{table}")
}

/// The column in a schema, if it exists there.
pub fn stays<'s>(schema: &'s Schema, table: &str, column: &str) -> Option<&'s Column> {
    schema.table(table)?.column(column)
}

/// Gives a new column of a table with rows a value.
pub fn give_default(column: &mut Column) {
    let default = match column.kind {
        ColumnType::Int | ColumnType::Float => "1",
        ColumnType::Text => "'new'",
        ColumnType::Json => "'[]'",
        _ => {
            column.nullable = true;
            return;
        }
    };
    column.default = Some(SqlText::from(default));
}
