//! Replacing the messages of a conversation by a list.

use std::sync::Arc;

use chatstore_model::{
    Change, ConversationPatch, ConversationRole, IntoValid, Message, MessageBatch, MessageId, MessageName,
    MessagePatch, MessageReplacement, NewHead, NewMessage, Parent, Valid,
};
use chatstore_sql::WriteTx;
use serde_json::{Value, json};

use super::batches::{Destination, Place, check_times, create, find, of_conversation};
use super::branches::page_of_head;
use super::conflicts::{Plan, difference, refuse_role};
use super::deletions::NewMessageIds;
use super::idempotency_key::{DONE, IdempotencyKey, Outcome, damaged, earlier_result, gone};
use super::idempotent::Idempotent;
use super::messages::Messages;
use super::references::References;
use super::{OWNER_ONLY, is_at_revision};
use crate::error::{Error, Result};
use crate::page_request::PageRequest;
use crate::user_scope::Writer;

/// Messages of the branch that a list may leave unnamed.
const MAX_UNNAMED: usize = 10_000;

const TOO_MANY: &str = "the conversation has more than 10000 messages that the list does not name";
const EMPTY: &str = "an empty list leaves no message, for which the others have to be removed with If-Match";

/// Rows of a page.
const ROWS: u16 = 200;

/// What becomes of messages that a list does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// They stay as another branch.
    Stay,
    /// They are removed.
    Removed,
}

/// What became of the messages of a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplacedMessages {
    /// Messages that stayed as they were.
    pub kept: u64,
    /// Messages that were edited.
    pub edited: u64,
    /// New messages.
    pub added: u64,
    /// Messages that were removed.
    pub removed: u64,
    /// Messages that stay on another branch.
    pub branched: u64,
    /// The revision of the conversation.
    pub revision: i64,
}

impl Messages<'_> {
    /// Replaces the messages of a conversation by a list, in one transaction. Messages are found by their ids, in order, or
    /// where the list brings none by all that they say; those that are equal stay as they are, those that differ are
    /// edited, and new ones are appended. Messages that the list does not name [stay](Unnamed::Stay) as another branch, from the
    /// first of them on, or are removed; with these new messages may come before stored ones, which are then removed and
    /// appended again.
    /// A [`Thread`](Destination::Thread) that does not exist is created. What is written grows with what changes.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for all but the owner; `Conflict` when more than 10,000 messages of the branch are not named, or
    /// all of them are to stay beside an empty list; `AlreadyExists` with [`item`](crate::Error::item) for an
    /// id that another conversation or another branch has; `Invalid`, also for another role of a stored message.
    pub async fn replace(
        self,
        to: impl Into<Destination>,
        list: impl IntoValid<MessageReplacement>,
        unnamed: Unnamed,
    ) -> Result<ReplacedMessages> {
        let list = ListWrite::new(self.0.writer(), to.into(), list.into_valid()?, unnamed, None);
        let (taken, list) = (list.ids(), Arc::new(list));
        let attempt = || {
            let list = Arc::clone(&list);
            let replace = async move |tx: &mut WriteTx<'_>| Ok::<_, Error>(list.run(tx).await?.value);
            self.0.write("message_replace", replace)
        };
        self.0.store.past_deletions(taken, attempt).await
    }
}

impl Idempotent<'_> {
    /// As [`Messages::replace`]. A repetition changes nothing.
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn replace(
        self,
        to: impl Into<Destination>,
        list: impl IntoValid<MessageReplacement>,
        unnamed: Unnamed,
    ) -> Result<Outcome<ReplacedMessages>> {
        let once = Some(self.key.clone());
        let list = ListWrite::new(self.chat.writer(), to.into(), list.into_valid()?, unnamed, once);
        let (taken, list) = (list.ids(), Arc::new(list));
        self.write("message_replace_once", taken, async move |tx| list.run(tx).await).await
    }
}

/// A list on its way into the database.
struct ListWrite {
    writer: Writer,
    to: Destination,
    list: Valid<MessageBatch>,
    unnamed: Unnamed,
    once: Option<IdempotencyKey>,
}

/// What becomes of the stored messages.
#[derive(Default)]
struct Matched {
    /// How many of the list are stored.
    found: usize,
    /// The number of the last of them, 0 for none.
    last: i64,
    edits: Vec<(MessageId, MessagePatch)>,
    /// The numbers of the others.
    unnamed: Vec<i64>,
}

impl ListWrite {
    fn new(
        writer: Writer,
        to: Destination,
        list: Valid<MessageReplacement>,
        unnamed: Unnamed,
        once: Option<IdempotencyKey>,
    ) -> Self {
        Self { writer, to, list: list.into_batch(), unnamed, once }
    }

    /// The ids that it may give to messages.
    fn ids(&self) -> NewMessageIds {
        let ids = self.list.messages().iter().filter_map(|new| new.id).collect();
        NewMessageIds::new(self.writer.user, self.to.conversation(), ids)
    }

    async fn run(&self, tx: &mut WriteTx<'_>) -> Result<Outcome<ReplacedMessages>> {
        let Self { writer: Writer { user, expected, .. }, to, list, once, .. } = self;
        let user = *user;
        let place = find(tx, user, to).await?;
        if let Some(place) = &place {
            // No other transaction changes messages before this one ends.
            tx.conversations().lock(place.owner, place.conversation).await?;
        }
        let is_unchanged = match &place {
            Some(place) => is_at_revision(tx, place.owner, place.conversation, *expected).await?,
            None => expected.is_none(),
        };
        if let Some(key) = once
            && let Some(result) = earlier_result(tx, user, key).await?
        {
            let place = match place {
                None => find(tx, user, to).await?,
                found => found,
            };
            return replay(tx, &place.ok_or_else(gone)?, &result).await;
        }
        if place.as_ref().is_some_and(|place| place.role != ConversationRole::Owner) {
            return Err(Error::forbidden(OWNER_ONLY));
        }
        check_times(tx.now(), &list.messages())?;
        if !is_unchanged {
            return Err(Error::precondition_failed());
        }
        References::of_batch(&list.messages()).check(tx, user).await?;
        let change = list.conversation();
        let (place, is_created) = match (place, to) {
            (Some(place), _) => (place, false),
            (None, Destination::Thread(thread_id)) => {
                let (place, is_created) = create(tx, user, thread_id, *change).await?;
                // Another transaction may have created it, and appends to it.
                tx.conversations().lock(place.owner, place.conversation).await?;
                (place, is_created)
            }
            (None, _) => return Err(Error::not_found("conversation")),
        };
        let Place { owner, conversation, .. } = place;
        let matched = self.matched(tx, &place).await?;
        let stays = self.unnamed == Unnamed::Stay && !matched.unnamed.is_empty();
        let removed: &[i64] = if stays { &[] } else { &matched.unnamed };
        tx.messages().remove(owner, conversation, removed).await?;
        for (id, patch) in &matched.edits {
            let patch = patch.clone().into_valid()?;
            tx.messages().edit(owner, conversation, *id, &patch).await?;
        }
        let parent = match matched.last {
            0 => Parent::Root,
            last => Parent::Message(MessageName::Seq(last)),
        };
        // Without a message that is left of the path, another branch would be the head.
        let names_parent = stays || matched.found == 0 && !removed.is_empty();
        let new = list.behind(matched.found, names_parent.then_some(parent));
        if stays && new.messages().is_empty() {
            move_head(tx, &place, matched.last).await?;
        }
        let writer = (ConversationRole::Owner, user);
        let plan = Plan::new(tx, (owner, conversation), writer, &new).await;
        let plan = plan.map_err(|error| error.behind(matched.found))?;
        let (appended, _) = plan.apply(tx, (owner, conversation), writer).await?;
        if !is_created && !change.is_empty() {
            let updated = tx.conversations().update(owner, conversation, change).await;
            updated.map_err(|error| of_conversation(error.into()))?;
        }
        let edited = matched.edits.len();
        let replaced = ReplacedMessages {
            kept: (matched.found - edited) as u64,
            edited: edited as u64,
            added: appended.len() as u64,
            removed: removed.len() as u64,
            branched: if stays { matched.unnamed.len() as u64 } else { 0 },
            revision: tx.conversations().lock(owner, conversation).await?,
        };
        if let Some(key) = once {
            let record = key.kept(key.done(tx.now(), DONE, to_result(&replaced))?, conversation);
            tx.idempotency_keys().record(owner, user, &record).await?;
        }
        Ok(Outcome::first(replaced))
    }

    /// Finds the messages of the list among the stored ones.
    async fn matched(&self, tx: &mut WriteTx<'_>, place: &Place) -> Result<Matched> {
        let Place { owner, conversation, .. } = *place;
        let list = self.list.messages();
        let mut matched = Matched::default();
        let mut from = None;
        loop {
            let page = page_of_head(tx, owner, conversation, PageRequest::oldest(ROWS), from).await?;
            for message in &page.items {
                // What follows an unnamed message that stays is on its branch.
                let may_match = self.unnamed == Unnamed::Removed || matched.unnamed.is_empty();
                match list.get(matched.found).filter(|new| may_match && is_same(message, new)) {
                    Some(new) => {
                        refuse_role(matched.found, message, new)?;
                        matched.found += 1;
                        matched.last = message.seq;
                        let patch = change(message, new);
                        if !patch.is_empty() {
                            matched.edits.push((message.id, patch));
                        }
                    }
                    None if matched.unnamed.len() == MAX_UNNAMED => return Err(Error::conflict(TOO_MANY)),
                    None => matched.unnamed.push(message.seq),
                }
            }
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(matched),
            }
        }
    }
}

/// Makes a message the head, behind which others stay.
async fn move_head(tx: &mut WriteTx<'_>, place: &Place, seq: i64) -> Result<()> {
    if seq == 0 {
        return Err(Error::conflict(EMPTY));
    }
    let head = Some(NewHead::Message(MessageName::Seq(seq)));
    let patch = ConversationPatch { head, ..ConversationPatch::default() }.into_valid()?;
    tx.conversations().update(place.owner, place.conversation, &patch).await?;
    Ok(())
}

/// Whether a message of a list is this stored one: by the ids that it brings, or by all that it says.
fn is_same(message: &Message, new: &NewMessage) -> bool {
    if new.id.is_none() && new.external_id.is_none() {
        return message.external_id.is_none() && message.role == new.role && change(message, new).is_empty();
    }
    let has_id = new.id.is_none_or(|id| id == message.id);
    has_id && (new.external_id.is_none() || new.external_id == message.external_id)
}

/// What has to be changed of a message so that it says what one of a list does. Parts that are equal as JSON stay.
fn change(message: &Message, new: &NewMessage) -> MessagePatch {
    let mut patch = difference(message, new);
    if let (Change::Set(parts), Some(stored)) = (&patch.parts, &message.parts)
        && parts.normal_form() == stored.normal_form()
    {
        patch.parts = Change::Keep;
        patch.content = patch.content.filter(|content| *content != message.content);
    }
    patch
}

fn to_result(replaced: &ReplacedMessages) -> Value {
    let ReplacedMessages { kept, edited, added, removed, branched, revision: _ } = replaced;
    json!({ "kept": kept, "edited": edited, "added": added, "removed": removed, "branched": branched })
}

/// What an earlier request with the key came to.
async fn replay(tx: &mut WriteTx<'_>, place: &Place, result: &Value) -> Result<Outcome<ReplacedMessages>> {
    let count = |name: &str| result[name].as_u64().ok_or_else(|| damaged("it counts no messages"));
    Ok(Outcome::replayed(ReplacedMessages {
        kept: count("kept")?,
        edited: count("edited")?,
        added: count("added")?,
        removed: count("removed")?,
        branched: count("branched")?,
        revision: tx.conversations().lock(place.owner, place.conversation).await?,
    }))
}
