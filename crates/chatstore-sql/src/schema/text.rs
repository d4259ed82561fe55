//! Texts that are put together when the program is compiled.

/// Bytes that a text may have.
const CAPACITY: usize = 1_024;

/// A text that grows in a constant. One that does not fit does not compile.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; CAPACITY], length: 0 }
    }

    pub(crate) const fn push(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            self.bytes[self.length] = bytes[index];
            self.length += 1;
            index += 1;
        }
        self
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds what separates one item of a list from the next, unless there is none yet.
    pub(crate) const fn separate(self) -> Self {
        if self.is_empty() { self } else { self.push(", ") }
    }

    /// Adds `$` and a number.
    pub(crate) const fn push_parameter(self, number: usize) -> Self {
        assert!(number < 100, "a statement has less than a hundred parameters");
        self.push("$").push_number(number)
    }

    /// Adds a number in decimal digits.
    pub(crate) const fn push_number(self, number: usize) -> Self {
        const DIGITS: &str = "0123456789";
        let with_tens = if number < 10 { self } else { self.push_number(number / 10) };
        let (_, ones) = DIGITS.split_at(number % 10);
        with_tens.push(ones.split_at(1).0)
    }

    pub(crate) const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.length);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => panic!("only whole texts were pushed"),
        }
    }
}

/// Whether two texts are equal, for constants.
pub(super) const fn is_same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}
