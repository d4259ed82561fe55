//! Random sequences of what can be done to a conversation that branches, answered alike by both databases and by a map
//! in memory. `CHATSTORE_TREE_SEQUENCES` says how many sequences, each of 40 steps.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a case that meets the unexpected fails at once; the environment says how many there are"
)]

mod model;
#[path = "../differential/random.rs"]
#[allow(dead_code, reason = "its other users choose in more ways")]
mod random;
mod store;

use chatstore_testkit::{Backend, TestDatabase};

use crate::model::{After, Node, Tree};
use crate::random::Random;
use crate::store::Store;

const SEQUENCES: u64 = 12;
const STEPS: usize = 40;

/// One of the things that are done to a tree.
#[derive(Debug, Clone)]
enum Step {
    Append(After, bool),
    AppendMany(Vec<After>, bool),
    Reply(After),
    Switch(i64, bool),
    Delete(i64),
    DeleteMany(Vec<i64>),
    DeleteSubtree(i64),
    Pop(u16),
    KeepLast(u32),
    Edit(i64),
    EraseMember,
    /// The conversation becomes its copy: of all branches, of the path to the head, or to a message.
    Copy(Copied),
}

/// What is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    All,
    Head,
    UpTo(i64),
}

fn after(random: &mut Random, tree: &Tree) -> After {
    match random.below(10) {
        0 => After::Root,
        1..4 => After::Message(random.between(1, tree.last.max(1) + 1)),
        _ => After::Head,
    }
}

fn step(random: &mut Random, tree: &Tree) -> Step {
    let seq = |random: &mut Random| random.between(1, tree.last.max(1) + 1);
    match random.below(43) {
        0..14 => Step::Append(after(random, tree), random.percent(25)),
        14..19 => {
            let count = 1 + random.below(4);
            Step::AppendMany((0..count).map(|_| after(random, tree)).collect(), random.percent(20))
        }
        19..23 => Step::Reply(after(random, tree)),
        23..28 => Step::Switch(seq(random), random.percent(50)),
        28..31 => Step::Delete(seq(random)),
        31..33 => Step::DeleteMany((0..5).map(|_| seq(random)).collect()),
        33 => Step::DeleteSubtree(seq(random)),
        34 | 35 => Step::Pop(u16::try_from(1 + random.below(3)).unwrap()),
        36 => Step::KeepLast(u32::try_from(random.below(8)).unwrap()),
        37 | 38 => Step::Edit(seq(random)),
        39 => Step::Copy(Copied::All),
        40 if random.percent(30) => Step::Copy(Copied::Head),
        41 if random.percent(30) => Step::Copy(Copied::UpTo(seq(random))),
        _ if random.percent(30) => Step::EraseMember,
        _ => Step::Append(After::Head, false),
    }
}

/// What a step says: of an owner's some are answers, and some name a model.
pub fn said(number: usize, is_members: bool) -> Node {
    let (is_answer, has_model) = (!is_members && number % 4 == 1, number.is_multiple_of(3));
    let model = (has_model && !is_answer).then(|| format!("model {number}"));
    Node { text: format!("step {number}"), parent: 0, is_members, is_answer, model }
}

/// Does a step to the model; what the databases must answer.
fn apply(tree: &mut Tree, step: &Step, number: usize) -> Option<Vec<i64>> {
    let text = format!("step {number}");
    match step {
        Step::Append(after, is_members) => {
            tree.append(&said(number, *is_members), *after).map(|seq| vec![seq])
        }
        Step::AppendMany(afters, is_members) => {
            let mut grown = tree.clone();
            let mut appended = Vec::new();
            let mut tip: Option<i64> = None;
            for after in afters {
                let parent = match (after, tip) {
                    (After::Head, Some(tip)) => After::Message(tip),
                    (after, _) => *after,
                };
                // What says nothing follows the one before it.
                let seq = grown.append(&said(number, *is_members), parent)?;
                tip = Some(seq);
                appended.push(seq);
            }
            *tree = grown;
            Some(appended)
        }
        Step::Reply(after) => {
            let answer = Node { is_answer: true, model: None, ..said(number, false) };
            let seq = tree.append(&answer, *after)?;
            // The model that answers is stored with the answer.
            let model = tree.model(seq);
            tree.nodes.get_mut(&seq)?.model = Some(model);
            Some(vec![seq])
        }
        Step::Switch(seq, is_under) => tree.switch(*seq, *is_under).then(Vec::new),
        Step::Delete(seq) => (tree.remove(&[*seq]) == 1).then(Vec::new),
        Step::DeleteMany(seqs) => {
            tree.remove(seqs);
            Some(Vec::new())
        }
        Step::DeleteSubtree(seq) => {
            let below = tree.subtree(*seq);
            tree.remove(&below);
            Some(below.into_iter().rev().collect())
        }
        Step::Pop(count) => {
            let path = tree.path(tree.head);
            let popped = path[path.len().saturating_sub(usize::from(*count))..].to_vec();
            tree.remove(&popped);
            Some(popped)
        }
        Step::KeepLast(kept) => {
            let path = tree.path(tree.head);
            let oldest_kept = match usize::try_from(*kept).unwrap() {
                0 => i64::MAX,
                kept if kept > path.len() => 0,
                kept => path[path.len() - kept],
            };
            let gone: Vec<i64> = tree.nodes.keys().copied().filter(|seq| *seq < oldest_kept).collect();
            tree.remove(&gone);
            Some(Vec::new())
        }
        Step::Edit(seq) => {
            tree.nodes.get_mut(seq)?.text = text;
            Some(Vec::new())
        }
        Step::EraseMember => {
            let gone: Vec<i64> =
                tree.nodes.iter().filter(|(_, node)| node.is_members).map(|(seq, _)| *seq).collect();
            tree.remove(&gone);
            Some(Vec::new())
        }
        Step::Copy(Copied::All) => Some(Vec::new()),
        Step::Copy(Copied::Head) => {
            tree.keep_path(tree.head);
            Some(Vec::new())
        }
        Step::Copy(Copied::UpTo(seq)) => tree.nodes.contains_key(seq).then(|| {
            tree.keep_path(*seq);
            Vec::new()
        }),
    }
}

async fn sequence(cases: &[TestDatabase], seed: u64) {
    let mut random = Random::new(seed);
    let mut stores = Vec::new();
    for case in cases {
        stores.push(Store::new(case).await);
    }
    let mut tree = Tree::default();
    for number in 0..STEPS {
        let step = step(&mut random, &tree);
        let expected = apply(&mut tree, &step, number);
        for store in &mut stores {
            let done = store.apply(&step, number).await;
            assert_eq!(
                done,
                expected,
                "sequence {seed}, step {number} on {}: {step:?}",
                store.kind().as_str()
            );
        }
        if number % 4 == 3 || number + 1 == STEPS {
            for store in &mut stores {
                store.compare(&tree, &format!("sequence {seed} after step {number} {step:?}")).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_trees_are_what_a_map_in_memory_says() {
    let sequences = std::env::var("CHATSTORE_TREE_SEQUENCES");
    let sequences = sequences.map_or(SEQUENCES, |count| count.parse().expect("a number of sequences"));
    let cases = [Backend::Sqlite.database().await, Backend::Postgres.database().await];
    for seed in 0..sequences {
        sequence(&cases, seed).await;
    }
    let mut digests = Vec::new();
    for case in &cases {
        let read = async |tx: &mut chatstore_sql::ReadTx<'_>| tx.statistics().digests().await;
        let read: Vec<chatstore_sql::TableDigest> = case
            .database
            .read("digests", read)
            .await
            .map_err(|error: chatstore_sql::StoreError| error)
            .unwrap();
        digests.push(read);
    }
    assert_eq!(digests[0], digests[1]);
}
