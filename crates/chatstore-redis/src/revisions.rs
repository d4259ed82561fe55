//! The revisions of families of entries, and which of them this process has to renew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chatstore::shared_cache::CacheFamily;

use crate::keys::KeyPrefix;

/// How long the revision of a scope lasts: longer than an entry of the database, and than a reader who writes one.
pub(crate) const SCOPE_LASTS: Duration = Duration::from_secs(600);

/// The key of a family's revision.
pub(crate) fn family_key(prefix: &KeyPrefix, family: CacheFamily) -> String {
    prefix.key(match family {
        CacheFamily::Database => "revision",
        CacheFamily::Responses => "revision:ai_cache",
    })
}

/// Which revisions this process has to renew before it looks anything up.
#[derive(Debug, Default)]
pub(crate) struct Revisions {
    database: Renewals,
    responses: Renewals,
}

/// How often a renewal was wanted, and which of those it was done for.
#[derive(Debug, Default)]
struct Renewals {
    wanted: AtomicU64,
    done: AtomicU64,
}

impl Revisions {
    pub(crate) fn want(&self, family: CacheFamily) {
        self.of(family).wanted.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether nothing of the family may be left that should not.
    pub(crate) fn are_known(&self, family: CacheFamily) -> bool {
        self.wanted(family).is_none()
    }

    /// What is to be renewed, if anything is.
    pub(crate) fn wanted(&self, family: CacheFamily) -> Option<u64> {
        let renewals = self.of(family);
        let wanted = renewals.wanted.load(Ordering::SeqCst);
        (wanted != renewals.done.load(Ordering::SeqCst)).then_some(wanted)
    }

    /// To be called when a renewal is done that was begun when so many were wanted.
    pub(crate) fn renewed(&self, family: CacheFamily, wanted: u64) {
        self.of(family).done.fetch_max(wanted, Ordering::SeqCst);
    }

    const fn of(&self, family: CacheFamily) -> &Renewals {
        match family {
            CacheFamily::Database => &self.database,
            CacheFamily::Responses => &self.responses,
        }
    }
}
