//! The words of a definition, put together and taken apart.

/// One text for one sequence of words.
pub(super) fn joined(words: &[String]) -> String {
    let mut text = String::new();
    let mut previous = "(";
    for word in words {
        let is_tight = matches!(previous, "(" | ".") || matches!(word.as_str(), ")" | "," | ".");
        if !is_tight {
            text.push(' ');
        }
        text.push_str(word);
        previous = word;
    }
    text
}

/// What stands between the outermost parentheses, parted at its commas, and what follows.
pub(super) fn items(words: &[String]) -> Option<(Vec<&[String]>, &[String])> {
    let start = words.iter().position(|word| word == "(")? + 1;
    let mut items = Vec::new();
    let (mut depth, mut begin) = (1, start);
    for (place, word) in words.iter().enumerate().skip(start) {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 1 => {
                items.push(&words[begin..place]);
                begin = place + 1;
            }
            _ => {}
        }
        if depth == 0 {
            items.push(&words[begin..place]);
            return Some((items, &words[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{items, joined};
    use crate::tokens::words;

    #[test]
    fn spaces_case_comments_and_needless_quotes_make_no_difference() {
        let one = words("CREATE TABLE \"t\" (\n  a  TEXT NOT NULL, -- here\n CHECK(a<>'It''s'))");
        let other = words("create table t (a text not null, check (a <> 'It''s'))");
        assert_eq!(joined(&one), joined(&other));
        assert_ne!(joined(&words("check (a <> 'x')")), joined(&words("check (a <> 'X')")));
    }

    #[test]
    fn a_definition_is_parted_at_its_outermost_commas() {
        let words = words("create table t (a text, primary key (a, b)) strict, without rowid");
        let (items, options) = items(&words).unwrap();
        assert_eq!(
            items.iter().map(|item| joined(item)).collect::<Vec<_>>(),
            ["a text", "primary key (a, b)"]
        );
        assert_eq!(joined(options), "strict, without rowid");
    }
}
