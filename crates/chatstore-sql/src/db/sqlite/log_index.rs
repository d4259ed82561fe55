//! What SQLite's index of the write-ahead log says, read beside SQLite from the file `-shm`
//! (<https://www.sqlite.org/walformat.html>, 2.1).

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;

use super::descriptors::Descriptor;

/// Bytes of one copy of the header; there are two.
const HEADER: usize = 48;

/// Both copies and what checkpoints know.
const BYTES: usize = 136;

/// Bytes before the frames of the log, and before the page of each frame.
pub(super) const LOG_HEADER: u64 = 32;
pub(super) const FRAME_HEADER: u64 = 24;

/// The index has blocks of so many bytes, each of which begins with the numbers of pages, one for each frame. In the
/// first one the header stands in place of the first of them.
const BLOCK_BYTES: u64 = 32_768;
const FRAMES_OF_BLOCK: u32 = 4_096;
const FIRST_BLOCK_LACKS: u32 = 34;

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
    pub(super) attempted: u32,
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

    /// Transactions that were committed, in all logs of the file since the index was created.
    pub(super) fn changes(&self) -> u32 {
        number(&self.header, 8)
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

    /// Whether the log began anew just once since it had these salts.
    pub(super) fn follows(&self, salts: Salts) -> bool {
        let count = |salts: Salts| u32::from_be_bytes([salts[0], salts[1], salts[2], salts[3]]);
        count(self.salts()) == count(salts).wrapping_add(1)
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

/// The pages that these frames of the log hold.
pub(super) fn page_numbers(index: &Descriptor, frames: RangeInclusive<u32>) -> io::Result<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    let (mut next, last) = frames.into_inner();
    while next <= last {
        // Frame 0 does not exist; a block ends where the next one begins.
        let block = (next + FIRST_BLOCK_LACKS - 1) / FRAMES_OF_BLOCK;
        let end = (block + 1) * FRAMES_OF_BLOCK - FIRST_BLOCK_LACKS;
        let count = last.min(end) - next + 1;
        let within = (next + FIRST_BLOCK_LACKS - 1) % FRAMES_OF_BLOCK;
        let mut bytes = vec![0; count as usize * 4];
        index.read_at(&mut bytes, u64::from(block) * BLOCK_BYTES + u64::from(within) * 4)?;
        numbers.extend(bytes.chunks_exact(4).map(|bytes| number(bytes, 0)));
        next += count;
    }
    Ok(numbers)
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

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn the_index_names_the_page_of_every_frame() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file.db");
        let connection = Connection::open(&file).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        connection.execute_batch("pragma synchronous = off; create table rows (text)").unwrap();
        for _ in 0..3_000 {
            connection.execute("insert into rows values (hex(randomblob(1500)))", ()).unwrap();
        }
        let open = |suffix| Descriptor::open(&folder.path().join(format!("file.db{suffix}")), false).unwrap();
        let (log, index_file) = (open("-wal"), open("-shm"));
        let index = LogIndex::read(&index_file).unwrap().unwrap();
        assert!(index.frames() > FRAMES_OF_BLOCK + 1_000, "{} frames", index.frames());
        let in_log = |frame| {
            let mut number = [0; 4];
            log.read_at(&mut number, index.frame_position(frame)).unwrap();
            u32::from_be_bytes(number)
        };
        let last_of_first = FRAMES_OF_BLOCK - FIRST_BLOCK_LACKS;
        for frames in
            [1..=1, 2..=40, last_of_first..=last_of_first + 1, 4_000..=index.frames(), 1..=index.frames()]
        {
            let expected: BTreeSet<u32> = frames.clone().map(in_log).collect();
            assert_eq!(page_numbers(&index_file, frames).unwrap(), expected);
        }
    }
}
