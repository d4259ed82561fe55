//! Reads `.env`, which other programs share: what is not ours is passed over, whatever form it has.

use crate::error::{CliError, code};

/// What some editors put at the beginning of a file.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// What the replacement of bytes that are not UTF-8 looks like.
const NOT_UTF_8: char = char::REPLACEMENT_CHARACTER;

/// An assignment in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    /// The first line of the file is 1.
    pub(super) line: usize,
}

/// One or more lines that stand for one assignment, or for nothing that is understood.
struct Entry<'t> {
    line: usize,
    text: String,
    /// The first word, which is the name of a variable if it is an assignment.
    name: &'t str,
}

/// The assignments of variables that `is_ours` knows. Those of other variables may be used in their values.
///
/// # Errors
/// When the line of such a variable is no assignment, or is not UTF-8. The message has no part of it.
pub(super) fn assignments(
    file: &str,
    bytes: &[u8],
    is_ours: impl Fn(&str) -> bool,
) -> Result<Vec<Assignment>, CliError> {
    let text = String::from_utf8_lossy(bytes);
    let (mut understood, mut kept) = (String::new(), Vec::new());
    for entry in entries(text.trim_start_matches(BYTE_ORDER_MARK), &is_ours) {
        let is_ours = is_ours(entry.name);
        if is_ours && entry.text.contains(NOT_UTF_8) {
            let message = format!("{} in {file}:{} is not UTF-8", entry.name, entry.line);
            return Err(CliError::new(code::CONFIGURATION, message));
        }
        if !is_assignment(&entry.text) {
            if is_ours {
                return Err(wrong_line(file, entry.line));
            }
            continue;
        }
        understood.push_str(&entry.text);
        understood.push('\n');
        kept.push((entry.line, is_ours));
    }
    let mut assignments = Vec::new();
    for (pair, (line, is_ours)) in dotenvy::from_read_iter(understood.as_bytes()).zip(kept) {
        let (name, value) = pair.map_err(|_| wrong_line(file, line))?;
        if is_ours {
            assignments.push(Assignment { name, value, line });
        }
    }
    Ok(assignments)
}

/// The entries of a file, without empty lines and comments. A value in quotes may have several lines, unless one of them
/// is an assignment of ours: then a quote is missing.
fn entries<'t>(text: &'t str, is_ours: impl Fn(&str) -> bool) -> Vec<Entry<'t>> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut entries, mut index) = (Vec::new(), 0);
    while index < lines.len() {
        let (line, first) = (index + 1, lines[index].trim());
        index += 1;
        if first.is_empty() || first.starts_with('#') {
            continue;
        }
        let mut text = first.to_owned();
        // Without its end it is one line.
        if let Some(quote) = open_quote(first)
            && let Some(more) = lines[index..].iter().position(|line| line.contains(quote))
            && !lines[index..=index + more].iter().any(|line| is_ours(first_word(line)))
        {
            for line in &lines[index..=index + more] {
                text.push('\n');
                text.push_str(line);
            }
            index += more + 1;
        }
        entries.push(Entry { line, text, name: first_word(first) });
    }
    entries
}

/// What stands where the name of a variable does.
fn first_word(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let end = line.find(|character: char| character == '=' || character.is_whitespace());
    line[..end.unwrap_or(line.len())].trim_end_matches(':')
}

/// The quote with which a value begins that does not end on its line.
fn open_quote(line: &str) -> Option<char> {
    let value = line.split_once('=')?.1.trim_start();
    let quote = value.chars().next().filter(|first| ['"', '\''].contains(first))?;
    (!value[1..].contains(quote)).then_some(quote)
}

fn is_assignment(entry: &str) -> bool {
    let mut pairs = dotenvy::from_read_iter(entry.as_bytes());
    matches!((pairs.next(), pairs.next()), (Some(Ok(_)), None))
}

/// The parser's message would repeat the line, which may contain a password.
fn wrong_line(file: &str, line: usize) -> CliError {
    CliError::new(
        code::CONFIGURATION,
        format!("cannot read {file}:{line}: the line does not have the form KEY=value"),
    )
    .hint("put values with spaces or special characters into single quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, usize)> {
        let found = assignments(".env", text.as_bytes(), |name| name.starts_with("OURS")).unwrap();
        found.into_iter().map(|found| (found.name, found.value, found.line)).collect()
    }

    fn ours(value: &str, line: usize) -> (String, String, usize) {
        ("OURS".to_owned(), value.to_owned(), line)
    }

    #[test]
    fn lines_of_other_programs_are_passed_over_whatever_they_are() {
        for others in [
            "APP_NAME=My Chat App",
            "a line of text",
            "KEY=\"never closed",
            "KEY='never closed",
            "KEY=\"never closed\nOTHER=2",
            "PRIVATE_KEY=\"-----BEGIN\nabc def\n-----END\"",
            "=nothing",
            "APP:NAME=x",
            "url: https://example.org",
            "[section]",
        ] {
            let lines = others.lines().count();
            assert_eq!(read(&format!("{others}\nOURS=1\n")), [ours("1", lines + 1)], "{others}");
            assert_eq!(read(&format!("OURS=1\n{others}\n")), [ours("1", 1)], "{others}");
        }
    }

    #[test]
    fn a_value_knows_its_line() {
        assert_eq!(read("# first\nOTHER=1\n\nexport OURS='warn'\n"), [ours("warn", 4)]);
        assert_eq!(read("\u{feff}OURS=1\r\nOURS=\"a b\"\r\n"), [ours("1", 1), ours("a b", 2)]);
        assert_eq!(read("HOST=db\nOURS=x://${HOST}/y\n"), [ours("x://db/y", 2)]);
        assert_eq!(read("OURS=\"a\nb\"\nOURS=2\n"), [ours("a\nb", 1), ours("2", 3)]);
        assert_eq!(read("KEY=\"never closed\nOURS=\"a\"\n"), [ours("a", 2)]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_matter_in_our_lines_alone() {
        let read = |bytes: &[u8]| assignments(".env", bytes, |name| name == "OURS");
        assert_eq!(read(b"APP_NAME=\xe9\nOURS=1\n").unwrap().len(), 1);
        let refused = read(b"OTHER=1\nOURS=\xe9\n").unwrap_err();
        assert_eq!(refused.message(), "OURS in .env:2 is not UTF-8");
    }

    #[test]
    fn a_malformed_line_of_ours_is_named_but_not_quoted() {
        for line in ["OURS secret", "OURS=my secret", "OURS='secret", "OURS: secret=1"] {
            let text = format!("OTHER=1\n{line}\n");
            let refused = assignments(".env", text.as_bytes(), |name| name.starts_with("OURS")).unwrap_err();
            assert!(refused.message().starts_with("cannot read .env:2: "), "{line}: {}", refused.message());
            assert!(!refused.message().contains("secret"), "{line}");
        }
    }
}
