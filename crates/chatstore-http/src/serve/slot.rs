//! What is known of one connection: what it is doing, since when, and what it was told to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// How long the head of a request may take, from its first byte.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a connection of the reserve may stay without a request, and the head of its request may take.
const RESERVE_TIME: Duration = Duration::from_secs(1);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for the first byte of a request.
    Idle,
    /// A part of a head has arrived.
    Head,
    /// From the whole request to the last byte of the answer's body.
    Request,
    /// The answer is complete, but not yet sent.
    Flushing,
    /// Nothing more is going to be sent.
    Closing,
    /// The head has arrived, and the body has not.
    Body,
}

impl Phase {
    const BITS: u32 = 3;

    const fn of_bits(bits: u64) -> Self {
        match bits & ((1 << Self::BITS) - 1) {
            0 => Self::Idle,
            1 => Self::Head,
            2 => Self::Request,
            3 => Self::Flushing,
            4 => Self::Closing,
            _ => Self::Body,
        }
    }

    /// Whether the server does nothing for the client, who has not sent a whole request.
    pub(super) const fn is_unused(self) -> bool {
        matches!(self, Self::Idle | Self::Head | Self::Body)
    }
}

/// What a connection is to do, each more urgent than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Answer requests.
    Serve,
    /// Answer one more request, and say so in the answer.
    CloseAfterAnswer,
    /// Close as soon as no request is in progress and no byte of one has arrived.
    CloseWhenIdle,
    /// The same, also when a request is not complete.
    Evict,
    /// Close now.
    Abandon,
}

impl Order {
    const fn of_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Serve,
            1 => Self::CloseAfterAnswer,
            2 => Self::CloseWhenIdle,
            3 => Self::Evict,
            _ => Self::Abandon,
        }
    }
}

/// An order to all connections, present and future.
#[derive(Debug, Clone, Default)]
pub(super) struct Announcement(Arc<AtomicU8>);

impl Announcement {
    pub(super) fn set(&self, order: Order) {
        self.0.fetch_max(order as u8, Ordering::SeqCst);
    }

    fn order(&self) -> Order {
        Order::of_bits(self.0.load(Ordering::SeqCst))
    }
}

/// One connection. Only its own task changes the phase; other tasks read it and give orders.
#[derive(Debug)]
pub(super) struct Slot {
    /// Milliseconds after `opened` at which the phase began, and the phase.
    state: AtomicU64,
    opened: Instant,
    order: AtomicU8,
    announcement: Announcement,
    /// Whether it is served beyond the limit, for one request.
    is_reserve: bool,
    idle_time: Duration,
    /// The body of the request that began last, until the stream has taken note of it.
    body: AtomicU64,
    has_bare_line_feed: AtomicBool,
    /// Whether the stream has something to read that waits for the next request to begin.
    waits_for_request: AtomicBool,
    task: AtomicWaker,
}

/// A body whose end only the protocol knows.
const UNKNOWN_BODY: u64 = u64::MAX;

/// No request has begun since the stream asked last.
const NOT_BEGUN: u64 = u64::MAX - 1;

/// The body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    Known(u64),
    Unknown,
}

impl Slot {
    pub(super) fn new(announcement: Announcement, is_reserve: bool, idle_time: Duration) -> Self {
        Self {
            state: AtomicU64::new(Phase::Idle as u64),
            opened: Instant::now(),
            order: AtomicU8::new(Order::Serve as u8),
            announcement,
            is_reserve,
            idle_time: if is_reserve { RESERVE_TIME } else { idle_time },
            body: AtomicU64::new(NOT_BEGUN),
            has_bare_line_feed: AtomicBool::new(false),
            waits_for_request: AtomicBool::new(false),
            task: AtomicWaker::new(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::of_bits(self.state.load(Ordering::SeqCst))
    }

    /// Since when no whole request has been in progress; `None` when one is.
    pub(super) fn unused_since(&self) -> Option<Instant> {
        let state = self.state.load(Ordering::SeqCst);
        Phase::of_bits(state).is_unused().then(|| self.began(state))
    }

    /// When the connection has had its time; `None` when other limits apply, or it is closing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.state.load(Ordering::SeqCst);
        let time = match Phase::of_bits(state) {
            Phase::Idle if self.order() < Order::CloseWhenIdle => self.idle_time,
            Phase::Head if self.is_reserve => RESERVE_TIME,
            Phase::Head => HEAD_TIME,
            Phase::Idle | Phase::Body | Phase::Request | Phase::Flushing | Phase::Closing => return None,
        };
        Some(self.began(state) + time)
    }

    fn began(&self, state: u64) -> Instant {
        self.opened + Duration::from_millis(state >> Phase::BITS)
    }

    pub(super) fn enter(&self, phase: Phase) {
        let milliseconds = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state.store(milliseconds << Phase::BITS | phase as u64, Ordering::SeqCst);
    }

    /// Enters `next` if it is in `present`.
    pub(super) fn advance(&self, present: Phase, next: Phase) {
        if self.phase() == present {
            self.enter(next);
        }
    }

    /// Notes that a request begins, with a body of this length; whether a line feed stood alone in its head.
    pub(super) fn begin_request(&self, body: BodyLength) -> bool {
        self.enter(Phase::Request);
        let body = match body {
            BodyLength::Known(bytes) => bytes.min(NOT_BEGUN - 1),
            BodyLength::Unknown => UNKNOWN_BODY,
        };
        self.body.store(body, Ordering::SeqCst);
        // The protocol reads a body before it calls the service.
        if self.waits_for_request.swap(false, Ordering::SeqCst) {
            self.wake();
        }
        self.has_bare_line_feed.swap(false, Ordering::SeqCst)
    }

    /// Lets the task look at the stream again when the next request begins.
    pub(super) fn wait_for_request(&self) {
        self.waits_for_request.store(true, Ordering::SeqCst);
    }

    /// The body of a request that began since this was asked last.
    pub(super) fn take_body(&self) -> Option<BodyLength> {
        match self.body.swap(NOT_BEGUN, Ordering::SeqCst) {
            NOT_BEGUN => None,
            UNKNOWN_BODY => Some(BodyLength::Unknown),
            bytes => Some(BodyLength::Known(bytes)),
        }
    }

    /// Notes that a line feed stands alone in the head that is being read.
    pub(super) fn note_bare_line_feed(&self) {
        self.has_bare_line_feed.store(true, Ordering::SeqCst);
    }

    pub(super) fn order(&self) -> Order {
        let own = Order::of_bits(self.order.load(Ordering::SeqCst));
        own.max(self.announcement.order())
    }

    /// Whether the answer of its request is the last.
    pub(super) fn is_last_request(&self) -> bool {
        self.is_reserve || self.order() > Order::Serve
    }

    /// Whether the whole server is stopping.
    pub(super) fn is_draining(&self) -> bool {
        self.announcement.order() > Order::Serve
    }

    /// Gives an order.
    pub(super) fn tell(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::SeqCst);
        self.wake();
    }

    /// Lets its task look at its orders.
    pub(super) fn wake(&self) {
        self.task.wake();
    }

    /// Remembers the task that serves the connection.
    pub(super) fn register(&self, task: &Waker) {
        self.task.register(task);
    }
}
