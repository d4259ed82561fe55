//! The words of a definition, however it was spaced, quoted and capitalised.

/// Words, numbers, literals and signs, in lower case where case means nothing. A quoted name is
/// without its quotes when it does not need them.
pub(super) fn words(text: &str) -> Vec<String> {
    let is_of_a_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '-' if rest.starts_with("--") => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
                continue;
            }
            '\'' | '"' | '`' => quoted_length(rest, next),
            letter if is_of_a_word(letter) => rest.find(|letter| !is_of_a_word(letter)).unwrap_or(rest.len()),
            sign => sign.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        if next == '\'' {
            words.push(word.to_owned());
        } else if next == '"' || next == '`' {
            let name = word.trim_matches(next);
            let is_plain = name.chars().all(|letter| is_of_a_word(letter) && !letter.is_uppercase());
            words.push(if is_plain { name.to_owned() } else { word.to_owned() });
        } else if !next.is_whitespace() {
            words.push(word.to_lowercase());
        }
    }
    words
}

/// A quote that is doubled does not end the literal.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut length = 1;
    while let Some(end) = text[length..].find(quote) {
        length += end + 1;
        if !text[length..].starts_with(quote) {
            return length;
        }
        length += 1;
    }
    text.len()
}

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
    use super::{items, joined, words};

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
