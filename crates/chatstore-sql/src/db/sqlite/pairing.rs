//! Which database file a write-ahead log belongs to.
//!
//! SQLite moves whatever log it finds beside a file into the file: a log that a killed process left damages a backup that
//! was put in the place of its file. So the log carries, as an extended attribute, the inodes of both and the time of the
//! file's last change. A copy of the log has another inode, and what its attribute says does not count; where a file system
//! has no such attributes nothing is known, and the log is taken, as ever.

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::descriptors::Descriptor;
use super::log_index::{FRAME_HEADER, LOG_HEADER, SALTS_IN_FRAME, SALTS_IN_LOG, Salts, page_of_frame};

/// The attribute's name.
const ATTRIBUTE: &str = "user.chatstore.log-of";

/// Where the size of a page stands in the header of the log.
const PAGE_SIZE_IN_LOG: u64 = 8;

/// What is known of a log and its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pairing {
    file_inode: u64,
    log_inode: u64,
    /// The log's salts: the rest holds until it begins anew.
    salts: Salts,
    changed_seconds: i64,
    changed_nanoseconds: i64,
}

impl Pairing {
    pub(super) fn new(file: &Descriptor, log: &Descriptor, salts: Salts) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self {
            file_inode: found.ino(),
            log_inode: log.metadata()?.ino(),
            salts,
            changed_seconds: found.mtime(),
            changed_nanoseconds: found.mtime_nsec(),
        })
    }

    pub(super) const fn salts(&self) -> Salts {
        self.salts
    }

    /// Writes it down at the log.
    pub(super) fn store(&self, log: &Descriptor) -> io::Result<()> {
        let Self { file_inode, log_inode, changed_seconds, changed_nanoseconds, .. } = self;
        let mut text = format!("{file_inode} {log_inode} {changed_seconds} {changed_nanoseconds} ");
        for byte in self.salts {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        log.set_attribute(ATTRIBUTE, text.as_bytes())
    }

    fn load(log: &Descriptor) -> Option<Self> {
        let text = log.attribute(ATTRIBUTE).ok()?;
        let mut words = text.split(' ');
        let mut next = || words.next();
        let pairing = Self {
            file_inode: next()?.parse().ok()?,
            log_inode: next()?.parse().ok()?,
            changed_seconds: next()?.parse().ok()?,
            changed_nanoseconds: next()?.parse().ok()?,
            salts: u64::from_str_radix(next()?, 16).ok()?.to_be_bytes(),
        };
        Some(pairing)
    }
}

/// Whether a log that a process left behind is known to belong to another file, or to other content of this one.
pub(super) fn is_log_of_another(file: &Descriptor, log: &Descriptor) -> io::Result<bool> {
    let (of_file, of_log) = (file.metadata()?, log.metadata()?);
    let Some(pairing) = Pairing::load(log).filter(|pairing| pairing.log_inode == of_log.ino()) else {
        return Ok(false);
    };
    if of_log.len() <= LOG_HEADER {
        return Ok(false);
    }
    if pairing.file_inode != of_file.ino() {
        return Ok(true);
    }
    let changed = (of_file.mtime(), of_file.mtime_nsec());
    if salts_of(log)? != pairing.salts || changed <= (pairing.changed_seconds, pairing.changed_nanoseconds) {
        return Ok(false);
    }
    // The file was changed since, so by a checkpoint of this log, which has put pages of the log into it.
    let has_moved = has_pages_of(file, log, pairing.salts)?;
    // Unless another process is at it.
    let is_settled = salts_of(log)? == pairing.salts && Pairing::load(log) == Some(pairing);
    Ok(!has_moved && is_settled)
}

fn salts_of(log: &Descriptor) -> io::Result<Salts> {
    let mut salts = Salts::default();
    log.read_at(&mut salts, SALTS_IN_LOG)?;
    Ok(salts)
}

/// Whether any page of the log is in the file.
fn has_pages_of(file: &Descriptor, log: &Descriptor, salts: Salts) -> io::Result<bool> {
    let mut size = [0; 4];
    log.read_at(&mut size, PAGE_SIZE_IN_LOG)?;
    let page_bytes = u64::from(u32::from_be_bytes(size));
    let frame_bytes = usize::try_from(FRAME_HEADER + page_bytes).map_err(io::Error::other)?;
    let (mut frame, mut page) = (vec![0; frame_bytes], vec![0; frame_bytes]);
    let mut position = LOG_HEADER;
    while log.read_at(&mut frame, position).is_ok() {
        let Some((number, logged)) = page_of_frame(&frame) else { break };
        if number == 0 || frame.get(SALTS_IN_FRAME..SALTS_IN_FRAME + salts.len()) != Some(&salts[..]) {
            break;
        }
        page.truncate(logged.len());
        let at = u64::from(number - 1) * page_bytes;
        if file.read_at(&mut page, at).is_ok() && page == logged {
            return Ok(true);
        }
        position += FRAME_HEADER + page_bytes;
    }
    Ok(false)
}
