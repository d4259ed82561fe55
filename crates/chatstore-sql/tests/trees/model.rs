//! A conversation as a plain map in memory: what a tree of messages has to answer.

use std::collections::BTreeMap;

/// A message: what it says, what it follows (0 for nothing), whose it is, whether a model said it, and the model it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub text: String,
    pub parent: i64,
    pub is_members: bool,
    pub is_answer: bool,
    pub model: Option<String>,
}

/// What is appended to, whatever becomes of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Head,
    Root,
    Message(i64),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    pub nodes: BTreeMap<i64, Node>,
    pub last: i64,
    /// 0 for none.
    pub head: i64,
    pub has_branched: bool,
}

impl Tree {
    fn newest(&self) -> i64 {
        self.nodes.keys().next_back().copied().unwrap_or(0)
    }

    /// The number of the new message; none when there is nothing to follow.
    pub fn append(&mut self, new: &Node, after: After) -> Option<i64> {
        let parent = match after {
            After::Head => self.head,
            After::Root => 0,
            After::Message(seq) => *self.nodes.get_key_value(&seq)?.0,
        };
        self.has_branched |= parent != self.newest();
        let moves = after == After::Head || !new.is_members || parent == self.head;
        self.last += 1;
        self.nodes.insert(self.last, Node { parent, ..new.clone() });
        if moves {
            self.head = self.last;
        }
        Some(self.last)
    }

    pub fn switch(&mut self, seq: i64, is_under: bool) -> bool {
        if !self.nodes.contains_key(&seq) {
            return false;
        }
        self.has_branched |=
            !is_under && seq != self.newest() || is_under && self.newest_below(seq) != self.newest();
        self.head = if is_under { self.newest_below(seq) } else { seq };
        true
    }

    pub fn subtree(&self, seq: i64) -> Vec<i64> {
        self.nodes.keys().copied().filter(|other| self.path(*other).contains(&seq)).collect()
    }

    fn newest_below(&self, seq: i64) -> i64 {
        self.subtree(seq).into_iter().max().unwrap_or(seq)
    }

    /// From the root to a message.
    pub fn path(&self, leaf: i64) -> Vec<i64> {
        let mut path = Vec::new();
        let mut seq = leaf;
        while let Some(node) = self.nodes.get(&seq) {
            path.push(seq);
            seq = node.parent;
        }
        path.reverse();
        path
    }

    /// Becomes the list of the messages on a path.
    pub fn keep_path(&mut self, leaf: i64) {
        let path = (1..).zip(self.path(leaf));
        self.nodes =
            path.map(|(seq, old)| (seq, Node { parent: seq - 1, ..self.nodes[&old].clone() })).collect();
        self.last = self.newest();
        (self.head, self.has_branched) = (self.last, false);
    }

    /// The model that counts for a message.
    pub fn model(&self, seq: i64) -> String {
        let node = &self.nodes[&seq];
        let asked = || {
            let path = self.path(seq);
            let question = path.into_iter().rev().find(|seq| !self.nodes[seq].is_answer);
            question.and_then(|seq| self.nodes[&seq].model.clone())
        };
        let model = node.model.clone().or_else(|| if node.is_answer { asked() } else { None });
        model.unwrap_or_else(|| "echo".to_owned())
    }

    pub fn siblings(&self, seq: i64) -> Vec<i64> {
        let parent = self.nodes[&seq].parent;
        self.nodes.iter().filter(|(_, node)| node.parent == parent).map(|(seq, _)| *seq).collect()
    }

    pub fn remove(&mut self, seqs: &[i64]) -> usize {
        let mut seqs: Vec<i64> = seqs.iter().copied().filter(|seq| self.nodes.contains_key(seq)).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let mut nearest = self.head;
        while seqs.contains(&nearest) {
            nearest = self.nodes[&nearest].parent;
        }
        for seq in &seqs {
            let parent = self.nodes.remove(seq).unwrap().parent;
            for node in self.nodes.values_mut().filter(|node| node.parent == *seq) {
                node.parent = parent;
            }
        }
        if self.nodes.contains_key(&nearest) {
            self.head = nearest;
        } else {
            self.head = self.newest();
        }
        seqs.len()
    }
}
