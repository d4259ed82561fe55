use std::collections::BTreeSet;

use chatstore_model::{ApiKeyScope, Keyword, LogLevel, MemberRole, MessageRole, UserRole};
use chatstore_sql::schema::TABLES;

/// The words that a check allows in a column.
fn words(check: &str) -> BTreeSet<&'static str> {
    let condition = TABLES.iter().flat_map(|table| table.checks).find(|found| found.name == check);
    let condition = condition.expect("the check exists").condition;
    let (_, list) = condition.split_once(" in (").expect("the check is a list of words");
    list.trim_end_matches(')').split(", ").map(|word| word.trim_matches('\'')).collect()
}

fn words_of<K: Keyword>() -> BTreeSet<&'static str> {
    K::ALL.iter().map(|value| value.as_str()).collect()
}

#[test]
fn the_databases_allow_exactly_the_words_of_the_model() {
    assert_eq!(words("ck_users_role"), words_of::<UserRole>());
    assert_eq!(words("ck_conversation_members_role"), words_of::<MemberRole>());
    assert_eq!(words("ck_messages_role"), words_of::<MessageRole>());
    assert_eq!(words("ck_api_keys_scope"), words_of::<ApiKeyScope>());
    assert_eq!(words("ck_logs_level"), words_of::<LogLevel>());
}

#[test]
fn every_list_of_words_in_a_check_is_held_against_the_model() {
    let lists =
        TABLES.iter().flat_map(|table| table.checks).filter(|check| check.condition.contains(" in ('"));
    assert_eq!(lists.count(), 5, "a new list of words belongs into the test above");
}
