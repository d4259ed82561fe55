//! Values come back from the database as they went in.

use chatstore_model::{
    CanonicalJson, ConversationSort, Limit, MessagePatch, NewConversation, NewMessage, NewUser, Order,
    Timestamp, UserFilter,
};
use chatstore_sql::{ConversationList, Sql, Value, Via};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    append, arbitrary_owner, arbitrary_user, conversation_row, create_conversation, create_user, messages,
    name, read, say, write,
};

conformance!(
    json_comes_back_equal,
    json_of_great_depth_comes_back_equal,
    texts_come_back_equal,
    times_come_back_equal_from_one_end_of_the_range_to_the_other,
    conversations_at_the_ends_of_the_range_of_times_are_listed,
    users_at_the_ends_of_the_range_of_times_are_listed,
    every_type_of_value_comes_back_from_an_applications_own_query,
    a_column_of_another_type_is_refused_by_name,
);

const NUMBERS: &str = "[0, -0.0, 1, -1, 1.0, 0.1, 0.30000000000000004, 1e-7, 1.5e300, -1.7976931348623157e308, \
    5e-324, 2.2250738585072014e-308, 1e15, 1e16, 1e17, 123456789012345678, 9007199254740991, 9007199254740993, \
    9223372036854775807, -9223372036854775808, 9223372036854775808, 18446744073709551615, 1.8446744073709552e19, \
    1e19, 9.3e18, 1.8446744073709550e19, 1e20, 1e21, 1e22, 1e23, 123456.789e3, 4.35, 0.000001, 1e-6, 9.999999999999998e19, 3.141592653589793]";

const TEXTS: &str = r#"["", " ", "\"", "\\", "/", "\b\f\n\r\t", "\u0001\u001f\u007f\u0080", "null", "{}", "e\u0301", "é",
    "知乎", "😀", "👩‍👩‍👧‍👦", "\ufffe\uffff\ufdd0", "\ud83d\ude00", "\u2028\u2029", "\u202e", "a'b\"c`d", "$1 ? :a @b", "%_\\"]"#;

const SHAPES: &str = r#"{"": null, " ": [], "a.b": {}, "A": true, "a": false, "é": [[[]]], "知": {"": {"": ""}}, "$": 1, "0": 0,
    "same": [{"k": 1}, {"k": 1}], "long key long key long key long key long key long key": [null, null]}"#;

async fn json_comes_back_equal(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for (text, parts) in [
        (format!(r#"{{"v": {NUMBERS}}}"#), format!("[{{\"v\": {NUMBERS}}}]")),
        (format!(r#"{{"v": {TEXTS}}}"#), format!("[{{\"v\": {TEXTS}}}]")),
        (SHAPES.to_owned(), format!("[{SHAPES}, {{}}, {SHAPES}]")),
        ("{}".to_owned(), "[]".to_owned()),
    ] {
        let metadata = CanonicalJson::parse(&text).unwrap();
        let used_documents = CanonicalJson::parse(&parts).unwrap();
        let new = NewMessage {
            used_documents: used_documents.clone(),
            metadata: metadata.clone(),
            ..NewMessage::user("json")
        };
        let appended = append(&case, Via::Owner(owner), conversation, new).await.unwrap();
        let stored = messages(&case, owner, conversation).await.pop().unwrap();
        assert_eq!(stored, appended);
        assert_eq!(stored.metadata.to_string(), metadata.to_string(), "also as text");
        let new = NewConversation { metadata: metadata.clone(), ..NewConversation::default() };
        let created = create_conversation(&case, owner, new).await.unwrap();
        assert_eq!(crate::fixtures::conversation_row(&case, owner, created.id).await.metadata, metadata);
        let patch = MessagePatch {
            used_documents: Some(used_documents),
            metadata: Some(metadata.clone()),
            ..MessagePatch::default()
        };
        let id = appended.id;
        let edit = write(&case, async move |tx| tx.messages().edit(owner, conversation, id, &patch).await);
        assert_eq!(edit.await.unwrap().metadata, metadata);
    }
}

async fn json_of_great_depth_comes_back_equal(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let depth = 126;
    let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for value in [lists, objects] {
        let metadata = CanonicalJson::parse(&format!(r#"{{"v":{value}}}"#)).unwrap();
        let new = NewMessage { metadata, ..NewMessage::user("deep") };
        let appended = append(&case, Via::Owner(owner), conversation, new).await.unwrap();
        assert_eq!(messages(&case, owner, conversation).await.pop(), Some(appended));
    }
}

async fn texts_come_back_equal(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let texts = CanonicalJson::parse(TEXTS).unwrap();
    let mut appended = Vec::new();
    for text in texts.to_value().as_array().unwrap() {
        let text = text.as_str().unwrap();
        appended.push(say(&case, owner, conversation, text).await);
        assert_eq!(conversation_row(&case, owner, conversation).await.last_message.as_deref(), Some(text));
    }
    assert_eq!(messages(&case, owner, conversation).await, appended);
}

fn times() -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = [
        "0000-01-01T00:00:00.000001Z",
        "0001-01-01T00:00:00Z",
        "1582-10-10T12:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:00:00Z",
        "2000-01-01T00:00:00.000001Z",
        "2024-02-29T23:59:60Z",
        "9999-12-30T21:59:59.999999Z",
    ]
    .map(|text| text.parse().unwrap())
    .to_vec();
    times.insert(0, Timestamp::MIN);
    times.push(Timestamp::MAX);
    times
}

async fn times_come_back_equal_from_one_end_of_the_range_to_the_other(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for at in times() {
        let new = NewMessage { created_at: Some(at), ..NewMessage::user("then") };
        let appended = append(&case, Via::Owner(owner), conversation, new).await.unwrap();
        assert_eq!(appended.created_at, at);
        assert_eq!(messages(&case, owner, conversation).await.pop(), Some(appended));
        assert_eq!(conversation_row(&case, owner, conversation).await.last_message_at, Some(at));
        case.clock.set(at);
        let created = create_conversation(&case, owner, NewConversation::default()).await.unwrap();
        assert_eq!((created.created_at, created.updated_at), (at, at));
        assert_eq!(conversation_row(&case, owner, created.id).await, created);
    }
}

async fn conversations_at_the_ends_of_the_range_of_times_are_listed(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    for at in times() {
        let new = NewConversation { created_at: Some(at), ..NewConversation::default() };
        create_conversation(&case, owner, new).await.unwrap();
    }
    for sort in [ConversationSort::Creation, ConversationSort::Activity] {
        for limit in [1, 5, 12] {
            let mut expected = times();
            for order in [Order::Ascending, Order::Descending] {
                let limit = Limit::new(limit).unwrap();
                let mut list = ConversationList { sort, order, limit, ..ConversationList::default() };
                let mut found = Vec::new();
                loop {
                    let of_page = list.clone();
                    let page =
                        read(&case, async move |tx| tx.conversations().page(owner, &of_page).await).await;
                    found.extend(page.items.iter().map(|(conversation, _)| conversation.created_at));
                    assert!(found.len() <= 100, "the list has no end");
                    list.from = page.next;
                    if list.from.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected, "{sort:?} {order:?} {limit:?}");
                expected.reverse();
            }
        }
    }
}

async fn users_at_the_ends_of_the_range_of_times_are_listed(case: TestDatabase) {
    let mut expected = Vec::new();
    for (number, at) in times().into_iter().enumerate() {
        case.clock.set(at);
        expected.push(create_user(&case, NewUser::named(name(&format!("user {number}")))).await.unwrap());
    }
    let page = read(&case, async |tx| {
        tx.users().page(UserFilter::default(), Order::Ascending, None, Limit::MAX).await
    })
    .await;
    assert_eq!(page.items, expected);
    expected.reverse();
    let page = read(&case, async |tx| {
        tx.users().page(UserFilter::default(), Order::Descending, None, Limit::MAX).await
    })
    .await;
    assert_eq!(page.items, expected);
}

async fn every_type_of_value_comes_back_from_an_applications_own_query(case: TestDatabase) {
    const CREATE: Sql = Sql::pair(
        "test.create",
        "create table own (id blob, name text, flag integer, number integer, ratio real, bytes blob, data text, \
         at integer) strict",
        "create table own (id uuid, name text, flag boolean, number bigint, ratio double precision, bytes bytea, \
         data jsonb, at timestamptz)",
    );
    const INSERT: Sql = Sql::same("test.insert", "insert into own values ($1, $2, $3, $4, $5, $6, $7, $8)");
    const SELECT: Sql =
        Sql::same("test.select", "select id, name, flag, number, ratio, bytes, data, at from own");
    type Own = (uuid::Uuid, String, bool, i64, f64, Vec<u8>, CanonicalJson, Timestamp);
    let json = CanonicalJson::parse(r#"{"a": [1.5]}"#).unwrap();
    let id = uuid::Uuid::from_u128(7);
    let expected: Own =
        (id, "é".to_owned(), true, i64::MIN, -0.1, vec![0, 255], json.clone(), Timestamp::MIN);

    let stored: Vec<Own> = write(&case, async move |tx| {
        tx.execute(&CREATE, &[]).await?;
        let values: [Value<'_>; 8] = [
            id.into(),
            "é".into(),
            true.into(),
            i64::MIN.into(),
            (-0.1).into(),
            [0_u8, 255].as_slice().into(),
            (&json).into(),
            Timestamp::MIN.into(),
        ];
        assert_eq!(tx.execute(&INSERT, &values).await?, 1);
        let read = |row: &chatstore_sql::Row<'_>| {
            let (id, name, flag, number) = (row.next()?, row.next()?, row.next()?, row.next()?);
            let (ratio, bytes) = (row.next()?, row.next::<chatstore_sql::Bytes<'_>>()?);
            Ok((id, name, flag, number, ratio, bytes.0.to_vec(), row.next()?, row.next()?))
        };
        tx.query(&SELECT, &[], read).await
    })
    .await
    .unwrap();
    assert_eq!(stored, [expected]);

    let nulls = write(&case, async |tx| {
        tx.execute(&INSERT, &std::array::from_fn::<Value<'_>, 8, _>(|_| Value::Null)).await?;
        let read = |row: &chatstore_sql::Row<'_>| {
            let id: Option<uuid::Uuid> = row.next()?;
            let (name, flag, number, ratio): (Option<String>, Option<bool>, Option<i64>, Option<f64>) =
                (row.next()?, row.next()?, row.next()?, row.next()?);
            let bytes: Option<chatstore_sql::Bytes<'_>> = row.next()?;
            let (data, at): (Option<CanonicalJson>, Option<Timestamp>) = (row.next()?, row.next()?);
            let nothing =
                (id, name, flag, number, ratio, data, at) == (None, None, None, None, None, None, None);
            Ok(nothing && bytes.is_none())
        };
        tx.query(&SELECT, &[], read).await
    });
    assert_eq!(nulls.await.unwrap(), [false, true]);
}

async fn a_column_of_another_type_is_refused_by_name(case: TestDatabase) {
    const NAMES: Sql = Sql::same("test.names", "select username from users");
    let number = case.database.read("names", async |tx| tx.query(&NAMES, &[], |row| row.next::<i64>()).await);
    let message = number.await.unwrap_err().to_string();
    assert!(message.contains("test.names: column username: "), "{message}");
    let absent = case.database.read("names", async |tx| {
        tx.query(&NAMES, &[], |row| row.next::<String>().and_then(|_| row.next::<String>())).await
    });
    let message = absent.await.unwrap_err().to_string();
    assert!(message.contains("test.names: column ?: "), "{message}");
}
