//! Events that wait: a bounded number of them and of their bytes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chatstore_model::LogEvent;

/// Maximum events that wait, and their bytes.
const MAX_EVENTS: usize = 16_384;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// About the bytes of an event beside its texts.
const FIXED_BYTES: usize = 256;

/// How often dropped events are reported.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// What becomes of an event when the queue fills up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// It is dropped when the queue is full.
    High,
    /// It is dropped when the queue is half full: a flood of such events leaves room for others.
    Low,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Held by whoever writes a batch.
    pub(super) writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) waiting: VecDeque<LogEvent>,
    bytes: usize,
    /// Events that are being written.
    pub(super) in_batch: usize,
    /// Whether a task writes what waits.
    pub(super) has_writer: bool,
    pub(super) stored: u64,
    pub(super) dropped: u64,
    reported: Option<Instant>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn push(&mut self, urgency: Urgency, event: LogEvent) -> bool {
        let share = match urgency {
            Urgency::High => 1,
            Urgency::Low => 2,
        };
        let bytes = self.bytes + size_bytes(&event);
        let has_room = self.waiting.len() + self.in_batch < MAX_EVENTS / share && bytes <= MAX_BYTES / share;
        if has_room {
            self.bytes = bytes;
            self.waiting.push_back(event);
        } else {
            self.drop_events(1);
        }
        has_room
    }

    /// Takes a batch out.
    pub(super) fn take(&mut self, rows: usize) -> Vec<LogEvent> {
        let batch: Vec<LogEvent> = self.waiting.drain(..rows.min(self.waiting.len())).collect();
        self.in_batch = batch.len();
        self.bytes -= batch.iter().map(size_bytes).sum::<usize>();
        batch
    }

    /// Puts a batch back that was not written.
    pub(super) fn put_back(&mut self, batch: &[LogEvent]) {
        self.in_batch = 0;
        self.bytes += batch.iter().map(size_bytes).sum::<usize>();
        for event in batch.iter().rev() {
            self.waiting.push_front(event.clone());
        }
    }

    pub(super) fn drop_events(&mut self, count: usize) {
        self.dropped += count as u64;
        if self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            self.reported = Some(Instant::now());
            tracing::warn!(dropped.total = self.dropped, "events are dropped: the database does not keep up");
        }
    }
}

fn size_bytes(event: &LogEvent) -> usize {
    let texts = event.event.len() + event.request_id.as_ref().map_or(0, String::len);
    FIXED_BYTES + texts + event.data.as_str().len()
}

#[cfg(test)]
mod tests {
    use chatstore_model::{CanonicalJson, LogEventId, LogLevel, Timestamp, UserId};
    use uuid::Uuid;

    use super::*;

    fn event(data: &str) -> LogEvent {
        LogEvent {
            user_id: UserId::ANONYMOUS,
            id: LogEventId::from_uuid(Uuid::nil()),
            at: Timestamp::MIN,
            level: LogLevel::Info,
            event: "one".to_owned(),
            conversation_id: None,
            request_id: None,
            actor_id: None,
            key_id: None,
            acting_for_id: None,
            data: CanonicalJson::parse(data).unwrap(),
        }
    }

    #[test]
    fn the_queue_is_bounded_and_a_flood_of_failures_leaves_room_for_others() {
        let mut state = State::default();
        let taken = (0..MAX_EVENTS).filter(|_| state.push(Urgency::Low, event("{}"))).count();
        assert_eq!(taken, MAX_EVENTS / 2);
        let taken = (0..MAX_EVENTS).filter(|_| state.push(Urgency::High, event("{}"))).count();
        assert_eq!(taken, MAX_EVENTS / 2);
        assert_eq!(state.dropped, MAX_EVENTS as u64);
    }

    #[test]
    fn the_bytes_of_waiting_events_are_bounded() {
        let mut state = State::default();
        let large = event(&format!("{{\"text\": \"{}\"}}", "x".repeat(16_000)));
        let taken = (0..MAX_EVENTS).filter(|_| state.push(Urgency::High, large.clone())).count();
        assert!((1_000..1_100).contains(&taken), "{taken}");
        let batch = state.take(taken);
        assert_eq!((batch.len(), state.bytes), (taken, 0));
        state.put_back(&batch);
        assert_eq!(state.waiting.len(), taken);
        assert!(!state.push(Urgency::High, large));
    }
}
