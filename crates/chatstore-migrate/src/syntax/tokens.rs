//! The tokens of SQL text, as far as the engine reads it.

const PAIRS: [&str; 6] = ["<=", ">=", "<>", "!=", "::", "||"];

/// Words, literals and quoted names with their quotes, comments, white space and signs; joined, they are the
/// text.
pub(crate) fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(length(rest, first));
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// The length of the token that a text begins with.
fn length(text: &str, first: char) -> usize {
    let while_all = |is_part: fn(char) -> bool| text.find(|letter| !is_part(letter)).unwrap_or(text.len());
    match first {
        '-' if text.starts_with("--") => text.find('\n').unwrap_or(text.len()),
        '/' if text.starts_with("/*") => text[2..].find("*/").map_or(text.len(), |end| end + 4),
        '\'' | '"' | '`' => quoted(text, first),
        '$' => dollar_quoted(text).unwrap_or(1),
        letter if is_of_a_word(letter) => while_all(is_of_a_word),
        blank if blank.is_whitespace() => while_all(char::is_whitespace),
        _ if PAIRS.iter().any(|pair| text.starts_with(pair)) => 2,
        sign => sign.len_utf8(),
    }
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// A quote that is doubled does not end the literal.
fn quoted(text: &str, quote: char) -> usize {
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

/// The length of the dollar-quoted literal that a text begins with.
fn dollar_quoted(text: &str) -> Option<usize> {
    let tag_length = text[1..].find('$')? + 2;
    let tag = &text[..tag_length];
    if !tag[1..tag_length - 1].chars().all(is_of_a_word) {
        return None;
    }
    text[tag_length..].find(tag).map(|end| end + 2 * tag_length)
}

pub(crate) fn is_comment(token: &str) -> bool {
    token.starts_with("--") || token.starts_with("/*")
}

/// Words, literals and signs, in lower case where case does not matter, without white space and comments. A
/// quoted name has no quotes if it does not need them.
pub(crate) fn words(text: &str) -> Vec<String> {
    let is_word = |token: &&str| !is_comment(token) && !token.starts_with(char::is_whitespace);
    tokens(text).into_iter().filter(is_word).map(word).collect()
}

fn word(token: &str) -> String {
    match token.chars().next() {
        Some('\'' | '$') => token.to_owned(),
        Some('"' | '`') => {
            let name = unquoted(token);
            let is_plain = name.chars().all(|letter| is_of_a_word(letter) && !letter.is_uppercase());
            if is_plain { name.to_owned() } else { token.to_owned() }
        }
        _ => token.to_lowercase(),
    }
}

/// A name without its quotes.
pub(crate) fn unquoted(name: &str) -> &str {
    name.trim_matches(['"', '`'])
}

/// The items between the outermost parentheses, separated by commas, and the rest.
pub(crate) fn items(words: &[String]) -> Option<(Vec<&[String]>, &[String])> {
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
    use super::{items, tokens, words};

    #[test]
    fn tokens_together_are_the_text() {
        let text = "select 'it''s;', \"a \"\"b\" -- ;\n, $x$ ; $x$, $1, a<=b/* ; */||`c` from \"open";
        let tokens = tokens(text);
        assert_eq!(tokens.concat(), text);
        for token in ["'it''s;'", "\"a \"\"b\"", "-- ;", "$x$ ; $x$", "<=", "/* ; */", "||", "`c`", "\"open"]
        {
            assert!(tokens.contains(&token), "{token} is not in {tokens:?}");
        }
    }

    #[test]
    fn words_are_without_blanks_comments_and_needless_quotes() {
        let text = "Not  \"b\" -- here\n <> 'B' and \"B\"";
        assert_eq!(words(text), ["not", "b", "<>", "'B'", "and", "\"B\""]);
    }

    #[test]
    fn a_definition_is_parted_at_its_outermost_commas() {
        let words = words("create table t (a text, primary key (a, b)) strict, without rowid");
        let (items, options) = items(&words).unwrap();
        let items: Vec<String> = items.iter().map(|item| item.join(" ")).collect();
        assert_eq!(items, ["a text", "primary key ( a , b )"]);
        assert_eq!(options.join(" "), "strict , without rowid");
    }
}
