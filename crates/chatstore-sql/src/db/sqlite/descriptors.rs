//! Our own descriptors of database files: one set per file and process.
//!
//! SQLite's locks are POSIX locks: a process loses all of those on a file as soon as it closes any descriptor of it
//! (<https://www.sqlite.org/howtocorrupt.html>, 2.2). A file that is looked at, or locked, beside SQLite therefore has one
//! descriptor however often the process opens the database, opened before the first connection and closed after the last.
//! That is a fact about the process, and so is this register.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, XattrFlags, fgetxattr, fsetxattr};

/// Bytes of an attribute that is read.
const ATTRIBUTE_BYTES: usize = 256;

/// Which file it is, whatever leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

static OPEN: Mutex<BTreeMap<FileId, Entry>> = Mutex::new(BTreeMap::new());

struct Entry {
    file: Arc<File>,
    /// Handles to it.
    handles: usize,
    /// Handles that own the file's lock.
    owners: usize,
}

/// A file that stays open, for reading at a position and for its lock.
#[derive(Debug)]
pub(super) struct Descriptor {
    id: FileId,
    file: Option<Arc<File>>,
}

/// The lock of a database file, released when dropped: no other process has it.
#[derive(Debug)]
pub(super) struct OwnedLock {
    id: FileId,
}

/// Why the lock of a file was not to be had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has it.
    Held,
    /// The file system knows no locks, or has none left.
    Failed(io::Error),
}

impl Descriptor {
    /// Opens a regular file, which is created with access for its owner alone when `creates` and it does not exist.
    pub(super) fn open(path: &Path, creates: bool) -> io::Result<Self> {
        let mut open = register();
        if let Ok(metadata) = path.symlink_metadata() {
            if !metadata.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
            }
            let id = FileId::of(&metadata);
            if let Some(entry) = open.get_mut(&id) {
                entry.handles += 1;
                return Ok(Self { id, file: Some(Arc::clone(&entry.file)) });
            }
        }
        // A path that became a link or a pipe since is refused and does not block.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(creates).mode(0o600).custom_flags(flags.bits().cast_signed());
        let file = options.open(path)?;
        let id = FileId::of(&file.metadata()?);
        if let Some(entry) = open.get_mut(&id) {
            // The path was exchanged for a file that is open here; to close it now would drop SQLite's locks.
            let _stays_open = file.into_raw_fd();
            entry.handles += 1;
            return Ok(Self { id, file: Some(Arc::clone(&entry.file)) });
        }
        let file = Arc::new(file);
        open.insert(id, Entry { file: Arc::clone(&file), handles: 1, owners: 0 });
        Ok(Self { id, file: Some(file) })
    }

    pub(super) const fn id(&self) -> FileId {
        self.id
    }

    /// The number under which the process can be asked for the file, `/proc/PID/fd/NUMBER`.
    pub(super) fn number(&self) -> Option<RawFd> {
        self.file.as_ref().map(|file| file.as_raw_fd())
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file()?.metadata()
    }

    /// Fills `bytes` from this position on.
    pub(super) fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<()> {
        self.file()?.read_exact_at(bytes, position)
    }

    /// An extended attribute of the file.
    pub(super) fn attribute(&self, name: &str) -> io::Result<String> {
        let mut value = [0; ATTRIBUTE_BYTES];
        let length = fgetxattr(self.file()?, name, &mut value[..])?;
        String::from_utf8(value[..length].to_vec()).map_err(io::Error::other)
    }

    pub(super) fn set_attribute(&self, name: &str, value: &[u8]) -> io::Result<()> {
        Ok(fsetxattr(self.file()?, name, value, XattrFlags::empty())?)
    }

    fn file(&self) -> io::Result<&File> {
        self.file.as_deref().ok_or_else(|| io::Error::other("the descriptor is closed"))
    }

    /// Locks the file against other processes; within this one the lock is shared.
    pub(super) fn own(&self) -> Result<OwnedLock, LockError> {
        let mut open = register();
        let entry =
            open.get_mut(&self.id).ok_or_else(|| LockError::Failed(io::ErrorKind::NotFound.into()))?;
        if entry.owners == 0 {
            match entry.file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held),
                Err(TryLockError::Error(error)) => return Err(LockError::Failed(error)),
            }
        }
        entry.owners += 1;
        Ok(OwnedLock { id: self.id })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let mut open = register();
        let Some(entry) = open.get_mut(&self.id) else { return };
        entry.handles -= 1;
        if entry.handles == 0 {
            open.remove(&self.id);
        }
        // Closed before another thread can open the file anew.
        self.file.take();
    }
}

impl OwnedLock {
    /// Whether nothing else in this process has the lock.
    pub(super) fn is_last(&self) -> bool {
        register().get(&self.id).is_some_and(|entry| entry.owners == 1)
    }
}

impl Drop for OwnedLock {
    fn drop(&mut self) {
        let mut open = register();
        let Some(entry) = open.get_mut(&self.id) else { return };
        entry.owners -= 1;
        if entry.owners > 0 {
            return;
        }
        if let Err(error) = entry.file.unlock() {
            tracing::warn!(%error, "a database file could not be unlocked; it is when the process ends");
        }
    }
}

/// The process that has the lock of this file, where the system tells.
pub(super) fn lock_holder(id: FileId) -> Option<String> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1048599 0 EOF`
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid) = (words.next()?, words.nth(2)?);
        let inode = words.next()?.rsplit(':').next()?;
        let is_it = kind == "FLOCK" && inode.parse() == Ok(id.inode);
        is_it.then(|| pid.to_owned())
    })
}

fn register() -> MutexGuard<'static, BTreeMap<FileId, Entry>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
