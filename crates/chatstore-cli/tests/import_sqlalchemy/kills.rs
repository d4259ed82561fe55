//! When imports are killed.

use std::time::Duration;

/// The moments in an import of this length at which it is killed: `CHATSTORE_TEST_KILLS` of them, 3 by default.
#[expect(clippy::disallowed_methods, reason = "more of them are asked for by environment")]
pub fn moments(length: Duration) -> impl Iterator<Item = Duration> {
    let count: u32 = std::env::var("CHATSTORE_TEST_KILLS").map_or(3, |count| count.parse().unwrap());
    (0..count).map(move |number| length.mul_f64((f64::from(number) + 0.5) / f64::from(count)))
}
