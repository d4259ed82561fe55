//! Watches that the files at the path are those that are open, and that no other program writes into them.
//!
//! Names can be given to other files at any time, and what a process then commits is gone with the file it has open.
//! So the writer looks before each commit and again before it answers; all others do so every second.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::descriptors::{Descriptor, FileId, OwnedLock};
use super::fault::Fault;
use super::log_index::{LogIndex, SALTS_IN_FRAME, SALTS_IN_LOG, Salts, page_numbers, page_of_frame};
use super::pairing::{Pairing, is_log_of_another};
use crate::error::{Cause, StoreError};

/// Frames of the log that are compared with the file after a checkpoint.
const COMPARED_FRAMES: usize = 16;

/// Pages that are known from earlier checkpoints at most, and how many of them are compared while one is under way.
const REMEMBERED_PAGES: usize = 64;
const SAMPLED_PAGES: usize = 8;

/// The files of one open database.
#[derive(Debug)]
pub(super) struct FileGuard {
    /// The path that was given, absolute, if a link is in it.
    given: Option<PathBuf>,
    paths: Paths,
    beside: OnceLock<Beside>,
    seen: Mutex<Option<Seen>>,
    /// What was written down at the log last.
    pairing: Mutex<Option<Pairing>>,
    fault: OnceLock<Fault>,
    lock: Mutex<Option<OwnedLock>>,
    /// Last, because it must be closed last.
    file: Descriptor,
}

/// The path without links, and those of the files that SQLite keeps beside it.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) file: PathBuf,
    pub(super) log: PathBuf,
    index: PathBuf,
}

impl Paths {
    pub(super) fn new(file: PathBuf) -> Self {
        let beside = |suffix: &str| {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self { log: beside("-wal"), index: beside("-shm"), file }
    }
}

/// The files beside the database file, which exist while it is open.
#[derive(Debug)]
struct Beside {
    log: Descriptor,
    index: Descriptor,
}

/// The database file when no checkpoint was under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    stamp: Stamp,
    /// The log then, and how much of it was in the file.
    salts: Salts,
    moved: u32,
    /// Frames that the log had since, and the transactions until then.
    frames: u32,
    changes: u32,
    /// Pages that the file holds as long as no checkpoint changes them: some that were moved last, the first, and some
    /// that were moved before.
    pages: Vec<NumberedPage>,
}

type NumberedPage = (u32, Vec<u8>);

impl Seen {
    /// Its pages that no checkpoint can have changed since; nothing when that cannot be told.
    fn unchanged_pages(&self, beside: &Beside, index: &LogIndex) -> io::Result<Vec<&NumberedPage>> {
        let first = match self.salts == index.salts() {
            true => self.moved.saturating_add(1),
            false if self.frames == self.moved && self.is_all_before(index) => 1,
            false => return Ok(Vec::new()),
        };
        let changed = page_numbers(&beside.index, first..=index.attempted)?;
        let is_unchanged = |number: &u32| *number <= index.pages() && !changed.contains(number);
        Ok(self.pages.iter().filter(|(number, _)| is_unchanged(number)).collect())
    }

    /// Whether the log began anew after this, with no transaction in between, which another program may have added to
    /// the former log, and one in the new log at most.
    fn is_all_before(&self, index: &LogIndex) -> bool {
        let in_new_log = u32::from(index.frames() > 0);
        index.follows(self.salts) && index.changes() == self.changes.wrapping_add(in_new_log)
    }
}

/// What changes when a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() }
    }
}

impl FileGuard {
    pub(super) fn new(
        given: Option<PathBuf>,
        paths: Paths,
        file: Descriptor,
        lock: Option<OwnedLock>,
    ) -> Self {
        Self {
            given,
            paths,
            beside: OnceLock::new(),
            seen: Mutex::new(None),
            pairing: Mutex::new(None),
            fault: OnceLock::new(),
            lock: Mutex::new(lock),
            file,
        }
    }

    /// To be called once a connection has read from the file: log and index exist from then on.
    pub(super) fn attach(&self) -> io::Result<()> {
        let beside = Beside {
            log: Descriptor::open(&self.paths.log, false)?,
            index: Descriptor::open(&self.paths.index, false)?,
        };
        // A second call changes nothing.
        let _ = self.beside.set(beside);
        self.pair();
        Ok(())
    }

    /// Whether a log that was left at the path is another file's.
    pub(super) fn is_beside_log_of_another(&self) -> io::Result<bool> {
        match Descriptor::open(&self.paths.log, false) {
            Ok(log) => is_log_of_another(&self.file, &log),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes down at the log that it is this file's, whenever it began anew. Nothing depends on success.
    pub(super) fn pair(&self) {
        let Some(beside) = self.beside.get() else { return };
        let Ok(Some(index)) = LogIndex::read(&beside.index) else { return };
        let mut pairing = self.pairing.lock().unwrap_or_else(PoisonError::into_inner);
        if pairing.is_some_and(|known| known.salts() == index.salts()) {
            return;
        }
        let paired = Pairing::new(&self.file, &beside.log, index.salts());
        let stored = paired.and_then(|paired| paired.store(&beside.log).map(|()| paired));
        match stored {
            Ok(paired) => *pairing = Some(paired),
            Err(error) => tracing::debug!(%error, "the write-ahead log does not say whose it is"),
        }
    }

    pub(super) const fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(super) const fn file(&self) -> &Descriptor {
        &self.file
    }

    /// The fault that was found, if any.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    pub(super) fn is_owner(&self) -> bool {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether it has the lock and no other database of this process has it too.
    pub(super) fn is_last_owner(&self) -> bool {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.as_ref().is_some_and(OwnedLock::is_last)
    }

    /// Gives the lock back, if it was taken.
    pub(super) fn unlock(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Fails from the first fault on.
    pub(super) fn refuse_faulty(&self) -> Result<(), StoreError> {
        self.fault().map_or(Ok(()), |fault| Err(fault.error()))
    }

    /// Looks at the names and the content.
    pub(super) fn verify(&self) -> Result<(), StoreError> {
        self.refuse_faulty()?;
        match self.look() {
            Ok(None) => Ok(()),
            Ok(Some(fault)) => Err(self.report(fault)),
            Err(error) => {
                let place = self.paths.file.display();
                let message = format!("cannot see whether {place} is still in its place: {error}");
                Err(StoreError::Unavailable(Cause::new(message)))
            }
        }
    }

    /// Looks only whether the path leads to the file: one system call.
    pub(super) fn verify_name(&self) -> Result<(), StoreError> {
        self.refuse_faulty()?;
        match std::fs::symlink_metadata(&self.paths.file) {
            Ok(metadata) if FileId::of(&metadata) == self.file.id() => Ok(()),
            _ => self.verify(),
        }
    }

    /// Declares a fault, once; what was found first is what is reported.
    pub(super) fn report(&self, fault: Fault) -> StoreError {
        if self.fault.set(fault).is_ok() {
            let path = self.paths.file.display();
            tracing::error!(database.path = %path, "{fault}; {}", fault.remedy());
        }
        self.fault().unwrap_or(fault).error()
    }

    /// Bytes of the log.
    pub(super) fn log_bytes(&self) -> u64 {
        self.beside.get().and_then(|beside| beside.log.metadata().ok()).map_or(0, |found| found.len())
    }

    /// Whether the log at its path is the one that is open.
    pub(super) fn has_own_log(&self) -> bool {
        let Some(beside) = self.beside.get() else { return false };
        named(&self.paths.log)
            .is_ok_and(|found| found.is_some_and(|found| FileId::of(&found) == beside.log.id()))
    }

    fn look(&self) -> io::Result<Option<Fault>> {
        if let Some(given) = &self.given {
            match absent_as_none(std::fs::metadata(given))? {
                None => return Ok(Some(Fault::Removed)),
                Some(found) if FileId::of(&found) != self.file.id() => return Ok(Some(Fault::Replaced)),
                Some(_) => {}
            }
        }
        let file = match named(&self.paths.file)? {
            None => return Ok(Some(Fault::Removed)),
            Some(found) if FileId::of(&found) != self.file.id() => return Ok(Some(Fault::Replaced)),
            Some(found) => found,
        };
        let Some(beside) = self.beside.get() else { return Ok(None) };
        let log = match named(&self.paths.log)? {
            None => return Ok(Some(Fault::LogRemoved)),
            Some(found) if FileId::of(&found) != beside.log.id() => return Ok(Some(Fault::LogReplaced)),
            Some(found) => found,
        };
        match named(&self.paths.index)? {
            Some(found) if FileId::of(&found) == beside.index.id() => {}
            _ => return Ok(Some(Fault::IndexRemoved)),
        }
        self.compare(beside, Stamp::of(&file), log.len())
    }

    /// Compares the content with what the log's index says of it. What changes meanwhile is not judged.
    fn compare(&self, beside: &Beside, stamp: Stamp, log_bytes: u64) -> io::Result<Option<Fault>> {
        let Some(index) = LogIndex::read(&beside.index)? else { return Ok(None) };
        let mut salts = Salts::default();
        let has_log = index.frames() > 0;
        let mut is_whole = |log_bytes: u64| {
            !has_log
                || log_bytes >= index.log_bytes()
                    && beside.log.read_at(&mut salts, SALTS_IN_LOG).is_ok()
                    && salts == index.salts()
        };
        let is_log_whole = is_whole(log_bytes);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            seen.as_ref().is_some_and(|seen| seen.salts == index.salts() && seen.moved == index.moved);
        let is_as_seen = is_known && seen.as_ref().is_some_and(|seen| seen.stamp == stamp);
        if let Some(seen) = seen.as_mut().filter(|seen| seen.salts == index.salts()) {
            (seen.frames, seen.changes) = (seen.frames.max(index.frames()), index.changes());
        }
        if is_log_whole && is_as_seen {
            return Ok(None);
        }
        let unchanged = match &*seen {
            Some(seen) if !is_known => short_as_default(seen.unchanged_pages(beside, &index))?,
            _ => Vec::new(),
        };
        if is_log_whole && !index.is_settled() {
            let has_pages = unchanged.iter().take(SAMPLED_PAGES).all(|page| self.has_page(page, &index));
            let is_overwritten = !has_pages && LogIndex::read(&beside.index)? == Some(index);
            return Ok(is_overwritten.then_some(Fault::Overwritten));
        }
        // Both were taken before the index was read: a checkpoint may have ended in between, or a commit.
        let stamp = Stamp::of(&self.file.metadata()?);
        let is_log_whole = is_whole(beside.log.metadata()?.len());
        let pages = match seen.as_ref().filter(|_| is_known) {
            Some(seen) => seen.pages.clone(),
            // The log was cut meanwhile. If it was SQLite that emptied it, the index says so below; else it is too short.
            None => {
                let mut pages = short_as_default(Self::moved_pages(beside, &index))?;
                pages.extend(unchanged.into_iter().cloned());
                pages.truncate(REMEMBERED_PAGES);
                pages
            }
        };
        let has_pages = pages.iter().all(|page| self.has_page(page, &index));
        let is_same_size = seen.as_ref().is_none_or(|seen| !is_known || seen.stamp.bytes == stamp.bytes);
        if LogIndex::read(&beside.index)? != Some(index) {
            return Ok(None);
        }
        if !is_log_whole {
            return Ok(Some(Fault::LogOverwritten));
        }
        if !index.is_settled() {
            return Ok(None);
        }
        if !has_pages || !is_same_size {
            return Ok(Some(Fault::Overwritten));
        }
        let pages = if is_known { pages } else { self.with_first_page(pages, &index)? };
        let (salts, moved) = (index.salts(), index.moved);
        let (frames, changes) = (index.frames(), index.changes());
        *seen = Some(Seen { stamp, salts, moved, frames, changes, pages });
        Ok(None)
    }

    /// Some of the pages that were moved into the file last, from the log. Not those that also have a later frame: while
    /// a reader needs the state before that one, a checkpoint moves no frame of such a page.
    fn moved_pages(beside: &Beside, index: &LogIndex) -> io::Result<Vec<NumberedPage>> {
        let mut pages: Vec<NumberedPage> = Vec::new();
        let changed_since = page_numbers(&beside.index, index.moved.saturating_add(1)..=index.frames())?;
        for frame in (1..=index.moved).rev().take(COMPARED_FRAMES) {
            let mut bytes = vec![0; index.frame_bytes()];
            beside.log.read_at(&mut bytes, index.frame_position(frame))?;
            let is_current = bytes.get(SALTS_IN_FRAME..SALTS_IN_FRAME + 8) == Some(&index.salts()[..]);
            let Some((number, page)) = page_of_frame(&bytes).filter(|_| is_current) else { break };
            // An older version of a page is not in the file, and a page that the file has lost since need not be.
            let is_known = changed_since.contains(&number) || pages.iter().any(|(known, _)| *known == number);
            if number <= index.pages() && !is_known {
                pages.push((number, page.to_vec()));
            }
        }
        Ok(pages)
    }

    fn with_first_page(
        &self,
        mut pages: Vec<NumberedPage>,
        index: &LogIndex,
    ) -> io::Result<Vec<NumberedPage>> {
        let mut first = vec![0; usize::try_from(index.page_bytes()).unwrap_or_default()];
        self.file.read_at(&mut first, 0)?;
        if pages.iter().all(|(number, _)| *number != 1) {
            pages.push((1, first));
        }
        Ok(pages)
    }

    fn has_page(&self, (number, page): &NumberedPage, index: &LogIndex) -> bool {
        let position = u64::from(number.saturating_sub(1)) * index.page_bytes();
        let mut found = vec![0; page.len()];
        self.file.read_at(&mut found, position).is_ok() && found == *page
    }
}

fn named(path: &Path) -> io::Result<Option<Metadata>> {
    absent_as_none(std::fs::symlink_metadata(path))
}

fn short_as_default<T: Default>(read: io::Result<T>) -> io::Result<T> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(T::default()),
        read => read,
    }
}

fn absent_as_none(found: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match found {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
