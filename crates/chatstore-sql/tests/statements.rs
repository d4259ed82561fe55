//! How many statements the hot operations take.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a case that meets the unexpected fails at once"
)]

use chatstore_model::{
    ConversationId, Limit, MemberRole, MessageId, MessageRange, NewApiKey, NewConversation, NewMessage,
    NewReply, NewUser, Order, UserId, UserName,
};
use chatstore_sql::{ConversationList, DatabaseKind, ReadTx, StoreError, Via, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};

conformance!(
    a_page_read_by_the_owner_is_one_statement,
    a_page_read_by_a_member_is_one_statement,
    every_look_up_is_one_statement,
    what_a_user_sent_elsewhere_is_one_statement,
    every_list_of_conversations_is_one_statement,
    an_append_by_the_owner_is_one_statement_on_postgres_and_two_on_sqlite,
    an_append_by_a_member_is_one_statement_on_postgres_and_two_on_sqlite,
    a_batch_is_one_statement_more_than_its_messages,
    a_reply_of_a_known_model_is_one_statement_on_postgres_and_four_on_sqlite,
    a_reply_of_an_unknown_model_is_five_statements,
);

/// One conversation, its owner and an editor of it.
struct Talk {
    case: TestDatabase,
    owner: UserId,
    editor: UserId,
    conversation: ConversationId,
}

impl Talk {
    async fn new(case: TestDatabase) -> Self {
        let named = |name| NewUser::named(UserName::new(name).unwrap());
        let (ada, grace) = (named("ada"), named("grace"));
        let created = case.database.write("talk", async move |tx| {
            let (owner, editor) = (tx.users().create(&ada).await?.id, tx.users().create(&grace).await?.id);
            let conversation = tx.conversations().create(owner, &NewConversation::thread("talk")).await?.id;
            tx.members().put(owner, conversation, editor, MemberRole::Editor).await?;
            let new = ["one", "two", "three"].map(NewMessage::user);
            tx.messages().append_many(owner, conversation, &[], &new).await?;
            Ok::<_, StoreError>((owner, editor, conversation))
        });
        let (owner, editor, conversation) = created.await.unwrap();
        Self { case, owner, editor, conversation }
    }

    /// Statements that a read takes, which must find something.
    async fn read<F>(&self, work: F) -> u64
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<bool, StoreError> + Send + 'static,
    {
        let before = self.case.database.statements();
        assert!(self.case.database.read("counted", work).await.unwrap(), "nothing was found");
        self.case.database.statements() - before
    }

    async fn write<F>(&self, work: F) -> u64
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        let before = self.case.database.statements();
        self.case.database.write("counted", work).await.unwrap();
        self.case.database.statements() - before
    }

    /// Statements of an append as a service does it: as the owner, and as a member when that is
    /// not who it is.
    async fn append(&self, tries: &'static [fn(UserId) -> Via], user: UserId) -> u64 {
        let conversation = self.conversation;
        let before = self.case.database.statements();
        for (number, by) in tries.iter().enumerate() {
            let work = async move |tx: &mut WriteTx<'_>| {
                tx.messages().append(by(user), conversation, &NewMessage::user("hello")).await
            };
            let answer = self.case.database.write_single("append", work).await;
            assert_eq!(answer.is_ok(), number == tries.len() - 1, "{answer:?}");
        }
        self.case.database.statements() - before
    }

    fn on_sqlite(&self) -> bool {
        self.case.database.kind() == DatabaseKind::Sqlite
    }
}

async fn a_page_read_by_the_owner_is_one_statement(case: TestDatabase) {
    let talk = Talk::new(case).await;
    let (by, conversation) = (Via::Owner(talk.owner), talk.conversation);
    for order in [Order::Ascending, Order::Descending] {
        let taken = talk.read(async move |tx| {
            let page =
                tx.messages().page(by, conversation, MessageRange::ALL, order, Limit::default()).await?;
            Ok(page.items.len() == 3)
        });
        assert_eq!(taken.await, 1);
    }
}

async fn a_page_read_by_a_member_is_one_statement(case: TestDatabase) {
    let talk = Talk::new(case).await;
    let (by, conversation) = (Via::Member(talk.editor), talk.conversation);
    for order in [Order::Ascending, Order::Descending] {
        let taken = talk.read(async move |tx| {
            let page =
                tx.messages().page(by, conversation, MessageRange::ALL, order, Limit::default()).await?;
            Ok(page.items.len() == 3)
        });
        assert_eq!(taken.await, 1);
    }
}

async fn what_a_user_sent_elsewhere_is_one_statement(case: TestDatabase) {
    let talk = Talk::new(case).await;
    let (owner, editor, conversation) = (talk.owner, talk.editor, talk.conversation);
    let new = ["one", "two", "three"].map(NewMessage::user);
    talk.write(async move |tx| {
        tx.messages().append_many(owner, conversation, &[Some(editor); 3], &new).await.map(|_| ())
    })
    .await;
    let taken = talk.read(async move |tx| {
        Ok(tx.messages().sent_elsewhere(editor, None, Limit::default()).await?.items.len() == 3)
    });
    assert_eq!(taken.await, 1);
}

async fn every_look_up_is_one_statement(case: TestDatabase) {
    let talk = Talk::new(case).await;
    let (owner, editor, conversation) = (talk.owner, talk.editor, talk.conversation);
    let key = NewApiKey {
        scope: chatstore_model::ApiKeyScope::User,
        name: None,
        prefix: "cs_".to_owned(),
        key_hash: [1; 32],
        expires_at: None,
        rights: chatstore_model::KeyRights::default(),
    };
    talk.write(async move |tx| tx.api_keys().create(owner, &key).await.map(|_| ())).await;
    let owners = Via::Owner(owner);
    let first = talk
        .case
        .database
        .read("first", async move |tx| tx.messages().find_by_seq(owners, conversation, 1).await);
    let first: MessageId = first.await.unwrap().unwrap().id;

    let user = talk.read(async move |tx| Ok(tx.users().get(owner).await?.is_some()));
    let name = talk.read(async |tx| Ok(tx.users().find_by_username("ADA").await?.is_some()));
    let thread =
        talk.read(async move |tx| Ok(tx.conversations().find_by_thread(owner, "talk").await?.is_some()));
    let key = talk.read(async move |tx| {
        Ok(tx.api_keys().find(owner, &[1; 32], chatstore_model::Timestamp::MIN).await?.is_some())
    });
    let members = talk.read(async move |tx| {
        Ok(tx.members().page(owner, conversation, None, Limit::MAX).await?.items.len() == 2)
    });
    assert_eq!((user.await, name.await, thread.await, key.await, members.await), (1, 1, 1, 1, 1));
    for by in [Via::Owner(owner), Via::Member(editor)] {
        let conversation_row =
            talk.read(async move |tx| Ok(tx.conversations().get(by, conversation).await?.is_some()));
        let access = talk
            .read(async move |tx| Ok(tx.conversations().access(by.user(), conversation).await?.is_some()));
        let message =
            talk.read(async move |tx| Ok(tx.messages().get(by, conversation, first).await?.is_some()));
        let by_seq =
            talk.read(async move |tx| Ok(tx.messages().find_by_seq(by, conversation, 2).await?.is_some()));
        assert_eq!(
            (conversation_row.await, access.await, message.await, by_seq.await),
            (1, 1, 1, 1),
            "{by:?}"
        );
    }
}

async fn every_list_of_conversations_is_one_statement(case: TestDatabase) {
    use chatstore_model::{ConversationFilter, ConversationSort, Membership};
    let talk = Talk::new(case).await;
    for (user, membership) in [
        (talk.owner, Membership::Owned),
        (talk.editor, Membership::Shared),
        (talk.owner, Membership::All),
        (talk.editor, Membership::All),
    ] {
        for sort in [ConversationSort::Activity, ConversationSort::Creation] {
            let every = ConversationFilter { membership, ..ConversationFilter::EVERYTHING };
            for filter in [membership.into(), every] {
                let counted = filter.clone();
                let list = ConversationList { filter: filter.clone(), sort, ..ConversationList::default() };
                let page = talk
                    .read(async move |tx| Ok(tx.conversations().page(user, &list).await?.items.len() == 1));
                let count =
                    talk.read(async move |tx| Ok(tx.conversations().count(user, &counted).await? == 1));
                assert_eq!((page.await, count.await), (1, 1), "{filter:?} {sort:?}");
            }
        }
    }
}

/// SQLite changes one table in a statement, so it takes two; both run in one job of the writing
/// thread, which costs the caller one wait as the single statement does on PostgreSQL.
async fn an_append_by_the_owner_is_one_statement_on_postgres_and_two_on_sqlite(case: TestDatabase) {
    let talk = Talk::new(case).await;
    let expected = if talk.on_sqlite() { 2 } else { 1 };
    assert_eq!(talk.append(&[Via::Owner], talk.owner).await, expected);
}

/// The attempt as the owner that a service makes first is one statement more: it finds no conversation.
async fn an_append_by_a_member_is_one_statement_on_postgres_and_two_on_sqlite(case: TestDatabase) {
    let talk = Talk::new(case).await;
    let expected = if talk.on_sqlite() { 2 } else { 1 };
    assert_eq!(talk.append(&[Via::Member], talk.editor).await, expected);
    assert_eq!(talk.append(&[Via::Owner, Via::Member], talk.editor).await, expected + 1);
}

async fn a_batch_is_one_statement_more_than_its_messages(case: TestDatabase) {
    let talk = Talk::new(case).await;
    let (owner, conversation) = (talk.owner, talk.conversation);
    for count in [1, 7, 200] {
        let new: Vec<NewMessage> = (0..count).map(|_| NewMessage::user("hello")).collect();
        let taken = talk.write(async move |tx| {
            tx.messages().append_many(owner, conversation, &[], &new).await.map(|_| ())
        });
        assert_eq!(taken.await, count + 1);
    }
}

async fn replies(talk: &Talk, model_used: Option<&str>) -> u64 {
    let (owner, conversation) = (talk.owner, talk.conversation);
    let mut new = NewReply::new("certainly");
    new.response.model_used = model_used.map(str::to_owned);
    let before = talk.case.database.statements();
    let work = async move |tx: &mut WriteTx<'_>| tx.messages().record_reply(owner, conversation, &new).await;
    if model_used.is_some() {
        talk.case.database.write_single("reply", work).await.unwrap();
    } else {
        talk.case.database.write("reply", work).await.unwrap();
    }
    talk.case.database.statements() - before
}

async fn a_reply_of_a_known_model_is_one_statement_on_postgres_and_four_on_sqlite(case: TestDatabase) {
    let talk = Talk::new(case).await;
    let expected = if talk.on_sqlite() { 4 } else { 1 };
    assert_eq!(replies(&talk, Some("large")).await, expected);
}

async fn a_reply_of_an_unknown_model_is_five_statements(case: TestDatabase) {
    let talk = Talk::new(case).await;
    assert_eq!(replies(&talk, None).await, 5);
}
