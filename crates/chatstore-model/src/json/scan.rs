//! Looks at JSON text without reading it into a tree.

use super::number;

/// How many lists and objects lie inside each other.
pub(super) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for (_, byte) in Structure::of(text) {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Whether a text or a key anywhere in it holds U+0000, which is always escaped.
pub(super) fn has_nul(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut position = 0;
    while let Some(next) = bytes[position..].iter().position(|byte| *byte == b'\\') {
        let escape = position + next;
        if bytes[escape..].starts_with(b"\\u0000") {
            return true;
        }
        position = (escape + 2).min(bytes.len());
    }
    false
}

/// The first number that 64 bits do not hold exactly.
pub(super) fn inexact_number(text: &str) -> Option<&str> {
    let mut structure = Structure::of(text);
    while let Some((start, byte)) = structure.next() {
        if byte != b'-' && !byte.is_ascii_digit() {
            continue;
        }
        let is_of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let rest = text.get(start..).unwrap_or_default();
        let length = rest.bytes().take_while(is_of_number).count();
        structure.position = start + length;
        let spelled = rest.get(..length).unwrap_or_default();
        if !number::is_exact(spelled) {
            return Some(spelled);
        }
    }
    None
}

/// The first byte of each item of a list, which tells what it is; `None` when the text is no list.
pub(super) fn items(text: &str) -> Option<impl Iterator<Item = u8> + '_> {
    if !text.starts_with('[') {
        return None;
    }
    let mut depth = 0_usize;
    let starts = Structure::of(text).filter(move |(_, byte)| {
        let is_start = match byte {
            b'[' => depth == 0,
            b',' => depth == 1,
            _ => false,
        };
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        is_start
    });
    let first = starts.filter_map(|(index, _)| {
        text.as_bytes().get(index + 1..)?.iter().copied().find(|byte| !byte.is_ascii_whitespace())
    });
    Some(first.filter(|byte| *byte != b']'))
}

/// The bytes outside texts, with their places.
struct Structure<'t> {
    bytes: &'t [u8],
    position: usize,
}

impl<'t> Structure<'t> {
    const fn of(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), position: 0 }
    }

    /// Goes behind the text that begins here.
    fn pass_text(&mut self) {
        while let Some(byte) = self.bytes.get(self.position) {
            self.position += match byte {
                b'\\' => 2,
                _ => 1,
            };
            if *byte == b'"' {
                return;
            }
        }
    }
}

impl Iterator for Structure<'_> {
    type Item = (usize, u8);

    fn next(&mut self) -> Option<(usize, u8)> {
        loop {
            let index = self.position;
            let byte = *self.bytes.get(index)?;
            self.position += 1;
            if byte != b'"' {
                return Some((index, byte));
            }
            self.pass_text();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_texts_do_not_count() {
        assert_eq!(depth(r#"{"[":"{\"[","a":[[1]]}"#), 3);
        assert_eq!((depth("1"), depth("[]"), depth(r#""[""#)), (0, 1, 0));
    }

    #[test]
    fn a_number_that_64_bits_do_not_hold_is_found_outside_of_texts() {
        assert_eq!(inexact_number(r#"{"1e400":["1e400",-1,2.5,{"a":-1e400}],"b":1e500}"#), Some("-1e400"));
        assert_eq!(inexact_number(r#"[0,-1.5e3,"12345678901234567890123"]"#), None);
    }

    #[test]
    fn only_an_escaped_nul_is_one() {
        assert!(has_nul(r#"{"a":["\u0000"]}"#));
        assert!(has_nul(r#""\\\u0000""#));
        assert!(!has_nul(r#""\\u0000 \u0001 \\""#));
    }

    #[test]
    fn the_items_of_a_list_are_told_by_their_first_byte() {
        let of = |text| items(text).map(|bytes| String::from_utf8(bytes.collect()).unwrap());
        assert_eq!(of(r#"["a,[",{"b":[1,2]},[3,4],5]"#).as_deref(), Some("\"{[5"));
        assert_eq!(of("[]").as_deref(), Some(""));
        assert_eq!(of("[[]]").as_deref(), Some("["));
        assert_eq!(of("[ \n]").as_deref(), Some(""));
        assert_eq!(of("[ {\"a\" : [ 1 , 2 ] } ,\t{ } , 3 ]").as_deref(), Some("{{3"));
        assert_eq!(of("{}"), None);
    }
}
