//! Random numbers that are the same in every run with the same seed.

use std::sync::{Mutex, PoisonError};

use chatstore_model::IdSource;

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>): fast, and good enough to pick rows by.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers that follow from `seed`; those of neighbouring seeds have nothing in common.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        Self(random.next_u64())
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_u64() % (bound as u64)).unwrap_or(0)
    }
}

/// Ids of the same form and order as the store's own, without a system call for each.
#[derive(Debug)]
pub struct Ids(Mutex<Random>);

impl Ids {
    /// Ids that follow from `seed` and the clock.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Random::new(seed)))
    }
}

impl IdSource for Ids {
    fn random(&self, bytes: &mut [u8]) {
        let mut random = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next_u64().to_be_bytes()[..chunk.len()]);
        }
    }
}
