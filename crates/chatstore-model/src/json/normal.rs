//! One text for all texts of a JSON value.

use std::collections::BTreeMap;

use super::number;

/// A text that is the same for two JSON values exactly if they are equal: order of keys, white space, escapes and the
/// spelling of numbers do not matter. Numbers are equal that have the same decimal value, whatever their size. Of a key that
/// an object names twice the last value counts. Texts may hold NUL and lone surrogates.
///
/// The text must be JSON.
pub(super) fn normal_form(json: &str) -> String {
    Reader { json, position: 0 }.value()
}

/// A place in a text of JSON.
struct Reader<'t> {
    json: &'t str,
    position: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.position).copied()
    }

    fn pass_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.position += 1;
        }
    }

    /// Goes behind this byte and what blanks are before it; false when another one is there.
    fn pass(&mut self, byte: u8) -> bool {
        self.pass_blanks();
        let is_there = self.peek() == Some(byte);
        self.position += usize::from(is_there);
        is_there
    }

    fn value(&mut self) -> String {
        self.pass_blanks();
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'"') => self.text(),
            _ => self.scalar(),
        }
    }

    fn object(&mut self) -> String {
        self.position += 1;
        let mut entries = BTreeMap::new();
        while !self.pass(b'}') && self.peek().is_some() {
            let key = self.value();
            self.pass(b':');
            entries.insert(key, self.value());
            self.pass(b',');
        }
        let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
        format!("{{{}}}", entries.join(","))
    }

    fn list(&mut self) -> String {
        self.position += 1;
        let mut items = Vec::new();
        while !self.pass(b']') && self.peek().is_some() {
            items.push(self.value());
            self.pass(b',');
        }
        format!("[{}]", items.join(","))
    }

    fn text(&mut self) -> String {
        self.position += 1;
        let mut normal = String::from('"');
        loop {
            let rest = self.rest();
            let end = rest.find(['"', '\\']).unwrap_or(rest.len());
            normal.push_str(&rest[..end]);
            self.position += end;
            match self.peek() {
                Some(b'\\') => self.escape(&mut normal),
                _ => {
                    self.position += 1;
                    normal.push('"');
                    return normal;
                }
            }
        }
    }

    /// Reads an escape, and the second one of a pair of surrogates. What has to be escaped, or no character is, is written
    /// as its UTF-16 unit.
    fn escape(&mut self, normal: &mut String) {
        let units = match self.unit() {
            Some(high @ 0xD800..=0xDBFF) => match self.low_surrogate() {
                Some(low) => vec![high, low],
                None => vec![high],
            },
            Some(unit) => vec![unit],
            None => return,
        };
        for decoded in char::decode_utf16(units) {
            match decoded {
                Ok(character) if character >= ' ' && character != '"' && character != '\\' => {
                    normal.push(character);
                }
                Ok(character) => normal.push_str(&format!("\\u{:04x}", u32::from(character))),
                Err(lone) => normal.push_str(&format!("\\u{:04x}", lone.unpaired_surrogate())),
            }
        }
    }

    fn low_surrogate(&mut self) -> Option<u16> {
        let before = self.position;
        let unit = if self.rest().starts_with("\\u") { self.unit() } else { None };
        let low = unit.filter(|unit| (0xDC00..=0xDFFF).contains(unit));
        if low.is_none() {
            self.position = before;
        }
        low
    }

    /// Goes behind an escape; the UTF-16 unit that it stands for.
    fn unit(&mut self) -> Option<u16> {
        let kind = *self.json.as_bytes().get(self.position + 1)?;
        let (length, unit) = match kind {
            b'u' => {
                let digits = self.json.get(self.position + 2..self.position + 6)?;
                (6, u16::from_str_radix(digits, 16).ok()?)
            }
            b'b' => (2, 0x08),
            b't' => (2, 0x09),
            b'n' => (2, 0x0A),
            b'f' => (2, 0x0C),
            b'r' => (2, 0x0D),
            same => (2, u16::from(same)),
        };
        self.position += length;
        Some(unit)
    }

    fn scalar(&mut self) -> String {
        let rest = self.rest();
        let is_of_scalar = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let length = rest.bytes().take_while(|byte| is_of_scalar(*byte)).count();
        self.position += length.max(1);
        let scalar = &rest[..length];
        match scalar {
            "true" | "false" | "null" => scalar.to_owned(),
            number => number::normal_form(number),
        }
    }

    fn rest(&self) -> &'t str {
        self.json.get(self.position..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_equal_values_have_one_normal_form() {
        for (one, other) in [
            (r#"{"b":1,"a":[true,null]}"#, "{ \"a\" :\n[ true , null ] , \"b\" : 1.0 }"),
            ("[1,10,0.5,-2]", "[1e0,1.0E+1,5e-1,-20e-1]"),
            ("[0]", "[-0.0]"),
            ("[12345678901234567890123,1e400]", "[12345678901234567890123.0,10e399]"),
            (r#""é/\"\\""#, r#""\u00e9\/\u0022\u005C""#),
            (r#""😀""#, r#""\ud83d\uDE00""#),
            (r#""\n\u0000\ud800""#, r#""\u000a\u0000\uD800""#),
            (r#"{"a":1,"a":2}"#, r#"{"\u0061":2}"#),
            ("[]", "[ ]"),
            ("{}", "{ }"),
        ] {
            assert_eq!(normal_form(one), normal_form(other), "{one} {other}");
        }
    }

    #[test]
    fn texts_of_other_values_have_other_normal_forms() {
        for (one, other) in [
            ("[1]", "[2]"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[\"1\"]"),
            ("[12345678901234567890123]", "[12345678901234567890124]"),
            (r#"["\u0000"]"#, r#"["\\u0000"]"#),
            (r#"["\ud800"]"#, r#"["\udc00"]"#),
            (r#"["\ud800\ud800"]"#, r#"["\ud800"]"#),
            ("[[]]", "[{}]"),
            (r#"{"a":null}"#, "{}"),
            ("[0]", "[false]"),
            ("[-1]", "[1]"),
            (r#"["a,b"]"#, r#"["a","b"]"#),
        ] {
            assert_ne!(normal_form(one), normal_form(other), "{one} {other}");
        }
    }
}
