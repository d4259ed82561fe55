//! Which model counts for a message, and that every way to read it says the same.

use chatstore_model::{
    Change, ConversationPatch, Limit, MessagePatch, MessageRange, MessageRole, NewMessage, NewReply, Order,
    VerbatimJson,
};
use chatstore_sql::Via;
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{SERVER_MODEL, append, arbitrary_owner, messages, read, reply, write};

conformance!(
    the_nearest_choice_of_a_model_counts,
    every_way_to_read_a_message_says_the_same_model,
    a_page_that_begins_with_an_answer_looks_for_the_question,
    an_edited_message_counts_with_its_new_model,
);

fn asked(model: Option<&str>) -> NewMessage {
    NewMessage { model: model.map(str::to_owned), ..NewMessage::user("question") }
}

async fn the_nearest_choice_of_a_model_counts(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let by = Via::Owner(owner);
    let question = append(&case, by, conversation, asked(None)).await.unwrap();
    assert_eq!(question.effective_model, SERVER_MODEL);

    let patch =
        ConversationPatch { default_model: Change::Set("usual".to_owned()), ..ConversationPatch::default() };
    write(&case, async move |tx| tx.conversations().update(owner, conversation, &patch).await).await.unwrap();
    let question = append(&case, by, conversation, asked(None)).await.unwrap();
    assert_eq!(question.effective_model, "usual");

    let question = append(&case, by, conversation, asked(Some("asked"))).await.unwrap();
    assert_eq!(question.effective_model, "asked");
    let tool = append(&case, by, conversation, NewMessage::new(MessageRole::Tool, "42")).await.unwrap();
    assert_eq!(tool.effective_model, "usual", "only an answer follows the question");
    let answer = append(&case, by, conversation, NewMessage::assistant("answer")).await.unwrap();
    assert_eq!(answer.effective_model, "asked");
    let parts = Some(VerbatimJson::parse(r#"[{"type":"text","text":"answer"}]"#).unwrap());
    let answer = NewMessage { parts, ..NewMessage::assistant("answer") };
    assert_eq!(append(&case, by, conversation, answer).await.unwrap().effective_model, "asked");
    let own = NewMessage { model: Some("own".to_owned()), ..NewMessage::assistant("answer") };
    assert_eq!(append(&case, by, conversation, own).await.unwrap().effective_model, "own");
}

async fn every_way_to_read_a_message_says_the_same_model(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let mut written = Vec::new();
    for model in [None, Some("first"), None, Some("second")] {
        written.push(append(&case, Via::Owner(owner), conversation, asked(model)).await.unwrap());
        for model_used in [None, Some("used".to_owned())] {
            let mut new = NewReply::new("answer");
            new.response.model_used = model_used;
            written.push(reply(&case, owner, conversation, new).await.unwrap().message);
        }
        let batch =
            vec![NewMessage::assistant("one more"), asked(model), NewMessage::assistant("and another")];
        let appended = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            tx.messages().append_many(owner, conversation, &[], &batch).await
        };
        written.extend(write(&case, appended).await.unwrap());
    }
    assert_eq!(messages(&case, owner, conversation).await, written);
    for message in &written {
        let (id, seq) = (message.id, message.seq);
        let by = Via::Owner(owner);
        let found = read(&case, async move |tx| tx.messages().get(by, conversation, id).await).await;
        assert_eq!(found.as_ref(), Some(message));
        let found = read(&case, async move |tx| tx.messages().find_by_seq(by, conversation, seq).await).await;
        assert_eq!(found.as_ref(), Some(message));
    }
}

async fn a_page_that_begins_with_an_answer_looks_for_the_question(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    append(&case, Via::Owner(owner), conversation, asked(Some("asked"))).await.unwrap();
    for _ in 0..3 {
        append(&case, Via::Owner(owner), conversation, NewMessage::assistant("answer")).await.unwrap();
    }
    let limit = Limit::new(2).unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let range = MessageRange { after: 1, before: i64::MAX };
        let page = read(&case, async move |tx| {
            tx.messages().page(Via::Owner(owner), conversation, range, order, limit).await
        })
        .await;
        let models: Vec<&str> = page.items.iter().map(|message| message.effective_model.as_str()).collect();
        assert_eq!(models, ["asked", "asked"], "{order:?}");
    }
}

async fn an_edited_message_counts_with_its_new_model(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let question = append(&case, Via::Owner(owner), conversation, asked(Some("asked"))).await.unwrap();
    let answer = append(&case, Via::Owner(owner), conversation, NewMessage::assistant("a")).await.unwrap();
    for (id, model, expected) in [
        (answer.id, Change::Set("own".to_owned()), "own"),
        (answer.id, Change::Clear, "asked"),
        (question.id, Change::Clear, SERVER_MODEL),
    ] {
        let patch = MessagePatch { model, ..MessagePatch::default() };
        let edited = write(&case, async move |tx| tx.messages().edit(owner, conversation, id, &patch).await);
        assert_eq!(edited.await.unwrap().effective_model, expected);
    }
}
