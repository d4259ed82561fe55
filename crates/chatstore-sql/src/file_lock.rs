//! Whether a process owns the SQLite file that it opens.

/// Whether a SQLite file is locked against other processes. SQLite itself lets any number of them use a file; the lock
/// keeps apart those that rely on being alone, like servers. It is on the file itself, so it holds for every path that
/// leads there, and ends with the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileLock {
    /// One process at a time opens the file so; another gets
    /// [`ConnectError::InUse`](crate::ConnectError::InUse).
    Own,
    /// Beside whichever process owns the file.
    #[default]
    Share,
}
