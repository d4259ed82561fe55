//! SQLite: one thread that writes, readers beside it, checkpoints on a thread of their own.

mod budget;
mod check;
mod checkpoint;
mod descriptors;
mod executor;
mod fault;
mod file;
mod guard;
mod keeper;
mod location;
mod log;
mod log_index;
pub(crate) mod mark;
mod open;
mod pairing;
mod readers;
mod trouble;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::context::Context;
use crate::error::{Cause, ConnectError, StoreError};
use crate::file_lock::FileLock;
use crate::measures::{ConnectionMeasures, SqliteMeasures};
use crate::tx::{ReadOnly, Tx};

use checkpoint::{Checkpoints, KeeperHandle};
pub(crate) use executor::{SqliteExecutor, store_error};
pub(crate) use file::OpenFile;
use location::Location;
use log::Counters;
use open::connect;
use readers::Readers;
use writer::Writer;

/// One SQLite file, or one database in memory.
pub(crate) struct SqliteDatabase {
    context: Arc<Context>,
    path: Option<PathBuf>,
    pub(crate) writer: Writer,
    /// None for a database in memory, which only its one connection can see.
    on_file: Option<OnFile>,
}

/// What a database in a file has beside its writer.
struct OnFile {
    readers: Readers,
    keeper: KeeperHandle,
    counters: Arc<Counters>,
    /// After the readers, because it must be closed after every connection.
    file: Arc<OpenFile>,
}

impl SqliteDatabase {
    /// Opens `path`, or a fresh database in memory; creates the file when it does not exist.
    pub(crate) fn open(
        path: Option<PathBuf>,
        lock: FileLock,
        context: Arc<Context>,
    ) -> Result<Self, ConnectError> {
        let location = Location::new(path.as_deref())?;
        let Location::File(file) = &location else {
            let writer = Writer::start(connect(&location)?, None, Arc::clone(&context))?;
            return Ok(Self { context, path, writer, on_file: None });
        };
        let (file, connection) = OpenFile::open(file, lock)?;
        let readers = Readers::open(&location)?;
        let checkpoints =
            Checkpoints::start(connect(&location)?, Arc::clone(&file.guard)).map_err(|error| {
                ConnectError::FileFailed { place: location.place(), cause: Cause::new(error) }
            })?;
        let (file, keeper, counters) = (Arc::new(file), checkpoints.keeper(), checkpoints.counters());
        let writer = Writer::start(connection, Some((Arc::clone(&file), checkpoints)), Arc::clone(&context))?;
        Ok(Self { context, path, writer, on_file: Some(OnFile { readers, keeper, counters, file }) })
    }

    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(on_file) = &self.on_file else {
            return self.writer.run::<_, _, ReadOnly, _>(work).await;
        };
        on_file.file.guard.verify_name()?;
        on_file.readers.read(&self.context, &on_file.file.guard, work).await
    }

    pub(crate) fn path(&self) -> Option<&std::path::Path> {
        self.path.as_deref()
    }

    /// The file, for one more connection to it.
    pub(crate) fn file(&self) -> Option<Arc<OpenFile>> {
        self.on_file.as_ref().map(|on_file| Arc::clone(&on_file.file))
    }

    /// Whether the file looked like a copy of one in use, without its log, when it was opened.
    pub(crate) fn may_lack_rows(&self) -> bool {
        self.on_file.as_ref().is_some_and(|on_file| on_file.file.may_lack_rows)
    }

    /// Fails if the file was found damaged or exchanged.
    pub(crate) fn refuse_faulty(&self) -> Result<(), StoreError> {
        self.on_file.as_ref().map_or(Ok(()), |on_file| on_file.file.guard.refuse_faulty())
    }

    /// Reads all of the file and looks for damage, which makes it unusable.
    pub(crate) async fn check_file(&self) -> Result<(), StoreError> {
        match self.file() {
            Some(file) => check::check(file).await,
            None => Ok(()),
        }
    }

    /// Moves the whole write-ahead log into the file and empties it.
    pub(crate) async fn empty_log(&self) -> Result<(), StoreError> {
        match &self.on_file {
            Some(on_file) => on_file.keeper.empty_log().await,
            None => Ok(()),
        }
    }

    /// The connections for reads; `None` in memory.
    pub(crate) fn connection_measures(&self) -> Option<ConnectionMeasures> {
        self.on_file.as_ref().map(|on_file| on_file.readers.measures())
    }

    /// What the writer and the keeper did.
    pub(crate) fn measures(&self) -> SqliteMeasures {
        let groups = &self.context.measures.groups;
        let on_file = self.on_file.as_ref();
        SqliteMeasures {
            group_sizes: groups.sizes.read(),
            group_times: groups.times.read(),
            queued_writes: self.writer.queued(),
            log_bytes: on_file.map_or(0, |on_file| on_file.file.guard.log_bytes()),
            checkpoints: on_file.map(|on_file| on_file.counters.checkpoints()).unwrap_or_default(),
            long_reads: groups.long_reads.load(Ordering::Relaxed),
        }
    }

    /// Bytes of the file and its write-ahead log.
    pub(crate) fn size_bytes(&self) -> Result<u64, StoreError> {
        let Some(path) = &self.path else { return Ok(0) };
        let mut wal = path.clone().into_os_string();
        wal.push("-wal");
        let size = |path: &std::path::Path| match std::fs::metadata(path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(StoreError::Backend(Cause::new(error))),
        };
        Ok(size(path)? + size(wal.as_ref())?)
    }

    /// Finishes what is queued and closes the file; later writes fail.
    pub(crate) async fn close(&self) {
        if let Some(on_file) = &self.on_file {
            on_file.readers.close().await;
        }
        self.writer.close().await;
    }
}
