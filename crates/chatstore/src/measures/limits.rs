//! What a limiter granted and refused, by what is limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chatstore_model::Timestamp;

use crate::limit::{LimitKey, LimitKind, Limiter, LimiterFuture, Permission, Quota};

/// What was granted and refused of one kind since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitMeasures {
    /// What is limited.
    pub kind: LimitKind,
    /// How often it was granted.
    pub granted: u64,
    /// How often it was refused.
    pub refused: u64,
}

#[derive(Debug, Default)]
pub(super) struct Limits([Counts; LimitKind::ALL.len()]);

#[derive(Debug, Default)]
struct Counts {
    granted: AtomicU64,
    refused: AtomicU64,
}

impl Limits {
    fn note(&self, kind: LimitKind, is_granted: bool) {
        let found = LimitKind::ALL.iter().zip(&self.0).find(|(known, _)| **known == kind);
        let Some((_, counts)) = found else { return };
        let count = if is_granted { &counts.granted } else { &counts.refused };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Vec<LimitMeasures> {
        let kinds = LimitKind::ALL.into_iter().zip(&self.0);
        let read = kinds.map(|(kind, counts)| LimitMeasures {
            kind,
            granted: counts.granted.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
        });
        read.collect()
    }
}

/// A limiter whose decisions are counted. A question is counted if it is refused: then nothing is taken.
#[derive(Debug)]
pub(super) struct CountedLimiter {
    pub(super) limiter: Arc<dyn Limiter>,
    pub(super) counts: Arc<Limits>,
}

impl Limiter for CountedLimiter {
    fn peek<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        Box::pin(async move {
            let permission = self.limiter.peek(key, quota, now).await;
            if !permission.is_granted() {
                self.counts.note(key.kind(), false);
            }
            permission
        })
    }

    fn take<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        Box::pin(async move {
            let permission = self.limiter.take(key, quota, now).await;
            self.counts.note(key.kind(), permission.is_granted());
            permission
        })
    }

    fn give_back<'a>(&'a self, key: &'a LimitKey, quota: Quota) -> LimiterFuture<'a, ()> {
        self.limiter.give_back(key, quota)
    }
}
