//! Lists of columns, from which the texts of statements are built when the program is compiled.
//!
//! No repository writes a list of columns by hand. A name that is no column does not compile.

use super::parts::{Column, Table};
use super::text::{Text, is_same};

/// Columns of a table, in the declared order.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    table: &'static str,
    declared: &'static [Column],
    left_out: &'static [&'static str],
    is_of_new_row: bool,
}

impl Table {
    /// Every column.
    pub(crate) const fn all_columns(&self) -> Columns {
        self.columns_without(&[])
    }

    /// Every column but these.
    pub(crate) const fn columns_without(&self, names: &'static [&'static str]) -> Columns {
        let (mut index, mut found) = (0, 0);
        while index < self.columns.len() {
            found += contains(names, self.columns[index].name) as usize;
            index += 1;
        }
        assert!(found == names.len(), "a column that is left out is not declared");
        Columns { table: self.name, declared: self.columns, left_out: names, is_of_new_row: false }
    }

    /// Those that a new row has; the others are set later.
    pub(crate) const fn inserted_columns(&self) -> Columns {
        self.inserted_columns_without(&[])
    }

    /// Those that a new row has, but these.
    pub(crate) const fn inserted_columns_without(&self, names: &'static [&'static str]) -> Columns {
        Columns { is_of_new_row: true, ..self.columns_without(names) }
    }
}

impl Columns {
    const fn has(&self, column: &Column) -> bool {
        !(contains(self.left_out, column.name) || self.is_of_new_row && column.later)
    }

    /// How many they are.
    pub(crate) const fn count(&self) -> usize {
        let (mut index, mut count) = (0, 0);
        while index < self.declared.len() {
            count += self.has(&self.declared[index]) as usize;
            index += 1;
        }
        count
    }

    /// Their names: `owner_id, id`.
    pub(crate) const fn names(&self) -> Text {
        self.with_prefix("")
    }

    /// Their names with a prefix: `c.owner_id, c.id`.
    pub(crate) const fn with_prefix(&self, prefix: &str) -> Text {
        let mut text = Text::new();
        let mut index = 0;
        while index < self.declared.len() {
            let column = &self.declared[index];
            if self.has(column) {
                text = text.separate().push(prefix).push(column.name);
            }
            index += 1;
        }
        text
    }

    /// Their names, with an expression instead of those that are given here.
    pub(crate) const fn names_or(&self, given: &[(&str, &str)]) -> Text {
        let mut text = Text::new();
        let (mut index, mut used) = (0, 0);
        while index < self.declared.len() {
            let name = self.declared[index].name;
            index += 1;
            if contains(self.left_out, name) {
                continue;
            }
            text = match find(given, name) {
                Some(expression) => {
                    used += 1;
                    text.separate().push(expression)
                }
                None => text.separate().push(name),
            };
        }
        assert!(used == given.len(), "an expression is given for a column that is not in the list");
        text
    }

    /// The place of a column among them, counted from 0.
    pub(crate) const fn position(&self, name: &str) -> usize {
        let (mut index, mut position) = (0, 0);
        while index < self.declared.len() {
            if is_same(self.declared[index].name, name) {
                return position;
            }
            position += !contains(self.left_out, self.declared[index].name) as usize;
            index += 1;
        }
        panic!("a column that is looked for is not declared")
    }

    /// A value for each: the given expression, or else the next parameter, counted from `first`.
    pub(crate) const fn values(&self, first: usize, given: &[(&str, &str)]) -> Text {
        let mut text = Text::new();
        let (mut index, mut parameter, mut used) = (0, first, 0);
        while index < self.declared.len() {
            let column = &self.declared[index];
            index += 1;
            if !self.has(column) {
                continue;
            }
            text = text.separate();
            match find(given, column.name) {
                Some(expression) => {
                    text = text.push(expression);
                    used += 1;
                }
                None => {
                    text = text.push_parameter(parameter);
                    parameter += 1;
                }
            }
        }
        assert!(used == given.len(), "a value is given for a column that is not in the list");
        text
    }

    /// Begins the insertion of rows that have only these columns.
    pub(crate) const fn insert_into(&self) -> Text {
        let names = self.names();
        Text::new().push("insert into ").push(self.table).push(" (").push(names.as_str()).push(")")
    }

    /// Inserts one row that has only these columns, with [`values`](Self::values) from the first parameter.
    pub(crate) const fn insert(&self, given: &[(&str, &str)]) -> Text {
        let values = self.values(1, given);
        self.insert_into().push(" values (").push(values.as_str()).push(")")
    }
}

const fn contains(names: &[&str], name: &str) -> bool {
    let mut index = 0;
    while index < names.len() {
        if is_same(names[index], name) {
            return true;
        }
        index += 1;
    }
    false
}

const fn find<'g>(given: &[(&str, &'g str)], name: &str) -> Option<&'g str> {
    let mut index = 0;
    while index < given.len() {
        if is_same(given[index].0, name) {
            return Some(given[index].1);
        }
        index += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::schema::{API_KEYS, CONVERSATION_MEMBERS, USERS};

    #[test]
    fn a_list_names_its_columns_in_the_declared_order() {
        let members = CONVERSATION_MEMBERS.columns_without(&["conversation_id", "role"]);
        assert_eq!(members.names().as_str(), "owner_id, user_id, joined_at");
        assert_eq!(members.with_prefix("m.").as_str(), "m.owner_id, m.user_id, m.joined_at");
        assert_eq!(members.count(), 3);
    }

    #[test]
    fn values_are_the_given_ones_and_else_the_next_parameters() {
        let members = CONVERSATION_MEMBERS.all_columns();
        assert_eq!(members.values(9, &[("user_id", "'x'")]).as_str(), "$9, $10, 'x', $11, $12");
        assert_eq!(
            CONVERSATION_MEMBERS.columns_without(&["role"]).insert(&[("joined_at", "0")]).as_str(),
            "insert into conversation_members (owner_id, conversation_id, user_id, joined_at) values ($1, $2, $3, 0)"
        );
    }

    #[test]
    fn a_new_row_has_no_column_that_is_set_later() {
        assert_eq!(API_KEYS.all_columns().count() - API_KEYS.inserted_columns().count(), 5);
        assert_eq!(
            API_KEYS.inserted_columns_without(&["expires_at"]).names().as_str(),
            "user_id, id, scope, name, prefix, key_hash, created_at, rights"
        );
    }

    #[test]
    fn an_expression_takes_the_place_of_a_column() {
        let members = CONVERSATION_MEMBERS.columns_without(&["conversation_id", "role"]);
        assert_eq!(members.names_or(&[("user_id", "null")]).as_str(), "owner_id, null, joined_at");
        assert_eq!((members.position("owner_id"), members.position("joined_at")), (0, 2));
    }

    #[test]
    #[should_panic(expected = "not declared")]
    fn a_column_that_is_not_declared_cannot_be_left_out() {
        let _ = USERS.columns_without(&["nickname"]);
    }
}
