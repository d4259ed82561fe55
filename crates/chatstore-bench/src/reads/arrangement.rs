//! The places where reads could run.

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use chatstore_bench::error::Error;
use chatstore_model::{ConversationId, Limit, UserId};
use tokio::sync::oneshot;

use crate::bare::sqlite::{Reader, ReaderPool};

/// Who runs a read.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// The thread of the task that asks, with one of four connections.
    InPlace(Arc<ReaderPool>),
    /// The same, after everything else that is ready had its turn.
    InPlaceYielding(Arc<ReaderPool>),
    /// Threads that do nothing else.
    Threads(mpsc::Sender<Request>),
    /// A thread of the runtime's pool for blocking work, with one of four connections.
    Blocking(Arc<ReaderPool>),
}

/// An arrangement, for the table.
#[derive(Clone, Copy)]
pub(super) struct Arrangement {
    pub(super) name: &'static str,
    /// Prepares it for reads of a file.
    pub(super) open: fn(&Path) -> Result<Reading, Error>,
}

pub(super) const ARRANGEMENTS: [Arrangement; 5] = [
    Arrangement { name: "in place, 4 connections", open: |path| Ok(Reading::InPlace(pool(path)?)) },
    Arrangement { name: "in place, yielding first", open: |path| Ok(Reading::InPlaceYielding(pool(path)?)) },
    Arrangement { name: "on 2 threads", open: |path| Ok(Reading::Threads(start_threads(2, path)?)) },
    Arrangement { name: "on 4 threads", open: |path| Ok(Reading::Threads(start_threads(4, path)?)) },
    Arrangement { name: "spawn_blocking", open: |path| Ok(Reading::Blocking(pool(path)?)) },
];

fn pool(path: &Path) -> Result<Arc<ReaderPool>, Error> {
    Ok(Arc::new(ReaderPool::open(path)?))
}

/// A page that a caller waits for.
#[derive(Debug)]
pub(super) struct Request {
    owner: UserId,
    conversation: ConversationId,
    limit: Limit,
    answer: oneshot::Sender<Result<usize, Error>>,
}

impl Reading {
    /// Reads the newest messages of a conversation; how many there were.
    pub(super) async fn page(
        &self,
        owner: UserId,
        conversation: ConversationId,
        limit: Limit,
    ) -> Result<usize, Error> {
        match self {
            Self::InPlace(pool) => pool.with(|reader| reader.page(owner, conversation, limit)).await,
            Self::InPlaceYielding(pool) => {
                tokio::task::yield_now().await;
                pool.with(|reader| reader.page(owner, conversation, limit)).await
            }
            Self::Threads(queue) => {
                let (answer, answered) = oneshot::channel();
                queue.send(Request { owner, conversation, limit, answer })?;
                answered.await?
            }
            Self::Blocking(pool) => {
                let pool = Arc::clone(pool);
                pool.with_blocking(move |reader| reader.page(owner, conversation, limit)).await
            }
        }
    }
}

/// Threads that take their work from one queue; they end when the queue is closed.
fn start_threads(count: usize, path: &Path) -> Result<mpsc::Sender<Request>, Error> {
    let (queue, waiting) = mpsc::channel::<Request>();
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..count {
        let reader = Reader::open(path)?;
        let waiting = Arc::clone(&waiting);
        thread::Builder::new().name("reader".to_owned()).spawn(move || work_off(&reader, &waiting))?;
    }
    Ok(queue)
}

fn work_off(reader: &Reader, waiting: &Mutex<mpsc::Receiver<Request>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(request) = next else { return };
        let page = reader.page(request.owner, request.conversation, request.limit);
        // The caller may have stopped waiting.
        let _ = request.answer.send(page);
    }
}
