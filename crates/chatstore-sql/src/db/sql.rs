//! Statements: one text for both databases wherever that is possible.

/// A statement with its name, in the dialects of both databases.
///
/// Parameters are `$1`, `$2` … and must first appear in ascending order, because SQLite numbers
/// `$n` by first appearance. The constructors check it, so a constant with a wrong text does not
/// compile:
///
/// ```compile_fail
/// const WRONG: chatstore_sql::Sql = chatstore_sql::Sql::same("wrong", "select $2, $1");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
    is_planned_anew: bool,
}

/// Whether a statement changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Changes,
}

impl Sql {
    /// One text for both databases.
    #[must_use]
    pub const fn same(name: &'static str, text: &'static str) -> Self {
        Self::pair(name, text, text)
    }

    /// A text for each database, for what one dialect lacks; `docs/sql-dialect.md` lists them.
    #[must_use]
    pub const fn pair(name: &'static str, sqlite: &'static str, postgres: &'static str) -> Self {
        assert!(
            parameters_ascend(sqlite),
            "parameters of the SQLite text must first appear in ascending order"
        );
        assert!(
            parameters_ascend(postgres),
            "parameters of the PostgreSQL text must first appear in ascending order"
        );
        Self { name, sqlite, postgres, is_planned_anew: false }
    }

    /// A text that only PostgreSQL is given, for what SQLite does in several statements.
    #[must_use]
    pub const fn only_postgres(name: &'static str, postgres: &'static str) -> Self {
        Self::pair(name, "", postgres)
    }

    /// The statement, of which PostgreSQL makes a new plan for the values of each call: one for any values could only
    /// guess how many rows they find.
    #[must_use]
    pub const fn planned_anew(self) -> Self {
        Self { is_planned_anew: true, ..self }
    }

    /// Whether PostgreSQL makes a new plan for each call.
    #[cfg(feature = "postgres")]
    pub(crate) const fn is_planned_anew(&self) -> bool {
        self.is_planned_anew
    }

    /// What errors and metrics call the statement, like `messages.append`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The text for SQLite.
    #[must_use]
    pub const fn sqlite(&self) -> &'static str {
        self.sqlite
    }

    /// The text for PostgreSQL.
    #[must_use]
    pub const fn postgres(&self) -> &'static str {
        self.postgres
    }
}

const fn parameters_ascend(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut highest = 0;
    let mut position = 0;
    while position < bytes.len() {
        let starts_parameter = bytes[position] == b'$';
        position += 1;
        if !starts_parameter {
            continue;
        }
        let mut number = 0;
        while position < bytes.len() && bytes[position].is_ascii_digit() {
            number = number * 10 + (bytes[position] - b'0') as usize;
            position += 1;
        }
        if number > highest + 1 {
            return false;
        }
        if number > highest {
            highest = number;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::parameters_ascend;

    #[test]
    fn parameters_may_repeat_but_not_run_ahead() {
        assert!(parameters_ascend("select $1, $2, $1, $3, '$.path'"));
        assert!(parameters_ascend("select $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11"));
        assert!(!parameters_ascend("select $2, $1"));
        assert!(!parameters_ascend("select $1, $3"));
    }
}
