//! What SQLite's index of the write-ahead log says, read beside SQLite from the file `-shm`
//! (<https://www.sqlite.org/walformat.html>, 2.1).

use std::io;

use super::descriptors::Descriptor;

/// Bytes of one copy of the header; there are two.
const HEADER: usize = 48;

/// Both copies and what checkpoints know.
const BYTES: usize = 136;

/// Bytes before the frames of the log, and before the page of each frame.
pub(super) const LOG_HEADER: u64 = 32;
pub(super) const FRAME_HEADER: u64 = 24;

/// Where the salts stand in the header of the log.
pub(super) const SALTS_IN_LOG: u64 = 16;

/// Where the salts stand in a frame's header, after the number of its page and the size of the database.
pub(super) const SALTS_IN_FRAME: usize = 8;

/// Two numbers that change whenever the log begins anew.
pub(super) type Salts = [u8; 8];

/// The index at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogIndex {
    header: [u8; HEADER],
    /// Frames whose pages are in the database file.
    pub(super) moved: u32,
    /// Frames whose pages may be in the database file: more while a checkpoint is under way.
    attempted: u32,
}

impl LogIndex {
    /// None while a transaction is just being written down.
    pub(super) fn read(index: &Descriptor) -> io::Result<Option<Self>> {
        let mut bytes = [0; BYTES];
        index.read_at(&mut bytes, 0)?;
        let (first, rest) = bytes.split_at(HEADER);
        if first != &rest[..HEADER] {
            return Ok(None);
        }
        let mut header = [0; HEADER];
        header.copy_from_slice(first);
        Ok(Some(Self { header, moved: number(&bytes, 96), attempted: number(&bytes, 128) }))
    }

    /// Whether no checkpoint is under way or was cut off.
    pub(super) const fn is_settled(&self) -> bool {
        self.moved == self.attempted
    }

    /// Frames in the log.
    pub(super) fn frames(&self) -> u32 {
        number(&self.header, 16)
    }

    /// Pages of the database, with those in the log.
    pub(super) fn pages(&self) -> u32 {
        number(&self.header, 20)
    }

    pub(super) fn page_bytes(&self) -> u64 {
        match u16::from_ne_bytes([self.header[14], self.header[15]]) {
            // The largest size does not fit.
            1 => 65_536,
            bytes => bytes.into(),
        }
    }

    pub(super) fn salts(&self) -> Salts {
        let mut salts = Salts::default();
        salts.copy_from_slice(&self.header[32..40]);
        salts
    }

    /// Bytes that the log has at least.
    pub(super) fn log_bytes(&self) -> u64 {
        self.frame_position(self.frames().saturating_add(1))
    }

    /// Where a frame begins; the first is 1.
    pub(super) fn frame_position(&self, frame: u32) -> u64 {
        LOG_HEADER + u64::from(frame.saturating_sub(1)) * (FRAME_HEADER + self.page_bytes())
    }

    /// Bytes of a frame, header and page.
    pub(super) fn frame_bytes(&self) -> usize {
        usize::try_from(FRAME_HEADER + self.page_bytes()).unwrap_or_default()
    }
}

/// The page in a frame.
pub(super) fn page_of_frame(frame: &[u8]) -> Option<(u32, &[u8])> {
    let (header, page) = frame.split_at_checked(usize::try_from(FRAME_HEADER).ok()?)?;
    let number = header.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))?;
    Some((number, page))
}

fn number(bytes: &[u8], position: usize) -> u32 {
    let found = bytes.get(position..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}
