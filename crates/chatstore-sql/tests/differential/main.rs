//! Both databases answer alike, and end up alike, whatever is done to them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a case that meets the unexpected fails at once"
)]

mod random;
mod run;
mod step;
mod values;
mod world;

use chatstore_sql::TableDigest;
use chatstore_testkit::{Backend, TestDatabase};

use crate::random::Random;
use crate::run::run;
use crate::step::Step;
use crate::world::World;

const SEQUENCES: u64 = 1_000;
const STEPS: usize = 30;

/// After so many sequences the tables are compared, not only the answers.
const COMPARE: u64 = 100;

struct Pair {
    sqlite: TestDatabase,
    postgres: TestDatabase,
}

impl Pair {
    /// Two databases with clocks of their own that are moved together, and ids of one seed.
    async fn new() -> Self {
        Self { sqlite: Backend::Sqlite.database().await, postgres: Backend::Postgres.database().await }
    }

    async fn digests(&self) -> [Vec<TableDigest>; 2] {
        let on_sqlite = self.sqlite.database.read("digests", async |tx| tx.statistics().digests().await);
        let on_postgres = self.postgres.database.read("digests", async |tx| tx.statistics().digests().await);
        [on_sqlite.await.unwrap(), on_postgres.await.unwrap()]
    }

    /// Runs one sequence of its own users, and says how many of its steps had an effect or found
    /// something.
    async fn sequence(&self, seed: u64) -> usize {
        let mut random = Random::new(seed);
        let mut world = World::new(seed);
        let mut done: Vec<Step> = Vec::new();
        let mut successes = 0;
        for number in 0..STEPS {
            let step = world.next_step(&mut random, number);
            if let Step::Wait(microseconds) = step {
                let now = self.sqlite.database.clock().now().plus_microseconds(microseconds);
                self.sqlite.clock.set(now);
                self.postgres.clock.set(now);
            }
            done.push(step.clone());
            let on_sqlite = run(&self.sqlite.database, step.clone()).await;
            let on_postgres = run(&self.postgres.database, step).await;
            if on_sqlite != on_postgres {
                let steps: Vec<String> = done.iter().map(|step| format!("  {step:?}")).collect();
                panic!(
                    "sequence {seed}: the databases differ after\n{}\nSQLite:     {on_sqlite:?}\nPostgreSQL: {on_postgres:?}",
                    steps.join("\n")
                );
            }
            successes += usize::from(on_sqlite.answer.is_ok());
            world.learn(&on_sqlite);
        }
        successes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_random_sequences_are_answered_alike_and_leave_the_same_rows() {
    let pair = Pair::new().await;
    let mut successes = 0;
    for seed in 1..=SEQUENCES {
        successes += pair.sequence(seed).await;
        if seed % COMPARE == 0 {
            let [on_sqlite, on_postgres] = pair.digests().await;
            assert_eq!(on_sqlite, on_postgres, "after sequence {seed}");
        }
    }
    let [tables, _] = pair.digests().await;
    // No step writes identities.
    let mut written = tables.iter().filter(|table| table.table != "identities");
    assert!(written.all(|table| table.rows > 100), "too little happened: {tables:?}");
    let steps = SEQUENCES as usize * STEPS;
    assert!(successes > steps / 2 && successes < steps, "{successes} of {steps} steps succeeded");
}
