//! Names of prepared statements that no other process uses.
//!
//! The driver calls its prepared statements `s0`, `s1` … in every process. Behind a pooler, connections of
//! several processes share one of the server's sessions, where a name would run the statement that another
//! process has given that name to. On the way to the server every name therefore gets a prefix of its own. Within
//! a process the driver uses a number once, so a name is either unknown to a session or means its own statement.

/// Puts a prefix before the names of prepared statements in what a client sends.
///
/// The format: <https://www.postgresql.org/docs/current/protocol-message-formats.html>. Only the heads of
/// messages are looked at; their contents pass through.
#[derive(Debug)]
pub(super) struct Renamer {
    prefix: Box<[u8]>,
    /// What came of the present message before it is known whether it has a name.
    head: Vec<u8>,
    /// What is still to come of a message whose head has passed.
    remaining: usize,
    /// The first message has no type.
    is_first: bool,
}

/// Where the name of a prepared statement begins in a message.
enum Name {
    At(usize),
    Absent,
    /// More of the message has to come.
    Unknown,
}

impl Renamer {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.as_bytes().into(), head: Vec::new(), remaining: 0, is_first: true }
    }

    /// Takes the next bytes of the client and appends what is to be sent for them.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let (now, later) = if self.remaining > 0 {
                let (now, later) = bytes.split_at(self.remaining.min(bytes.len()));
                self.remaining -= now.len();
                out.extend_from_slice(now);
                (now, later)
            } else {
                let (now, later) = bytes.split_at(1);
                self.head.extend_from_slice(now);
                self.pass_head(out);
                (now, later)
            };
            debug_assert!(!now.is_empty());
            bytes = later;
        }
    }

    /// Sends the head when it is complete.
    fn pass_head(&mut self, out: &mut Vec<u8>) {
        let length_at = usize::from(!self.is_first);
        let Some(length) = self.head.get(length_at..).and_then(|rest| rest.first_chunk::<4>()) else {
            return;
        };
        let length = u32::from_be_bytes(*length);
        let size = length_at + length as usize;
        let name = if self.is_first { Name::Absent } else { self.name() };
        match name {
            Name::Unknown if self.head.len() < size => return,
            Name::At(position) if self.head[position] != 0 => {
                let longer = length + self.prefix.len() as u32;
                out.extend_from_slice(&self.head[..length_at]);
                out.extend_from_slice(&longer.to_be_bytes());
                out.extend_from_slice(&self.head[length_at + 4..position]);
                out.extend_from_slice(&self.prefix);
                out.extend_from_slice(&self.head[position..]);
            }
            _ => out.extend_from_slice(&self.head),
        }
        self.remaining = size.saturating_sub(self.head.len());
        self.head.clear();
        self.is_first = false;
    }

    /// Where the name begins in a message with a type, which the head starts with.
    fn name(&self) -> Name {
        const CONTENT: usize = 5;
        let position = match self.head[0] {
            // Parse begins with the name.
            b'P' => CONTENT,
            // Describe and Close say first whether they mean a statement or a portal.
            b'D' | b'C' => match self.head.get(CONTENT) {
                Some(b'S') => CONTENT + 1,
                Some(_) => return Name::Absent,
                None => return Name::Unknown,
            },
            // Bind names the portal before the statement.
            b'B' => match self.head[CONTENT..].iter().position(|&byte| byte == 0) {
                Some(end_of_portal) => CONTENT + end_of_portal + 1,
                None => return Name::Unknown,
            },
            _ => return Name::Absent,
        };
        if position < self.head.len() { Name::At(position) } else { Name::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::Renamer;

    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], content].concat()
    }

    fn first(content: &[u8]) -> Vec<u8> {
        message(0, content)[1..].to_vec()
    }

    /// What is sent when the client writes pieces of this size.
    fn sent(written: &[u8], piece: usize) -> Vec<u8> {
        let mut renamer = Renamer::new("mine_");
        let mut out = Vec::new();
        written.chunks(piece).for_each(|bytes| renamer.push(bytes, &mut out));
        assert!(renamer.head.is_empty() && renamer.remaining == 0);
        out
    }

    #[test]
    fn every_message_that_names_a_statement_gets_the_prefix_and_no_other_one_is_changed() {
        let query = [b"select $1", &[0, 0, 0][..]].concat();
        let written = [
            first(b"\0\x03\0\0user\0ada\0\0"),
            message(b'p', b"secret\0"),
            message(b'P', &[b"s0\0", &query[..]].concat()),
            message(b'D', b"Ss0\0"),
            message(b'B', b"\0s0\0\0\x01\0\x01\0\x01\0\0\0\x02s9\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
            message(b'B', b"p7\0s12\0\0\0\0\0\0\0"),
            message(b'D', b"Ps7\0"),
            message(b'C', b"Ss12\0"),
            message(b'C', b"Pp7\0"),
            message(b'P', &[b"\0", &query[..]].concat()),
            message(b'B', b"\0\0\0\0\0\0\0\0"),
            message(b'D', b"S\0"),
            message(b'Q', b"s1\0"),
        ];
        let expected = [
            first(b"\0\x03\0\0user\0ada\0\0"),
            message(b'p', b"secret\0"),
            message(b'P', &[b"mine_s0\0", &query[..]].concat()),
            message(b'D', b"Smine_s0\0"),
            message(b'B', b"\0mine_s0\0\0\x01\0\x01\0\x01\0\0\0\x02s9\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
            message(b'B', b"p7\0mine_s12\0\0\0\0\0\0\0"),
            message(b'D', b"Ps7\0"),
            message(b'C', b"Smine_s12\0"),
            message(b'C', b"Pp7\0"),
            message(b'P', &[b"\0", &query[..]].concat()),
            message(b'B', b"\0\0\0\0\0\0\0\0"),
            message(b'D', b"S\0"),
            message(b'Q', b"s1\0"),
        ];
        for piece in [1, 2, 3, 7, 4096] {
            assert_eq!(sent(&written.concat(), piece), expected.concat(), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_message_that_ends_early_is_passed_on_as_it_is() {
        let written = [first(b"\0\0\0\0"), message(b'B', b"p"), message(b'D', b""), message(b'S', b"")];
        assert_eq!(sent(&written.concat(), 1), written.concat());
    }
}
