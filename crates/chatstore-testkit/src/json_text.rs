//! Generated JSON text.

/// A generator of JSON in every spelling: order of keys, blanks, numbers, escapes.
#[derive(Debug)]
pub struct JsonGenerator(u64);

impl JsonGenerator {
    /// The same texts for the same seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A list of objects, as messages have it as their parts.
    pub fn parts(&mut self) -> String {
        self.list(0, Self::object)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    fn blank(&mut self) -> &'static str {
        self.pick(&["", "", "", " ", "\n", "\t ", "\r\n"])
    }

    fn string(&mut self) -> String {
        const PIECES: [&str; 18] = [
            "a",
            "b",
            "type",
            "text",
            "é",
            "知",
            "😀",
            "\\u0000",
            "\\ud800",
            "\\uDFFF",
            "\\ud83d\\ude00",
            "\\n",
            "\\\\",
            "\\\"",
            "\\/",
            "'",
            "\u{2028}",
            "\u{7f}",
        ];
        let pieces: String = (0..self.below(5)).map(|_| self.pick(&PIECES)).collect();
        format!("\"{pieces}\"")
    }

    fn number(&mut self) -> String {
        match self.below(8) {
            0 => self.below(1_000).to_string(),
            1 => format!("-{}", self.below(9)),
            2 => format!("{}.0", self.below(100)),
            3 => format!("1{}", "0".repeat(self.below(40))),
            4 => format!("{}e{}", self.below(9), self.below(500)),
            5 => format!("-0.{}E-{}", self.below(1_000), self.below(400)),
            6 => format!("0.{}", "3".repeat(1 + self.below(30))),
            _ => self.pick(&["-0.0", "0", "1.0", "9007199254740993", "18446744073709551616"]).to_owned(),
        }
    }

    fn list(&mut self, depth: usize, item: fn(&mut Self, usize) -> String) -> String {
        let items: Vec<String> = (0..self.below(4)).map(|_| self.spaced(depth, item)).collect();
        format!("[{}{}]", self.blank(), items.join(","))
    }

    fn spaced(&mut self, depth: usize, item: fn(&mut Self, usize) -> String) -> String {
        format!("{}{}{}", self.blank(), item(self, depth), self.blank())
    }

    fn object(&mut self, depth: usize) -> String {
        let entry = |this: &mut Self, depth: usize| {
            format!("{}{}:{}", this.string(), this.blank(), this.spaced(depth + 1, Self::value))
        };
        let entries: Vec<String> = (0..self.below(4)).map(|_| entry(self, depth)).collect();
        format!("{{{}{}}}", self.blank(), entries.join(","))
    }

    fn value(&mut self, depth: usize) -> String {
        let kinds = if depth < 5 { 6 } else { 4 };
        match self.below(kinds) {
            0 => self.string(),
            1 | 2 => self.number(),
            3 => self.pick(&["null", "true", "false"]).to_owned(),
            4 => self.list(depth + 1, Self::value),
            _ => self.object(depth),
        }
    }
}
