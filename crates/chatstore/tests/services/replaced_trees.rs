//! Random replacements in a conversation that branches leave what a map in memory says.

use std::collections::BTreeMap;

use chatstore::{
    Branch, ConversationId, ConversationPatch, ErrorKind, ExpectedSuffix, Message, MessageName,
    MessageReplacement, NewConversation, NewMessage, PageRequest, Parent, Store, SuffixReplacement, Unnamed,
    UserId,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(
    a_list_in_the_place_of_a_whole_path_begins_another_root,
    random_replacements_are_what_a_map_in_memory_says,
);

const SEQUENCES: u64 = 15;
const STEPS: usize = 25;

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn texts(&mut self, most: usize) -> Vec<String> {
        (0..self.below(most + 1)).map(|_| ["a", "b", "c"][self.below(3)].to_owned()).collect()
    }
}

#[derive(Debug, Clone, Default)]
struct Tree {
    /// Of each number the text and what it follows, 0 for nothing.
    nodes: BTreeMap<i64, (String, i64)>,
    last: i64,
    head: i64,
}

impl Tree {
    fn path(&self) -> Vec<i64> {
        let (mut path, mut seq) = (Vec::new(), self.head);
        while let Some((_, parent)) = self.nodes.get(&seq) {
            path.push(seq);
            seq = *parent;
        }
        path.reverse();
        path
    }

    fn append(&mut self, texts: &[String], mut parent: i64) {
        for text in texts {
            self.last += 1;
            self.nodes.insert(self.last, (text.clone(), parent));
            (parent, self.head) = (self.last, self.last);
        }
    }

    fn remove(&mut self, seqs: &[i64]) {
        for seq in seqs {
            let (_, parent) = self.nodes.remove(seq).unwrap();
            for (_, above) in self.nodes.values_mut().filter(|(_, above)| above == seq) {
                *above = parent;
            }
            if self.head == *seq {
                self.head = parent;
            }
        }
        if self.head == 0 {
            self.head = self.nodes.keys().next_back().copied().unwrap_or(0);
        }
    }

    /// Whether it was done.
    fn replace(&mut self, list: &[String], unnamed: Unnamed) -> bool {
        let (mut found, mut last, mut others) = (0, 0, Vec::new());
        for seq in self.path() {
            let may_match = unnamed == Unnamed::Removed || others.is_empty();
            if may_match && list.get(found) == Some(&self.nodes[&seq].0) {
                (found, last) = (found + 1, seq);
            } else {
                others.push(seq);
            }
        }
        if unnamed == Unnamed::Removed {
            self.remove(&others);
        } else if found == list.len() && !others.is_empty() {
            if last > 0 {
                self.head = last;
            }
            return last > 0;
        }
        self.append(&list[found..], last);
        true
    }

    fn replace_suffix(&mut self, count: usize, list: &[String]) {
        let path = self.path();
        let (kept, suffix) = path.split_at(path.len() - count);
        let last = kept.last().copied().unwrap_or(0);
        self.remove(suffix);
        self.append(list, last);
    }
}

fn new_messages(texts: &[String]) -> Vec<NewMessage> {
    texts.iter().map(NewMessage::user).collect()
}

async fn compare(store: &Store, owner: UserId, id: ConversationId, tree: &Tree, when: &str) {
    let chat = store.as_user(owner);
    let page =
        chat.messages().page_of_branch(id, Branch::Head, PageRequest::oldest(200), None).await.unwrap();
    let path: Vec<i64> = page.items.iter().map(|message| message.seq).collect();
    assert_eq!(path, tree.path(), "{when}");
    let page = chat.messages().page_of_branch(id, Branch::All, PageRequest::oldest(200), None).await.unwrap();
    let all: Vec<Message> = page.items;
    let family = chat.family(&all, true).await.unwrap();
    let seqs: BTreeMap<_, i64> = all.iter().map(|message| (message.id, message.seq)).collect();
    let parent = |message: &Message| family.parents[&message.id].map_or(0, |parent| seqs[&parent]);
    let nodes: BTreeMap<i64, (String, i64)> =
        all.iter().map(|message| (message.seq, (message.content.clone(), parent(message)))).collect();
    assert_eq!(nodes, tree.nodes, "{when}");
}

async fn new_talk(store: &Store, owner: UserId) -> ConversationId {
    store.as_user(owner).conversations().create(NewConversation::titled("Tree")).await.unwrap().id
}

async fn append(store: &Store, owner: UserId, id: ConversationId, text: &str, parent: Option<i64>) {
    let parent = parent.map(|seq| match seq {
        0 => Parent::Root,
        seq => Parent::Message(MessageName::Seq(seq)),
    });
    let new = NewMessage { parent, ..NewMessage::user(text) };
    store.as_user(owner).messages().append_many(id, vec![new]).await.unwrap();
}

fn replacement(texts: &[String]) -> MessageReplacement {
    MessageReplacement { messages: new_messages(texts), conversation: ConversationPatch::default() }
}

fn suffix(seqs: &[i64], texts: &[String]) -> SuffixReplacement {
    SuffixReplacement {
        expected: ExpectedSuffix::Seqs(seqs.to_vec()),
        messages: new_messages(texts),
        conversation: ConversationPatch::default(),
    }
}

async fn a_list_in_the_place_of_a_whole_path_begins_another_root(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "ada").await;
    let expected =
        Tree { nodes: BTreeMap::from([(1, ("a".into(), 0)), (3, ("c".into(), 0))]), last: 3, head: 3 };
    for replaces_suffix in [false, true] {
        let id = new_talk(&store, owner).await;
        append(&store, owner, id, "a", None).await;
        append(&store, owner, id, "b", Some(0)).await;
        let messages = store.as_user(owner).messages();
        let new = ["c".to_owned()];
        if replaces_suffix {
            messages.replace_suffix(id, suffix(&[2], &new)).await.unwrap();
        } else {
            messages.replace(id, replacement(&new), Unnamed::Removed).await.unwrap();
        }
        compare(&store, owner, id, &expected, "the other root stays another branch").await;
    }
}

async fn random_replacements_are_what_a_map_in_memory_says(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "ada").await;
    let messages = store.as_user(owner).messages();
    for seed in 0..SEQUENCES {
        let (mut random, mut tree) = (Random(seed), Tree::default());
        let id = new_talk(&store, owner).await;
        for step in 0..STEPS {
            let list = random.texts(5);
            let done = match random.below(6) {
                0..3 => {
                    let text = ["a", "b", "c"][random.below(3)];
                    let stored: Vec<i64> = tree.nodes.keys().copied().collect();
                    let parent = match random.below(4) {
                        0 => Some(0),
                        1 if !stored.is_empty() => Some(stored[random.below(stored.len())]),
                        _ => None,
                    };
                    append(&store, owner, id, text, parent).await;
                    tree.append(&[text.to_owned()], parent.unwrap_or(tree.head));
                    format!("append {text} to {parent:?}")
                }
                3 => {
                    let done = messages.replace(id, replacement(&list), Unnamed::Stay).await;
                    match tree.replace(&list, Unnamed::Stay) {
                        true => assert!(done.is_ok(), "{done:?}"),
                        false => assert_eq!(done.unwrap_err().kind(), ErrorKind::Conflict),
                    }
                    format!("replace by {list:?}, others stay")
                }
                4 => {
                    messages.replace(id, replacement(&list), Unnamed::Removed).await.unwrap();
                    tree.replace(&list, Unnamed::Removed);
                    format!("replace by {list:?}, others are removed")
                }
                _ => {
                    let path = tree.path();
                    let count = random.below(path.len().min(3) + 1);
                    let expected = suffix(&path[path.len() - count..], &list);
                    messages.replace_suffix(id, expected).await.unwrap();
                    tree.replace_suffix(count, &list);
                    format!("replace {count} by {list:?}")
                }
            };
            compare(&store, owner, id, &tree, &format!("sequence {seed}, step {step}: {done}")).await;
        }
    }
}
