//! Parts of imported messages come back byte for byte.

use chatstore::{MessageFilter, MessageRange, Store, Timestamp, UserId};
use chatstore_import::jsonl::{Jsonl, OnError};
use chatstore_import::{ImportOptions, import};
use chatstore_testkit::{JsonGenerator, TestDatabase, conformance};

conformance!(imported_parts_come_back_byte_for_byte);

async fn imported_parts_come_back_byte_for_byte(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let mut generator = JsonGenerator::seeded(18);
    let mut parts: Vec<String> = (0..10_000).map(|_| generator.parts()).collect();
    parts.push(format!(r#"[{{"image": "data:image/png;base64,{}"}}]"#, "iVBORw0KGgo".repeat(1 << 19)));
    let turns: Vec<String> = parts
        .iter()
        .map(|parts| format!(r#"{{"role": "tool", "content": "x", "parts": {parts}}}"#))
        .collect();
    let line = format!(r#"{{"id": "long", "turns": [{}]}}"#, turns.join(",")).replace('\n', " ");
    assert!(line.len() > 5 << 20);
    let source = Jsonl { input: line.as_bytes(), size: 0, owner: UserId::ANONYMOUS, on_error: OnError::Stop };
    let base_time = Timestamp::from_microseconds(1_772_366_400_000_000).unwrap();
    let report =
        import(source, &store, ImportOptions { base_time, dry_run: false, restore_deleted: false }, |_| {})
            .await
            .unwrap();
    assert_eq!(report.table("messages").added, 10_001);

    let chat = store.as_user(UserId::ANONYMOUS);
    let conversation = chat.conversations().get_by_thread("long").await.unwrap().id;
    let mut stored: Vec<String> = Vec::new();
    while stored.len() < parts.len() {
        let after = i64::try_from(stored.len()).unwrap();
        let filter = MessageFilter::from(MessageRange { after, before: after + 201 });
        let page = chat.messages().newest(conversation, filter, 200).await.unwrap();
        assert!(!page.items.is_empty());
        stored.extend(page.items.iter().map(|message| message.parts.as_ref().unwrap().to_string()));
    }
    // A line of a file holds no line feeds: those between the tokens became blanks.
    let sent: Vec<String> = parts.iter().map(|parts| parts.replace('\n', " ")).collect();
    assert_eq!(stored, sent);
}
