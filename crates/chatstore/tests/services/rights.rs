//! Every operation, tried by every role: what each role may do, and that strangers learn nothing.

use chatstore::{
    Change, ConversationId, ConversationPatch, ErrorKind, Limit, MemberRole, MessageId, MessagePatch,
    MessageRole, NewConversation, NewMessage, NewReply, PageRequest, Result, Store, UserId,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{Group, group, store, user};

conformance!(
    each_role_may_do_what_it_may_and_nothing_else,
    a_foreign_conversation_is_answered_like_an_absent_one,
    an_editor_changes_only_messages_of_their_own,
    an_append_at_a_revision_is_refused_at_another_and_to_those_who_may_not,
    a_removed_member_is_a_stranger,
    a_member_may_leave_but_not_remove_others,
    an_absent_message_is_absent_for_every_member,
    ones_own_empty_conversation_is_not_filled_from_anothers_with_the_same_id,
);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Get,
    Page,
    GetMessage,
    ListMembers,
    Append,
    AppendMany,
    AppendAsAssistant,
    Reply,
    Rename,
    Relabel,
    EditTheOwnersMessage,
    DeleteTheOwnersMessage,
    AddMember,
    Delete,
}

use Operation::{
    AddMember, Append, AppendAsAssistant, AppendMany, Delete, DeleteTheOwnersMessage, EditTheOwnersMessage,
    Get, GetMessage, ListMembers, Page, Relabel, Rename, Reply,
};

const READS: [Operation; 4] = [Get, Page, GetMessage, ListMembers];
const WRITES: [Operation; 4] = [Append, AppendMany, Reply, Rename];
/// In an order in which each still finds what it needs.
const OWNERS_ONLY: [Operation; 6] =
    [AppendAsAssistant, Relabel, EditTheOwnersMessage, DeleteTheOwnersMessage, AddMember, Delete];

async fn attempt(
    store: &Store,
    user: UserId,
    conversation: ConversationId,
    message: MessageId,
    newcomer: UserId,
    operation: Operation,
) -> Result<()> {
    let chat = store.as_user(user);
    match operation {
        Get => chat.conversations().get(conversation).await.map(drop),
        Page => chat.messages().page(conversation, PageRequest::newest(50)).await.map(drop),
        GetMessage => chat.messages().get(conversation, message).await.map(drop),
        ListMembers => chat.members().page(conversation, None, Limit::default()).await.map(drop),
        Append => chat.messages().append(conversation, NewMessage::user("hello")).await.map(drop),
        AppendMany => chat
            .messages()
            .append_many(conversation, vec![NewMessage::user("a"), NewMessage::user("b")])
            .await
            .map(drop),
        AppendAsAssistant => chat
            .messages()
            .append(conversation, NewMessage::new(MessageRole::System, "be kind"))
            .await
            .map(drop),
        Reply => chat.messages().reply(conversation, NewReply::new("hello yourself")).await.map(drop),
        Rename => {
            let patch = ConversationPatch {
                title: Change::Set("Renamed".to_owned()),
                ..ConversationPatch::default()
            };
            chat.conversations().update(conversation, patch).await.map(drop)
        }
        Relabel => {
            let patch = ConversationPatch {
                thread_id: Change::Set("t-1".to_owned()),
                ..ConversationPatch::default()
            };
            chat.conversations().update(conversation, patch).await.map(drop)
        }
        EditTheOwnersMessage => {
            let patch = MessagePatch { content: Some("edited".to_owned()), ..MessagePatch::default() };
            chat.messages().edit(conversation, message, patch).await.map(drop)
        }
        DeleteTheOwnersMessage => chat.messages().delete(conversation, message).await,
        AddMember => chat.members().put(conversation, newcomer, MemberRole::Viewer).await.map(drop),
        Delete => chat.conversations().delete(conversation).await,
    }
}

async fn each_role_may_do_what_it_may_and_nothing_else(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, editor, viewer, stranger } = group(&store).await;
    let message =
        store.as_user(owner).messages().append(conversation.id, NewMessage::user("first")).await.unwrap();
    let newcomer = user(&store, "newcomer").await;
    let outcome = async |user, operation| {
        let done = attempt(&store, user, conversation.id, message.id, newcomer, operation).await;
        done.map_err(|error| error.kind())
    };
    for operation in READS {
        for member in [owner, editor, viewer] {
            assert_eq!(outcome(member, operation).await, Ok(()), "{operation:?}");
        }
        assert_eq!(outcome(stranger, operation).await, Err(ErrorKind::NotFound), "{operation:?}");
    }
    for operation in WRITES {
        for member in [owner, editor] {
            assert_eq!(outcome(member, operation).await, Ok(()), "{operation:?}");
        }
        assert_eq!(outcome(viewer, operation).await, Err(ErrorKind::Forbidden), "{operation:?}");
        assert_eq!(outcome(stranger, operation).await, Err(ErrorKind::NotFound), "{operation:?}");
    }
    for operation in OWNERS_ONLY {
        assert_eq!(outcome(stranger, operation).await, Err(ErrorKind::NotFound), "{operation:?}");
        assert_eq!(outcome(viewer, operation).await, Err(ErrorKind::Forbidden), "{operation:?}");
        assert_eq!(outcome(editor, operation).await, Err(ErrorKind::Forbidden), "{operation:?}");
        assert_eq!(outcome(owner, operation).await, Ok(()), "{operation:?}");
    }
}

async fn a_foreign_conversation_is_answered_like_an_absent_one(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, stranger, .. } = group(&store).await;
    let message =
        store.as_user(owner).messages().append(conversation.id, NewMessage::user("first")).await.unwrap();
    let absent = ConversationId::from_uuid(uuid::Uuid::from_u128(1));
    for operation in READS.into_iter().chain(WRITES).chain(OWNERS_ONLY) {
        let mut answers = Vec::new();
        for id in [conversation.id, absent] {
            let error = attempt(&store, stranger, id, message.id, owner, operation).await.unwrap_err();
            answers.push((error.kind(), error.entity(), error.to_string()));
        }
        assert_eq!(answers[0], answers[1], "{operation:?}");
    }
}

async fn an_editor_changes_only_messages_of_their_own(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, editor, .. } = group(&store).await;
    let chat = store.as_user(editor);
    let own = chat.messages().append(conversation.id, NewMessage::user("mine")).await.unwrap();
    assert_eq!(own.sender_id, Some(editor));
    let patch = MessagePatch { content: Some("still mine".to_owned()), ..MessagePatch::default() };
    let edited = chat.messages().edit(conversation.id, own.id, patch).await.unwrap();
    assert_eq!(edited.content, "still mine");
    chat.messages().delete(conversation.id, own.id).await.unwrap();
}

async fn an_append_at_a_revision_is_refused_at_another_and_to_those_who_may_not(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, editor, viewer, stranger } = group(&store).await;
    let (now, _) = store.as_user(owner).conversations().get(conversation.id).await.unwrap();
    let append = async |user, revision, role, content: &str| {
        let messages = store.as_user(user).if_revision(revision).messages();
        let appended = messages.append(conversation.id, NewMessage::new(role, content)).await;
        appended.map(|message| message.sender_id).map_err(|error| error.kind())
    };
    let (user, assistant) = (MessageRole::User, MessageRole::Assistant);
    let revision = now.revision;
    assert_eq!(append(editor, revision + 1, user, "early").await, Err(ErrorKind::PreconditionFailed));
    assert_eq!(append(editor, revision, assistant, "not mine").await, Err(ErrorKind::Forbidden));
    assert_eq!(append(viewer, revision, user, "hello").await, Err(ErrorKind::Forbidden));
    assert_eq!(append(stranger, revision, user, "hello").await, Err(ErrorKind::NotFound));
    assert_eq!(append(stranger, revision, user, "a\0b").await, Err(ErrorKind::Invalid));
    assert_eq!(append(editor, revision, user, "hello").await, Ok(Some(editor)));
    assert_eq!(append(owner, revision, user, "late").await, Err(ErrorKind::PreconditionFailed));
    assert_eq!(append(owner, revision + 1, assistant, "hello yourself").await, Ok(None));
}

async fn a_removed_member_is_a_stranger(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, editor, .. } = group(&store).await;
    store.as_user(owner).members().remove(conversation.id, editor).await.unwrap();
    let refused = store.as_user(editor).messages().append(conversation.id, NewMessage::user("late")).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn a_member_may_leave_but_not_remove_others(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, editor, viewer, .. } = group(&store).await;
    let members = store.as_user(viewer);
    let refused = members.members().remove(conversation.id, editor).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    members.members().remove(conversation.id, viewer).await.unwrap();
    let owner_cannot_leave = store.as_user(owner).members().remove(conversation.id, owner).await.unwrap_err();
    assert_eq!(owner_cannot_leave.kind(), ErrorKind::Conflict);
}

async fn an_absent_message_is_absent_for_every_member(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, editor, viewer, .. } = group(&store).await;
    let absent = MessageId::from_uuid(uuid::Uuid::from_u128(9));
    for member in [owner, editor, viewer] {
        for operation in [GetMessage, EditTheOwnersMessage, DeleteTheOwnersMessage] {
            let outcome = attempt(&store, member, conversation.id, absent, owner, operation).await;
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound, "{operation:?}");
        }
    }
}

async fn ones_own_empty_conversation_is_not_filled_from_anothers_with_the_same_id(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, viewer, .. } = group(&store).await;
    let foreign =
        store.as_user(owner).messages().append(conversation.id, NewMessage::user("foreign")).await.unwrap();
    let duplicate = NewConversation { id: Some(conversation.id), ..NewConversation::titled("Duplicate") };
    let chat = store.as_user(viewer);
    chat.conversations().create(duplicate).await.unwrap();
    let page = chat.messages().page(conversation.id, PageRequest::newest(50)).await.unwrap();
    assert_eq!(page.items, []);
    assert!(chat.messages().get(conversation.id, foreign.id).await.is_err());
    assert!(chat.messages().get_by_seq(conversation.id, 1).await.is_err());
}
