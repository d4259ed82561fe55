//! JSON as Python writes it: `NaN` and infinities, and halves of surrogate pairs, which a JSON parser refuses, come
//! as texts that are marked.

use std::io::{self, BufRead, Read};

/// Follows a U+FFFD that stands for half a surrogate pair, and begins a text that stands for a number that is none. A
/// noncharacter of Unicode, which no text has.
pub(in crate::source) const MARK: char = '\u{fdd0}';

/// The longest of the words.
const INFINITY: usize = "-Infinity".len();

/// Where the next byte is.
#[derive(Clone, Copy)]
enum State {
    Outside,
    Text,
    Escape,
    /// In `\uXXXX`, with the digits that were read.
    Code {
        digits: [u8; 4],
        count: usize,
    },
}

/// Reads what a parser can take.
pub(in crate::source) struct Lenient<R> {
    input: R,
    state: State,
    /// A word outside of texts, or the sign before it.
    word: Vec<u8>,
    /// The first half of a surrogate pair, whose second half must follow.
    high: Option<[u8; 4]>,
    output: Vec<u8>,
    given: usize,
    is_begun: bool,
}

impl<R: BufRead> Lenient<R> {
    pub(in crate::source) fn new(input: R) -> Self {
        let (word, output) = (Vec::new(), Vec::new());
        Self { input, state: State::Outside, word, high: None, output, given: 0, is_begun: false }
    }

    /// Takes the next bytes of the input; false at its end.
    fn refill(&mut self) -> io::Result<bool> {
        self.output.clear();
        self.given = 0;
        while self.output.is_empty() {
            let input = self.input.fill_buf()?;
            if input.is_empty() {
                self.end_word();
                return Ok(!self.output.is_empty());
            }
            let mut bytes = input;
            if !self.is_begun {
                bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
                self.is_begun = true;
            }
            let (taken, bytes) = (input.len(), bytes.to_vec());
            self.input.consume(taken);
            self.take(&bytes);
        }
        Ok(true)
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut place = 0;
        while let Some(byte) = bytes.get(place).copied() {
            if matches!(self.state, State::Text) && self.high.is_none() {
                let rest = &bytes[place..];
                let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                let plain = end.unwrap_or(rest.len());
                self.output.extend_from_slice(&rest[..plain]);
                place += plain;
                if plain > 0 {
                    continue;
                }
            }
            self.step(byte);
            place += 1;
        }
    }

    fn step(&mut self, byte: u8) {
        match self.state {
            State::Outside => {
                if byte.is_ascii_alphabetic() || byte == b'-' {
                    if self.word.len() == INFINITY {
                        self.end_word();
                    }
                    self.word.push(byte);
                    return;
                }
                self.end_word();
                if byte == b'"' {
                    self.state = State::Text;
                }
                self.output.push(byte);
            }
            State::Text if byte == b'\\' => self.state = State::Escape,
            State::Text => {
                self.end_pair();
                if byte == b'"' {
                    self.state = State::Outside;
                }
                self.output.push(byte);
            }
            State::Escape if byte == b'u' => self.state = State::Code { digits: [0; 4], count: 0 },
            State::Escape => {
                self.end_pair();
                self.output.extend_from_slice(&[b'\\', byte]);
                self.state = State::Text;
            }
            State::Code { mut digits, count } => {
                digits[count] = byte;
                if count < 3 {
                    self.state = State::Code { digits, count: count + 1 };
                    return;
                }
                self.state = State::Text;
                self.code(digits);
            }
        }
    }

    /// Takes the digits of an escape.
    fn code(&mut self, digits: [u8; 4]) {
        let code = std::str::from_utf8(&digits).ok().and_then(|text| u32::from_str_radix(text, 16).ok());
        match code {
            Some(0xd800..=0xdbff) => {
                self.end_pair();
                self.high = Some(digits);
            }
            Some(0xdc00..=0xdfff) => match self.high.take() {
                Some(high) => {
                    self.escape(high);
                    self.escape(digits);
                }
                None => self.mark_half(),
            },
            _ => {
                self.end_pair();
                self.escape(digits);
            }
        }
    }

    fn escape(&mut self, digits: [u8; 4]) {
        self.output.extend_from_slice(b"\\u");
        self.output.extend_from_slice(&digits);
    }

    /// A first half without a second one.
    fn end_pair(&mut self) {
        if self.high.take().is_some() {
            self.mark_half();
        }
    }

    fn mark_half(&mut self) {
        self.output.extend_from_slice(format!("\u{fffd}{MARK}").as_bytes());
    }

    fn end_word(&mut self) {
        if matches!(self.word.as_slice(), b"NaN" | b"Infinity" | b"-Infinity") {
            self.output.extend_from_slice(format!("\"{MARK}").as_bytes());
            self.output.append(&mut self.word);
            self.output.push(b'"');
        } else {
            self.output.append(&mut self.word);
        }
    }
}

impl<R: BufRead> Read for Lenient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.output.len() && !self.refill()? {
            return Ok(0);
        }
        let waiting = &self.output[self.given..];
        let count = waiting.len().min(buffer.len());
        buffer[..count].copy_from_slice(&waiting[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Read in pieces of every size, so that each byte is once the first of a piece.
    #[track_caller]
    fn assert_read(written: &str, expected: &str) {
        for size in 1..=written.len() {
            let mut read = String::new();
            let input = BufReader::with_capacity(size, written.as_bytes());
            Lenient::new(input).read_to_string(&mut read).unwrap();
            assert_eq!(read, expected, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn numbers_that_are_none_become_marked_texts() {
        assert_read(
            r#"{"a":NaN,"b":[-Infinity,Infinity,-1,true,null],"NaN":"NaN"}"#,
            "{\"a\":\"\u{fdd0}NaN\",\"b\":[\"\u{fdd0}-Infinity\",\"\u{fdd0}Infinity\",-1,true,null],\"NaN\":\"NaN\"}",
        );
        assert_read("NaN", "\"\u{fdd0}NaN\"");
    }

    #[test]
    fn halves_of_pairs_are_replaced_and_marked_and_pairs_are_kept() {
        let half = "\u{fffd}\u{fdd0}";
        assert_read(r#""\ud83d\ude00 \u00e4 \" \\ud800""#, r#""\ud83d\ude00 \u00e4 \" \\ud800""#);
        assert_read(r#""a\ud800""#, &format!("\"a{half}\""));
        assert_read(r#""\ud800b\n""#, &format!("\"{half}b\\n\""));
        assert_read(r#""\ud800\n\udc00""#, &format!("\"{half}\\n{half}\""));
        assert_read(r#""\ud800\ud83d\ude00""#, &format!("\"{half}\\ud83d\\ude00\""));
        assert_read(r#""\ud800\u0041""#, &format!("\"{half}\\u0041\""));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let mut read = String::new();
        Lenient::new("\u{feff}{}".as_bytes()).read_to_string(&mut read).unwrap();
        assert_eq!(read, "{}");
    }
}
