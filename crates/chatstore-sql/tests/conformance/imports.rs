//! What imports rely on: ids and times that rows bring, what is there already, responses that come later.

use std::collections::BTreeSet;

use chatstore_model::{
    CanonicalJson, Conversation, ConversationId, Day, Limit, MessageId, MessageRange, ModelResponse,
    NewConversation, NewMessage, NewUser, Order, PasswordHash, Timestamp, UserId, VerbatimJson,
};
use chatstore_sql::{Completion, ImportedResponse, ImportedRows, Value, Via};
use chatstore_testkit::{TestDatabase, conformance};
use uuid::Uuid;

use crate::fixtures::{
    absent_message, append, arbitrary_conversation, arbitrary_owner, arbitrary_uuid, conversation_row,
    create_conversation, create_user, email, failure, name, read, reply, reply_of, say, write,
};

conformance!(
    a_user_keeps_the_id_the_times_and_the_hash_it_is_made_with,
    a_taken_id_of_a_user_is_named,
    a_conversation_keeps_the_time_of_its_last_change_until_a_later_one,
    messages_that_are_there_are_found_with_their_numbers_and_responses,
    numbers_that_no_message_has_any_more_are_missing_in_the_count,
    responses_that_come_later_are_booked_on_their_own_days,
    a_second_response_of_a_message_is_refused_whole,
    many_imported_messages_are_stored_as_each_alone_would_be,
    many_imported_messages_of_which_one_has_a_taken_id_are_refused_whole,
    a_conversation_imported_with_its_messages_is_as_one_that_grew,
    an_imported_conversation_whose_id_is_taken_is_refused,
    a_piece_that_does_not_follow_what_is_imported_is_refused,
    many_conversations_are_found_by_owner_and_by_id_or_thread,
);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn imported(id: UserId) -> NewUser {
    NewUser {
        id: Some(id),
        email: Some(email("ada@example.org")),
        password_hash: PasswordHash::known("$2b$12$abc"),
        created_at: Some(at("2024-01-01T00:00:00Z")),
        updated_at: Some(at("2024-02-01T00:00:00Z")),
        ..NewUser::named(name("Ada"))
    }
}

async fn a_user_keeps_the_id_the_times_and_the_hash_it_is_made_with(case: TestDatabase) {
    let id = UserId::from_uuid(arbitrary_uuid(&case));
    let created = create_user(&case, imported(id)).await.unwrap();
    assert_eq!(created.id, id);
    assert_eq!(created.created_at, at("2024-01-01T00:00:00Z"));
    assert_eq!(created.updated_at, at("2024-02-01T00:00:00Z"));
    assert_eq!(read(&case, async move |tx| tx.users().get(id).await).await, Some(created));
    const HASH: chatstore_sql::Sql =
        chatstore_sql::Sql::same("tests.hash", "select password_hash from users where id = $1");
    let hashes: Vec<String> =
        read(&case, async move |tx| tx.query(&HASH, &[Value::from(id)], |row| row.next()).await).await;
    assert_eq!(hashes, ["$2b$12$abc"]);
}

async fn a_taken_id_of_a_user_is_named(case: TestDatabase) {
    let id = UserId::from_uuid(arbitrary_uuid(&case));
    create_user(&case, imported(id)).await.unwrap();
    let duplicate = NewUser { username: Some(name("Ben")), email: None, ..imported(id) };
    assert_eq!(failure(create_user(&case, duplicate).await), "already exists: user.id");
    assert_eq!(failure(create_user(&case, imported(id)).await), "already exists: user.username");
}

async fn a_conversation_keeps_the_time_of_its_last_change_until_a_later_one(case: TestDatabase) {
    let (owner, _) = arbitrary_owner(&case).await;
    let changed = at("2024-02-01T00:00:00Z");
    let new = NewConversation {
        created_at: Some(at("2024-01-01T00:00:00Z")),
        updated_at: Some(changed),
        ..NewConversation::default()
    };
    let created = create_conversation(&case, owner, new).await.unwrap();
    assert_eq!(created.updated_at, changed);
    for (time, updated_at) in
        [("2024-01-15T00:00:00Z", changed), ("2024-03-01T00:00:00Z", at("2024-03-01T00:00:00Z"))]
    {
        let message = NewMessage { created_at: Some(at(time)), ..NewMessage::user("hello") };
        append(&case, Via::Owner(owner), created.id, message).await.unwrap();
        let id = created.id;
        let found = read(&case, async move |tx| tx.conversations().get(Via::Owner(owner), id).await).await;
        assert_eq!(found.unwrap().0.updated_at, updated_at, "{time}");
    }
}

async fn messages_that_are_there_are_found_with_their_numbers_and_responses(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let metadata = CanonicalJson::parse(r#"{"source": {"id": 7}}"#).unwrap();
    let new = NewMessage { metadata: metadata.clone(), ..NewMessage::user("asked") };
    let asked = append(&case, Via::Owner(owner), conversation, new).await.unwrap();
    let elsewhere = arbitrary_conversation(&case, owner).await;
    let answered = reply(&case, owner, elsewhere, reply_of("small", 1, 2)).await.unwrap().message;
    let (stranger, foreign) = arbitrary_owner(&case).await;
    let anothers = say(&case, stranger, foreign, "mine").await;
    let ids = vec![asked.id, absent_message(&case), answered.id, anothers.id];
    let mut found = read(&case, async move |tx| tx.messages().find_present(owner, &ids).await).await;
    found.sort_by_key(|found| found.id != asked.id);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].id, found[0].conversation_id, found[0].seq), (asked.id, conversation, 1));
    assert_eq!((&found[0].metadata, found[0].has_response), (&metadata, false));
    assert_eq!((found[1].id, found[1].conversation_id, found[1].seq), (answered.id, elsewhere, 1));
    assert!(found[1].has_response);
    let nothing = read(&case, async move |tx| tx.messages().find_present(owner, &[]).await).await;
    assert_eq!(nothing, []);
}

async fn numbers_that_no_message_has_any_more_are_missing_in_the_count(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let mut said = Vec::new();
    for text in ["one", "two", "three", "four"] {
        said.push(say(&case, owner, conversation, text).await.id);
    }
    let second = said[1];
    write(&case, async move |tx| tx.messages().delete(owner, conversation, second).await).await.unwrap();
    for (after, before, count) in [(0, 5, 3), (1, 3, 0), (1, 4, 1), (4, 5, 0)] {
        let range = MessageRange { after, before };
        let counted =
            read(&case, async move |tx| tx.messages().count_between(owner, conversation, range).await).await;
        assert_eq!(counted, count, "{after} to {before}");
    }
}

fn response(
    message: MessageId,
    conversation: chatstore_model::ConversationId,
    time: &str,
    model: &str,
) -> ModelResponse {
    ModelResponse {
        message_id: message,
        conversation_id: conversation,
        model_used: model.to_owned(),
        tokens_prompt: Some(10),
        tokens_completion: None,
        tokens_total: Some(12),
        tokens_cached: None,
        completion_time_ms: Some(5),
        finish_reason: None,
        from_cache: false,
        created_at: at(time),
    }
}

fn added(owner: UserId, responses: &[ModelResponse]) -> Vec<ImportedResponse> {
    let added = |response: &ModelResponse| {
        let response = response.clone();
        ImportedResponse { owner, response, names_model: true }
    };
    responses.iter().map(added).collect()
}

async fn responses_that_come_later_are_booked_on_their_own_days(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let mut responses = Vec::new();
    for (time, model) in [
        ("2024-01-01T10:00:00Z", "small"),
        ("2024-01-01T11:00:00Z", "small"),
        ("2024-01-01T12:00:00Z", "large"),
        ("2024-01-02T10:00:00Z", "small"),
    ] {
        let message =
            append(&case, Via::Owner(owner), conversation, NewMessage::assistant("so")).await.unwrap();
        responses.push(response(message.id, conversation, time, model));
    }
    for part in responses.chunks(3) {
        let part = added(owner, part);
        write(&case, async move |tx| tx.messages().attach_responses(&part).await).await.unwrap();
    }
    let (from, to) = (Day::of(at("2024-01-01T00:00:00Z")), Day::of(at("2024-01-31T00:00:00Z")));
    let usage = read(&case, async move |tx| tx.usage().between(owner, from, to).await).await;
    let booked: Vec<_> = usage
        .iter()
        .map(|row| {
            (row.day.to_string(), row.model.as_str(), row.requests, row.tokens_prompt, row.tokens_total)
        })
        .collect();
    assert_eq!(
        booked,
        [
            ("2024-01-01".to_owned(), "large", 1, 10, 12),
            ("2024-01-01".to_owned(), "small", 2, 20, 24),
            ("2024-01-02".to_owned(), "small", 1, 10, 12)
        ]
    );
    let id = responses[3].message_id;
    let stored = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
    assert_eq!(stored.as_ref(), Some(&responses[3]));
}

async fn a_second_response_of_a_message_is_refused_whole(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let answered = reply(&case, owner, conversation, reply_of("small", 1, 2)).await.unwrap().message;
    let open = append(&case, Via::Owner(owner), conversation, NewMessage::assistant("so")).await.unwrap();
    let both = [
        response(open.id, conversation, "2024-01-01T10:00:00Z", "small"),
        response(answered.id, conversation, "2024-01-01T10:00:00Z", "small"),
    ];
    let both = added(owner, &both);
    let refused = write(&case, async move |tx| tx.messages().attach_responses(&both).await).await;
    assert_eq!(failure(refused), "already exists: response.message_id");
    let id = open.id;
    let none = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
    assert_eq!(none, None);
}

/// Messages of every kind of value, more than are inserted one by one.
fn many() -> Vec<NewMessage> {
    let plain = |number: usize| NewMessage {
        created_at: Some(at("2024-01-01T00:00:00.000001Z")),
        ..NewMessage::user(format!("message {number} é\n\t\\ \u{1f600}"))
    };
    let full = |number: usize| NewMessage {
        parts: Some(VerbatimJson::parse(r#"[{"b":1,  "a": 1.10, "n": "\u0000"}]"#).unwrap()),
        format: Some("langchain/1".to_owned()),
        external_id: Some(format!("m{number}")),
        model: Some("large".to_owned()),
        token_count: Some(i64::MAX >> 11),
        used_documents: CanonicalJson::parse(r#"["a", {"id": 7}]"#).unwrap(),
        metadata: CanonicalJson::parse(r#"{"x": [1.5, null, "é"]}"#).unwrap(),
        ..NewMessage::assistant("")
    };
    (0..150).map(|number| if number % 2 == 0 { plain(number) } else { full(number) }).collect()
}

async fn many_imported_messages_are_stored_as_each_alone_would_be(case: TestDatabase) {
    let (owner, one) = arbitrary_owner(&case).await;
    let other = create_conversation(&case, owner, NewConversation::thread("other")).await.unwrap().id;
    let new = many();
    let expected = new.clone();
    write(&case, async move |tx| {
        let mut rows = ImportedRows::default();
        for conversation in [one, other] {
            tx.imports().messages(&mut rows, owner, conversation, &[], &new[..]).await?;
        }
        tx.imports().store(&rows).await
    })
    .await
    .unwrap();
    let third = create_conversation(&case, owner, NewConversation::thread("third")).await.unwrap().id;
    for message in &expected {
        append(&case, Via::Owner(owner), third, message.clone()).await.unwrap();
    }
    let stored = async |conversation| {
        let range = MessageRange { after: 0, before: i64::MAX };
        let page = read(&case, async move |tx| {
            tx.messages().page(Via::Owner(owner), conversation, range, Order::Ascending, Limit::MAX).await
        });
        let messages = page.await.items.into_iter();
        let kept = messages.map(|message| {
            (
                (
                    message.seq,
                    message.role,
                    message.content,
                    message.parts,
                    message.format,
                    message.external_id,
                ),
                (message.model, message.token_count, message.used_documents, message.metadata),
            )
        });
        kept.collect::<Vec<_>>()
    };
    let alone = stored(third).await;
    assert_eq!(alone.len(), 150);
    assert_eq!(stored(one).await, alone);
    assert_eq!(stored(other).await, alone);
}

async fn many_imported_messages_of_which_one_has_a_taken_id_are_refused_whole(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let taken = say(&case, owner, conversation, "hello").await.id;
    let mut new = many();
    new.push(NewMessage { id: Some(taken), ..NewMessage::user("again") });
    let refused = write(&case, async move |tx| {
        let mut rows = ImportedRows::default();
        tx.imports().messages(&mut rows, owner, conversation, &[], &new[..]).await?;
        tx.imports().store(&rows).await
    });
    assert_eq!(failure(refused.await), "already exists: message.id");
    let left = read(&case, async move |tx| {
        let range = MessageRange { after: 0, before: i64::MAX };
        tx.messages().count_between(owner, conversation, range).await
    });
    assert_eq!(left.await, 1);
}

fn dated(thread: &str) -> NewConversation {
    NewConversation {
        title: Some("Ünïcode \\ \t".to_owned()),
        default_model: Some("large".to_owned()),
        last_message: Some("set".to_owned()),
        metadata: CanonicalJson::parse(r#"{"x": [1.5, null, "é"]}"#).unwrap(),
        created_at: Some(at("0001-01-01T00:00:00.000001Z")),
        updated_at: Some(at("2024-02-01T00:00:00Z")),
        ..NewConversation::thread(thread)
    }
}

async fn a_conversation_imported_with_its_messages_is_as_one_that_grew(case: TestDatabase) {
    let (owner, _) = arbitrary_owner(&case).await;
    let said = |time: &str| NewMessage { created_at: Some(at(time)), ..NewMessage::user("é".repeat(300)) };
    for times in
        [&[][..], &["2023-01-01T00:00:00Z"], &["2023-01-01T00:00:00Z", "2025-01-01T00:00:00.000001Z"]]
    {
        let (imported, grown) = (format!("imported {}", times.len()), format!("grown {}", times.len()));
        let messages: Vec<NewMessage> = times.iter().map(|time| said(time)).collect();
        let (new, other) = (dated(&imported), dated(&grown));
        let stored = write(&case, async move |tx| {
            let mut rows = ImportedRows::default();
            let new =
                NewConversation { id: Some(ConversationId::from_uuid(Uuid::from_u128(7))), ..new.clone() };
            tx.imports().conversation(&mut rows, owner, &new)?;
            tx.imports().messages(&mut rows, owner, new.id.unwrap(), &[], &messages[..]).await?;
            tx.imports().store(&rows).await?;
            let stored = tx.conversations().find_by_thread(owner, new.thread_id.as_deref().unwrap()).await?;
            tx.conversations().delete(owner, new.id.unwrap()).await?;
            let created = tx.conversations().create(owner, &other).await?.id;
            tx.messages().append_many(owner, created, &[], &messages[..]).await?;
            Ok((
                stored.unwrap(),
                tx.conversations().find_by_thread(owner, other.thread_id.as_deref().unwrap()).await?,
            ))
        });
        let (stored, grown) = stored.await.unwrap();
        let grown = grown.unwrap();
        assert_eq!(stored.last_seq, i64::try_from(times.len()).unwrap());
        let expected = Conversation { id: stored.id, thread_id: stored.thread_id.clone(), ..grown };
        assert_eq!(stored, expected);
    }
}

async fn an_imported_conversation_whose_id_is_taken_is_refused(case: TestDatabase) {
    let (owner, taken) = arbitrary_owner(&case).await;
    for new in
        [NewConversation { id: Some(taken), ..NewConversation::default() }, NewConversation::thread("taken")]
    {
        if new.id.is_none() {
            create_conversation(&case, owner, new.clone()).await.unwrap();
        }
        let field = if new.id.is_some() { "id" } else { "thread_id" };
        let refused = write(&case, async move |tx| {
            let mut rows = ImportedRows::default();
            tx.imports().conversation(&mut rows, owner, &new)?;
            tx.imports().store(&rows).await
        });
        assert_eq!(failure(refused.await), format!("already exists: conversation.{field}"));
    }
}

async fn a_piece_that_does_not_follow_what_is_imported_is_refused(case: TestDatabase) {
    let (owner, _) = arbitrary_owner(&case).await;
    let id = ConversationId::from_uuid(arbitrary_uuid(&case));
    let piece = [NewMessage::user("one"), NewMessage::user("two")];
    let others = piece.clone();
    let refused = write(&case, async move |tx| {
        let mut rows = ImportedRows::default();
        tx.imports().conversation(
            &mut rows,
            owner,
            &NewConversation { id: Some(id), ..NewConversation::default() },
        )?;
        tx.imports().piece(&mut rows, owner, id, 1, &others, Some(Completion::default())).await
    });
    assert!(failure(refused.await).contains("changed while it was imported"));
    for (after, completes) in [(0, false), (2, true)] {
        let piece = piece.clone();
        let end = completes.then(Completion::default);
        write(&case, async move |tx| {
            let mut rows = ImportedRows::default();
            if after == 0 {
                let new = NewConversation { id: Some(id), ..NewConversation::default() };
                tx.imports().conversation(&mut rows, owner, &new)?;
            }
            tx.imports().piece(&mut rows, owner, id, after, &piece, end).await?;
            tx.imports().store(&rows).await
        })
        .await
        .unwrap();
        let stored = conversation_row(&case, owner, id).await;
        let revision = if completes { 2 } else { 1 };
        assert_eq!(
            (stored.last_seq, stored.message_count, stored.revision),
            (after + 2, after + 2, revision)
        );
    }
}

async fn many_conversations_are_found_by_owner_and_by_id_or_thread(case: TestDatabase) {
    let (ada, of_ada) = arbitrary_owner(&case).await;
    let (grace, of_grace) = arbitrary_owner(&case).await;
    let thread = create_conversation(&case, grace, NewConversation::thread("tréad")).await.unwrap().id;
    let wanted = [(ada, of_ada), (grace, of_grace), (ada, of_grace), (grace, thread)];
    let found = read(&case, async move |tx| tx.conversations().find_many(&wanted).await).await;
    let places: BTreeSet<_> = found.iter().map(|found| (found.owner_id, found.id)).collect();
    assert_eq!(places, BTreeSet::from([(ada, of_ada), (grace, of_grace), (grace, thread)]));
    let row = conversation_row(&case, ada, of_ada).await;
    assert!(found.contains(&row), "{found:?}");
    let wanted =
        [(ada, "tréad"), (grace, "tréad"), (grace, "none")].map(|(owner, id)| (owner, id.to_owned()));
    let found = read(&case, async move |tx| tx.conversations().find_threads(&wanted).await).await;
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [thread]);
    let nothing = read(&case, async move |tx| tx.conversations().find_many(&[]).await).await;
    assert_eq!(nothing, []);
}
