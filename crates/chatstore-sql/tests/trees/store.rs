//! A conversation of a database, to which the same is done as to the model.

use std::collections::BTreeMap;

use chatstore_model::{
    ConversationId, ConversationPatch, CopiedBranches, HeadRule, Limit, MemberRole, Message, MessageFilter,
    MessageName, MessagePatch, MessageRange, MessageRole, MessageSelection, NewConversation, NewHead,
    NewMessage, NewReply, NewUser, Order, Page, Parent, UserId, UserName,
};
use chatstore_sql::{
    CopyProgress, Database, DatabaseKind, Family, PathStart, ReadTx, Relative, StoreError, Via, WriteTx,
};
use chatstore_testkit::TestDatabase;

use crate::model::{After, Tree};
use crate::{Copied, Step, said};

pub struct Store {
    database: Database,
    owner: UserId,
    member: UserId,
    id: ConversationId,
}

const ABSENT: &str = "a message that is not there";

impl Store {
    pub async fn new(case: &TestDatabase) -> Self {
        let (database, ids) = (case.database.clone(), case.database.ids());
        let name = |part: &str| {
            let uuid = ids.uuid(case.database.clock().now());
            UserName::new(format!("{part} {}", uuid.simple())).unwrap()
        };
        let (owner_name, member_name) = (name("owner"), name("member"));
        let create = async move |tx: &mut WriteTx<'_>| {
            let owner = tx.users().create(&NewUser::named(owner_name.clone())).await?.id;
            let member = tx.users().create(&NewUser::named(member_name.clone())).await?.id;
            let id = tx.conversations().create(owner, &NewConversation::titled("Tree")).await?.id;
            tx.members().put(owner, id, member, MemberRole::Editor).await?;
            Ok::<_, StoreError>((owner, member, id))
        };
        let (owner, member, id) = database.write("create", create).await.unwrap();
        Self { database, owner, member, id }
    }

    pub fn kind(&self) -> DatabaseKind {
        self.database.kind()
    }

    /// The numbers of the messages that the step appended or removed; `None` when it was refused.
    pub async fn apply(&mut self, step: &Step, number: usize) -> Option<Vec<i64>> {
        let (owner, member, id, step) = (self.owner, self.member, self.id, step.clone());
        if matches!(step, Step::EraseMember) {
            return self.erase_member().await;
        }
        if let Step::Copy(copied) = step {
            return self.copy(copied).await;
        }
        let work = async move |tx: &mut WriteTx<'_>| run(tx, (owner, member), id, &step, number).await;
        match self.database.write("step", work).await {
            Ok(seqs) => Some(seqs),
            Err(StoreError::Invalid(_) | StoreError::NotFound { .. } | StoreError::InvalidState(ABSENT)) => {
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn erase_member(&mut self) -> Option<Vec<i64>> {
        let (owner, member, id) = (self.owner, self.member, self.id);
        let name = UserName::new(format!("next {}", member)).unwrap();
        let work = async move |tx: &mut WriteTx<'_>| {
            tx.users().erase(member).await?;
            let next = tx.users().create(&NewUser::named(name.clone())).await?.id;
            tx.members().put(owner, id, next, MemberRole::Editor).await?;
            Ok::<_, StoreError>(next)
        };
        self.member = self.database.write("erase", work).await.unwrap();
        Some(Vec::new())
    }

    /// Goes on with a copy, in pieces of three messages.
    async fn copy(&mut self, copied: Copied) -> Option<Vec<i64>> {
        let (owner, member, source) = (self.owner, self.member, self.id);
        let (up_to, branches) = match copied {
            Copied::All => (None, CopiedBranches::All),
            Copied::Head => (None, CopiedBranches::Head),
            Copied::UpTo(seq) => (Some(MessageName::Seq(seq)), CopiedBranches::Head),
        };
        let work =
            async move |tx: &mut ReadTx<'_>| tx.copies().plan(owner, source, up_to.as_ref(), branches).await;
        let plan = match self.database.read("plan", work).await {
            Err(StoreError::Invalid(_)) => return None,
            plan => plan.unwrap(),
        };
        let id = ConversationId::from_uuid(self.database.ids().uuid(self.database.clock().now()));
        let work = async move |tx: &mut WriteTx<'_>| {
            tx.copies().begin(owner, id).await?;
            let mut progress = CopyProgress::default();
            loop {
                let piece = tx.copies().next_piece(&plan, owner, id, &progress, 3).await?;
                let piece = piece.expect("it is being made");
                progress = piece.progress;
                if piece.is_last {
                    break;
                }
            }
            tx.copies().complete(&plan, owner, id, &progress, None).await?.expect("it is being made");
            tx.members().put(owner, id, member, MemberRole::Editor).await
        };
        self.database.write("copy", work).await.map_err(|error: StoreError| error).unwrap();
        self.id = id;
        Some(Vec::new())
    }

    async fn read<T, F>(&self, work: F) -> T
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.database.read("compare", work).await.unwrap()
    }

    /// Compares everything that can be read with the model.
    pub async fn compare(&mut self, tree: &Tree, when: &str) {
        let when = format!("{when} on {}", self.kind().as_str());
        let (owner, id) = (self.owner, self.id);
        let found = self.read(async move |tx| tx.conversations().get(Via::Owner(owner), id).await).await;
        let row = found.expect("the conversation is there").0;
        assert_eq!(row.message_count, i64::try_from(tree.nodes.len()).unwrap(), "{when}");
        assert_eq!(row.last_seq, tree.last, "{when}");
        assert_eq!(row.head_seq, tree.has_branched.then_some(tree.head), "{when}");
        let shown = tree.nodes.get(&tree.head).map(|node| node.text.clone());
        assert_eq!(row.last_message, shown, "{when}");
        let all = self.all().await;
        let texts: BTreeMap<i64, String> =
            all.iter().map(|message| (message.seq, message.content.clone())).collect();
        let expected: BTreeMap<i64, String> =
            tree.nodes.iter().map(|(seq, node)| (*seq, node.text.clone())).collect();
        assert_eq!(texts, expected, "{when}");
        let family = self.family(&all).await;
        let ids: BTreeMap<_, i64> = all.iter().map(|message| (message.id, message.seq)).collect();
        for message in &all {
            let node = &tree.nodes[&message.seq];
            let parent = family.parents[&message.id].map_or(0, |parent| ids[&parent]);
            assert_eq!(parent, node.parent, "the parent of {} {when}", message.seq);
            let siblings: Vec<i64> = family.siblings[&message.id].iter().map(|id| ids[id]).collect();
            assert_eq!(siblings, tree.siblings(message.seq), "the siblings of {} {when}", message.seq);
            assert_eq!(
                message.effective_model,
                tree.model(message.seq),
                "the model of {} {when}",
                message.seq
            );
        }
        if !tree.has_branched {
            assert!(all.iter().all(|message| message.parent_seq.is_none()), "{when}");
            return;
        }
        let leaves: Vec<i64> = [tree.head, tree.last / 2, tree.last]
            .into_iter()
            .filter(|leaf| tree.nodes.contains_key(leaf))
            .collect();
        for leaf in leaves {
            for (order, limit) in [(Order::Descending, 3), (Order::Ascending, 2), (Order::Descending, 50)] {
                let mut path = tree.path(leaf);
                if order == Order::Descending {
                    path.reverse();
                }
                let found = self.path(leaf, order, limit).await;
                let seqs: Vec<i64> = found.iter().map(|message| message.seq).collect();
                assert_eq!(seqs, path, "the path to {leaf} {order:?} {when}");
                for message in &found {
                    assert_eq!(message.parent_seq, Some(tree.nodes[&message.seq].parent), "{when}");
                    assert_eq!(message.effective_model, tree.model(message.seq), "{} {when}", message.seq);
                }
            }
        }
    }

    async fn all(&self) -> Vec<Message> {
        let (owner, id) = (self.owner, self.id);
        let mut all: Vec<Message> = Vec::new();
        loop {
            let after = all.last().map_or(0, |message| message.seq);
            let range = MessageRange { after, before: i64::MAX };
            let limit = Limit::new(7).unwrap();
            let read = async move |tx: &mut ReadTx<'_>| {
                tx.messages().page(Via::Owner(owner), id, range, Order::Ascending, limit).await
            };
            let page: Page<Message, i64> = self.read(read).await;
            all.extend(page.items);
            if page.next.is_none() {
                return all;
            }
        }
    }

    async fn family(&self, all: &[Message]) -> Family {
        let (owner, id) = (self.owner, self.id);
        let relatives: Vec<Relative> = all.iter().map(Relative::from).collect();
        self.read(async move |tx| tx.messages().family(owner, id, &relatives, true).await).await
    }

    /// The path to a message, page by page.
    async fn path(&self, leaf: i64, order: Order, limit: u16) -> Vec<Message> {
        let (owner, id, limit) = (self.owner, self.id, Limit::new(limit).unwrap());
        let mut path: Vec<Message> = Vec::new();
        let mut from: Option<i64> = None;
        loop {
            let range = from.map_or(MessageRange::ALL, |seq| MessageRange::ALL.beyond(seq, order));
            let start = PathStart { leaf, near: from.filter(|_| order == Order::Descending) };
            let read = async move |tx: &mut ReadTx<'_>| {
                let filter = MessageFilter::from(range);
                tx.messages().page_of_path(owner, id, start, &filter, order, limit).await
            };
            let page = self.read(read).await.expect("the message is there");
            assert!(page.items.len() <= limit.rows());
            path.extend(page.items);
            from = page.next;
            if from.is_none() {
                return path;
            }
        }
    }
}

fn parent(after: After) -> Option<Parent> {
    match after {
        After::Head => None,
        After::Root => Some(Parent::Root),
        After::Message(seq) => Some(Parent::Message(MessageName::Seq(seq))),
    }
}

async fn run(
    tx: &mut WriteTx<'_>,
    (owner, member): (UserId, UserId),
    id: ConversationId,
    step: &Step,
    number: usize,
) -> Result<Vec<i64>, StoreError> {
    let text = format!("step {number}");
    let say = |after: After, is_members: bool| {
        let node = said(number, is_members);
        let role = if node.is_answer { MessageRole::Assistant } else { MessageRole::User };
        NewMessage { parent: parent(after), model: node.model, ..NewMessage::new(role, node.text) }
    };
    match step {
        Step::Append(after, is_members) => {
            let by = if *is_members { Via::Member(member) } else { Via::Owner(owner) };
            Ok(vec![tx.messages().append_in_steps(by, id, &say(*after, *is_members)).await?.seq])
        }
        Step::AppendMany(afters, is_members) => {
            let new: Vec<NewMessage> = afters.iter().map(|after| say(*after, *is_members)).collect();
            let (rule, sender) = match is_members {
                true => (HeadRule::Stays, Some(member)),
                false => (HeadRule::Follows, None),
            };
            let senders = vec![sender; new.len()];
            let appended = tx.messages().append_now(owner, id, &senders, &new, rule).await?;
            Ok(appended.iter().map(|message| message.seq).collect())
        }
        Step::Reply(after) => {
            let message = NewMessage { parent: parent(*after), ..NewMessage::assistant(text.clone()) };
            let reply = NewReply { message, ..NewReply::new("") };
            Ok(vec![tx.messages().record_reply(owner, id, &reply).await?.message.seq])
        }
        Step::Switch(seq, is_under) => {
            let name = MessageName::Seq(*seq);
            let head = if *is_under { NewHead::Under(name) } else { NewHead::Message(name) };
            let patch = ConversationPatch { head: Some(head), ..ConversationPatch::default() };
            tx.conversations().update(owner, id, &patch).await?;
            Ok(Vec::new())
        }
        Step::Delete(seq) => {
            let found = tx.messages().find_by_seq(Via::Owner(owner), id, *seq).await?;
            let message = found.ok_or(StoreError::InvalidState(ABSENT))?;
            tx.messages().delete(owner, id, message.id).await?;
            Ok(Vec::new())
        }
        Step::DeleteMany(seqs) => {
            tx.messages().remove(owner, id, seqs).await?;
            Ok(Vec::new())
        }
        Step::DeleteSubtree(seq) => {
            let below = tx.messages().subtree(owner, id, *seq).await?;
            tx.messages().remove(owner, id, &below).await?;
            Ok(below)
        }
        Step::Pop(count) => {
            let row = tx.conversations().get(Via::Owner(owner), id).await?.expect("it is there").0;
            let (limit, order) = (Limit::new(*count).unwrap(), Order::Descending);
            let filter = MessageFilter::from(MessageRange::ALL);
            let page = match row.head_seq {
                None => tx.messages().page(Via::Owner(owner), id, filter, order, limit).await?.items,
                Some(leaf) => {
                    let start = PathStart { leaf, near: None };
                    let page = tx.messages().page_of_path(owner, id, start, &filter, order, limit).await?;
                    page.map(|page| page.items).unwrap_or_default()
                }
            };
            let seqs: Vec<i64> = page.iter().rev().map(|message| message.seq).collect();
            tx.messages().remove(owner, id, &seqs).await?;
            Ok(seqs)
        }
        Step::KeepLast(kept) => {
            let selection = MessageSelection::AllButNewest(*kept);
            let selection = tx.messages().bounded_selection(owner, id, selection).await?;
            tx.messages().remove_piece(owner, id, &selection, 50).await?;
            Ok(Vec::new())
        }
        Step::Edit(seq) => {
            let found = tx.messages().find_by_seq(Via::Owner(owner), id, *seq).await?;
            let message = found.ok_or(StoreError::InvalidState(ABSENT))?;
            let patch = MessagePatch { content: Some(text), ..MessagePatch::default() };
            tx.messages().edit(owner, id, message.id, &patch).await?;
            Ok(Vec::new())
        }
        Step::EraseMember | Step::Copy(_) => Ok(Vec::new()),
    }
}
