//! Copies of conversations.

mod content;
mod pieces;

use chatstore_model::{
    CanonicalJson, Conversation, ConversationId, ConversationPatch, CopiedBranches, Message, MessageName,
    MessagePatch, NewConversation, NewHead, NewMessage, NewReply, Parent, UserId, VerbatimJson,
};
use chatstore_sql::{CopiedMessages, CopyPlan, CopyProgress, Marked, StoreError, Via};
use chatstore_testkit::TestDatabase;

use crate::fixtures::{arbitrary_user, arbitrary_uuid, later, reply, say, write};

/// A copy that is being made.
#[derive(Clone)]
struct Making {
    plan: CopyPlan,
    owner: UserId,
    id: ConversationId,
    progress: CopyProgress,
}

async fn plan(
    case: &TestDatabase,
    source: (UserId, ConversationId),
    up_to: Option<MessageName>,
    branches: CopiedBranches,
) -> Result<CopyPlan, StoreError> {
    let (owner, id) = source;
    let work = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
        tx.copies().plan(owner, id, up_to.as_ref(), branches).await
    };
    case.database.read("plan", work).await
}

impl Making {
    async fn begin(case: &TestDatabase, owner: UserId, plan: CopyPlan) -> Self {
        let id = ConversationId::from_uuid(arbitrary_uuid(case));
        write(case, async move |tx| tx.copies().begin(owner, id).await).await.unwrap();
        Self { plan, owner, id, progress: CopyProgress::default() }
    }

    /// Copies about this many messages.
    async fn next(&mut self, case: &TestDatabase, limit: i64) -> Result<Option<CopiedMessages>, StoreError> {
        let Self { plan, owner, id, progress } = self.clone();
        let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            tx.copies().next_piece(&plan, owner, id, &progress, limit).await
        };
        let piece = write(case, work).await?;
        if let Some(piece) = &piece {
            self.progress = piece.progress.clone();
        }
        Ok(piece)
    }

    async fn fill(&mut self, case: &TestDatabase, limit: i64) {
        while !self.next(case, limit).await.unwrap().expect("it is being made").is_last {}
    }

    async fn complete(
        &self,
        case: &TestDatabase,
        thread_id: Option<&'static str>,
    ) -> Result<Option<Conversation>, StoreError> {
        let Self { plan, owner, id, progress } = self.clone();
        let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            tx.copies().complete(&plan, owner, id, &progress, thread_id).await
        };
        write(case, work).await
    }

    fn marked(&self) -> Marked {
        Marked::Conversation { owner: self.owner, id: self.id }
    }
}

/// A whole copy, in pieces of three messages.
async fn copy(case: &TestDatabase, owner: UserId, plan: CopyPlan) -> Conversation {
    let mut making = Making::begin(case, owner, plan).await;
    making.fill(case, 3).await;
    making.complete(case, None).await.unwrap().expect("it is being made")
}

async fn copy_head(case: &TestDatabase, owner: UserId, source: (UserId, ConversationId)) -> Conversation {
    copy(case, owner, plan(case, source, None, CopiedBranches::Head).await.unwrap()).await
}

async fn copy_all(case: &TestDatabase, owner: UserId, source: (UserId, ConversationId)) -> Conversation {
    copy(case, owner, plan(case, source, None, CopiedBranches::All).await.unwrap()).await
}

fn after(seq: i64, text: &str) -> NewMessage {
    NewMessage { parent: Some(Parent::Message(MessageName::Seq(seq))), ..NewMessage::user(text) }
}

/// A message with a parent.
async fn branch(case: &TestDatabase, owner: UserId, id: ConversationId, new: NewMessage) {
    let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        tx.messages().append(Via::Owner(owner), id, &new).await
    };
    write(case, work).await.unwrap();
}

async fn edit(case: &TestDatabase, owner: UserId, id: ConversationId, seq: i64, text: &'static str) {
    let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        let found = tx.messages().find_by_seq(Via::Owner(owner), id, seq).await?.expect("it is there");
        let patch = MessagePatch { content: Some(text.to_owned()), ..MessagePatch::default() };
        tx.messages().edit(owner, id, found.id, &patch).await
    };
    write(case, work).await.unwrap();
}

async fn remove(case: &TestDatabase, owner: UserId, id: ConversationId, seqs: &'static [i64]) {
    write(case, async move |tx| tx.messages().remove(owner, id, seqs).await).await.unwrap();
}

fn texts(messages: &[Message]) -> Vec<(i64, &str)> {
    messages.iter().map(|message| (message.seq, message.content.as_str())).collect()
}

/// A message without what is its own in a copy.
fn said(message: &Message, copy: (UserId, ConversationId)) -> Message {
    let (owner_id, conversation_id) = copy;
    let id = chatstore_model::MessageId::from_uuid(uuid::Uuid::nil());
    let sender_id = message.sender_id.map(|_| owner_id);
    Message { owner_id, conversation_id, sender_id, id, seq: 0, parent_seq: None, ..message.clone() }
}

/// 1 ← 2 ← 3, 2 ← 4 ← 5, 4 ← 6 with the head 5, and everything that a message may say in 4.
async fn tree(case: &TestDatabase) -> (UserId, ConversationId) {
    let owner = arbitrary_user(case).await;
    let new = NewConversation {
        thread_id: Some("source".to_owned()),
        default_model: Some("large".to_owned()),
        metadata: CanonicalJson::parse(r#"{"a": [1, 2.5]}"#).unwrap(),
        ..NewConversation::titled("Trip")
    };
    let id = write(case, async move |tx| tx.conversations().create(owner, &new).await).await.unwrap().id;
    say(case, owner, id, "one").await;
    later(case);
    reply(case, owner, id, NewReply::new("two")).await.unwrap();
    later(case);
    say(case, owner, id, "three").await;
    let full = NewMessage {
        parts: Some(VerbatimJson::parse(r#"[ {"type":"text", "n": 1.00, "n": 2e0} ]"#).unwrap()),
        format: Some("x/1".to_owned()),
        external_id: Some("four".to_owned()),
        model: Some("small".to_owned()),
        token_count: Some(7),
        used_documents: CanonicalJson::parse(r#"["d"]"#).unwrap(),
        metadata: CanonicalJson::parse(r#"{"k": {"z": 1, "a": null}}"#).unwrap(),
        ..after(2, "four ☕")
    };
    branch(case, owner, id, full).await;
    later(case);
    branch(case, owner, id, after(4, "five")).await;
    branch(case, owner, id, after(4, "six")).await;
    later(case);
    edit(case, owner, id, 1, "one, edited").await;
    let head = Some(NewHead::Message(MessageName::Seq(5)));
    let patch = ConversationPatch { head, ..ConversationPatch::default() };
    write(case, async move |tx| tx.conversations().update(owner, id, &patch).await).await.unwrap();
    (owner, id)
}
