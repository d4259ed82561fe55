//! `branches`: a page of a conversation that branched often costs little more than one of a conversation that never did.
//!
//! Two conversations have as many messages of the same size. The path to the head of one leaves the order of the numbers at
//! many messages. Both are read newest first, page by page by cursor, to the end, each page of one beside that of the other;
//! then by the other entries, each of which looks up the branch points between.

use std::time::{Duration, Instant};

use chatstore::auth::TokenKeys;
use chatstore::{
    Branch, ConversationId, MessageName, MessagePosition, NewConversation, NewMessage, PageRequest, Parent,
    Store, UserId,
};
use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::{median, rounded};
use chatstore_testkit::TOKEN_KEY;
use serde_json::{Value, json};

use crate::experiment::{Bounds, Common, Experiment, Recorder};

/// How many times as long a page of the tree may take.
const RATIO: f64 = 2.0;

/// Messages of a page, and of a transaction while they are loaded.
const PAGE: u16 = 50;
const BATCH: usize = 1_000;

/// Depths that figures are given for.
const DEPTHS: usize = 10;

/// Reads of each entry.
const READS: usize = 50;

/// Read a conversation that branched often beside one that never did
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages of each conversation
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// Places where the path leaves the order of the numbers
    #[arg(long, default_value_t = 1_000)]
    branch_points: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let database = TemporaryDatabase::create(recorder.kind, &self.common.databases, "branches").await?;
        let builder = Store::builder(database.url()).token_keys(TokenKeys::parse(TOKEN_KEY)?);
        let store = builder.connect().await?;
        store.migrate().await?;
        let done = self.run(&store, recorder).await;
        store.close().await;
        database.remove().await?;
        done
    }
}

impl Arguments {
    async fn run(&self, store: &Store, recorder: &mut Recorder) -> Result<(), Error> {
        progress::print(format_args!("branches {}: loading", recorder.kind.as_str()));
        let linear = self.load(store, None).await?;
        let tree = self.load(store, Some(self.each())).await?;
        store.operations().analyze().await;
        progress::print(format_args!("branches {}: reading", recorder.kind.as_str()));
        let (ratios, mut violations) = self.page_down(store, linear, tree).await?;
        let worst = ratios.iter().copied().fold(0.0, f64::max);
        if self.bounds.apply() && worst > RATIO {
            violations.push(format!("a page of the tree takes {worst:.2} times as long"));
        }
        let figures = json!({
            "seed": self.common.seed,
            "messages": self.messages,
            "branch_points": self.branch_points,
            "page_ratios_by_depth": ratios.into_iter().map(rounded).collect::<Vec<f64>>(),
            "entries": self.entries(store, linear, tree).await?,
        });
        recorder.record("branches", figures, &violations);
        Ok(())
    }

    /// Messages from one branch point to the next.
    fn each(&self) -> usize {
        (self.messages / self.branch_points.max(1)).max(3)
    }

    /// A conversation; with a number of messages after each of which the next follows the last but one.
    async fn load(&self, store: &Store, each: Option<usize>) -> Result<ConversationId, Error> {
        let chat = store.as_user(UserId::ANONYMOUS);
        let id = chat.conversations().create(NewConversation::titled("Tree")).await?.id;
        let text = "A message as long as many are, so that a page has about as many bytes as one of a chat. "
            .repeat(4);
        for batch in (1..=self.messages).collect::<Vec<_>>().chunks(BATCH) {
            let new = batch.iter().map(|number| {
                let branches = each.is_some_and(|each| *number > 2 && number % each == 0);
                let before = i64::try_from(number.saturating_sub(2)).unwrap_or(i64::MAX);
                let parent = branches.then_some(Parent::Message(MessageName::Seq(before)));
                NewMessage { parent, ..NewMessage::user(text.clone()) }
            });
            chat.messages().append_many(id, new.collect::<Vec<NewMessage>>()).await?;
        }
        Ok(id)
    }

    /// Reads both to the end; the ratios of the median times of a page at each depth.
    async fn page_down(
        &self,
        store: &Store,
        linear: ConversationId,
        tree: ConversationId,
    ) -> Result<(Vec<f64>, Vec<String>), Error> {
        let (mut times, mut violations) = (Vec::new(), Vec::new());
        let (mut at, mut read) = ([None, None], 0);
        loop {
            let mut pair = [Duration::ZERO; 2];
            for (index, id) in [linear, tree].into_iter().enumerate() {
                let begun = Instant::now();
                let page = page(store, id, PageRequest::newest(PAGE), at[index]).await?;
                pair[index] = begun.elapsed();
                at[index] = page.next;
                read += if index == 1 { page.items.len() } else { 0 };
            }
            times.push(pair);
            if at.iter().any(Option::is_none) {
                break;
            }
        }
        // Each branch leaves one message beside the path.
        let expected = self.messages - self.messages / self.each();
        if read != expected {
            violations.push(format!("the path had {read} messages instead of {expected}"));
        }
        let size = times.len().div_ceil(DEPTHS);
        let ratios = times.chunks(size).map(|depth| {
            let of = |index: usize| {
                median(&depth.iter().map(|pair| pair[index].as_secs_f64()).collect::<Vec<f64>>())
            };
            of(1) / of(0)
        });
        Ok((ratios.collect(), violations))
    }

    /// The median milliseconds of pages by the other entries, of both.
    async fn entries(
        &self,
        store: &Store,
        linear: ConversationId,
        tree: ConversationId,
    ) -> Result<Value, Error> {
        let middle = i64::try_from(self.messages / 2).unwrap_or(i64::MAX);
        let requests = [
            ("newest", PageRequest::newest(PAGE)),
            ("oldest", PageRequest::oldest(PAGE)),
            ("before", PageRequest::newest(PAGE).before(middle)),
            ("after", PageRequest::oldest(PAGE).after(middle)),
            ("around", PageRequest::around(middle, PAGE)),
        ];
        let mut entries = json!({});
        for (name, request) in requests {
            let mut medians = [0.0; 2];
            for (place, id) in medians.iter_mut().zip([linear, tree]) {
                let mut times = Vec::with_capacity(READS);
                for _ in 0..READS {
                    let begun = Instant::now();
                    page(store, id, request.clone(), None).await?;
                    times.push(begun.elapsed().as_secs_f64() * 1_000.0);
                }
                *place = rounded(median(&times));
            }
            entries[name] = json!({ "linear_ms": medians[0], "tree_ms": medians[1] });
        }
        Ok(entries)
    }
}

async fn page(
    store: &Store,
    id: ConversationId,
    request: PageRequest,
    from: Option<MessagePosition>,
) -> Result<chatstore::Page<chatstore::Message, MessagePosition>, Error> {
    let chat = store.as_user(UserId::ANONYMOUS);
    Ok(chat.messages().page_of_branch(id, Branch::Head, request, from).await?)
}
