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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// The thread of the task that asks, with one of four connections.
    InPlace,
    /// The same, after everything else that is ready had its turn.
    InPlaceYielding,
    /// Threads that do nothing else.
    Threads(usize),
    /// A thread of the runtime's pool for blocking work, with one of four connections.
    Blocking,
}

impl Arrangement {
    pub(super) const ALL: [Self; 5] =
        [Self::InPlace, Self::InPlaceYielding, Self::Threads(2), Self::Threads(4), Self::Blocking];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InPlace => "in place, 4 connections",
            Self::InPlaceYielding => "in place, yielding first",
            Self::Threads(2) => "on 2 threads",
            Self::Threads(_) => "on 4 threads",
            Self::Blocking => "spawn_blocking",
        }
    }
}

/// An arrangement at work.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    InPlace(Arc<ReaderPool>),
    InPlaceYielding(Arc<ReaderPool>),
    Threads(mpsc::Sender<Request>),
    Blocking(Arc<ReaderPool>),
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
    pub(super) fn open(arrangement: Arrangement, path: &Path) -> Result<Self, Error> {
        Ok(match arrangement {
            Arrangement::InPlace => Self::InPlace(Arc::new(ReaderPool::open(path)?)),
            Arrangement::InPlaceYielding => Self::InPlaceYielding(Arc::new(ReaderPool::open(path)?)),
            Arrangement::Threads(count) => Self::Threads(start_threads(count, path)?),
            Arrangement::Blocking => Self::Blocking(Arc::new(ReaderPool::open(path)?)),
        })
    }

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
