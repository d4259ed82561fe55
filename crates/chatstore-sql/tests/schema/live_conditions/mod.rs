//! Every statement leaves out what is being deleted: a conversation with a mark, a user with a mark, and all that is
//! theirs.

mod scope;

use std::collections::BTreeSet;

use chatstore_sql::schema::TABLES;
use chatstore_sql::{Sql, statements};

use scope::{Scope, Use, scopes};

/// Statements without these conditions, each with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("conversations.is_newest_message", "runs after bump_for_change, which found the live row and locks it"),
    ("conversations.move_head", "as write_preview"),
    ("conversations.write_preview", "as is_newest_message; the sender of the one message is looked at"),
    ("copies.complete", "takes the mark of a copy away; source and owner are looked at"),
    ("copies.count_of_range", "a number of messages of a conversation whose row was read live"),
    ("copies.give_up", "changes the mark of a copy that no reader finds"),
    ("copies.has_message", "a message of a copy that no reader finds"),
    (
        "copies.messages",
        "from a conversation that was found live and locked into a copy that no reader finds",
    ),
    (
        "copies.next_messages",
        "numbers of a conversation that was found live and locked; says of each whether its sender is live",
    ),
    ("copies.renew", "as give_up; the owner is looked at"),
    ("copies.responses", "as copies.messages"),
    ("idempotency_keys.forget_expired", "deletes what expired, before the same key is recorded anew"),
    (
        "idempotency_keys.forget_with_messages",
        "keys of a conversation that the transaction found live and locks",
    ),
    ("idempotency_keys.prune", "deletes what expired, whose ever it is"),
    ("logs.count_before", "counts what prune deletes"),
    ("logs.prune", "deletes what is old, whose ever it is"),
    (
        "messages.append_own",
        "the newest question is one of the conversation that the same statement found live; its sender is looked at",
    ),
    (
        "messages.reparent",
        "moves what followed deleted messages of a conversation that was found live and locked",
    ),
    ("messages.all_below", "numbers below messages that were read from the live conversation"),
    ("messages.append_shared", "as append_own"),
    ("messages.asked_between", "as newest_user_model, of a path"),
    ("messages.children", "as reparent"),
    ("messages.count_of_run", "numbers of a conversation that was found live and locked"),
    ("messages.first_placed", "a number of a conversation whose row was read live"),
    ("messages.nearest_below", "as count_of_run, or as first_placed"),
    ("messages.newest_below", "as count_of_run; the message was found live by seq_of"),
    (
        "messages.newest_user_model",
        "the question to an answer that was read from the live conversation; its sender is looked at",
    ),
    ("messages.newest_user_models", "as newest_user_model, of several answers"),
    ("messages.next_of", "what it joins is looked at; only numbers come from elsewhere"),
    ("messages.nth_of_run", "as count_of_run"),
    ("messages.parents", "numbers of messages that were read from the live conversation"),
    ("messages.runs", "numbers alone: what is read of a path is looked at by the statements of pages"),
    ("messages.subtree", "as newest_below"),
    ("refresh_tokens.carry_on", "changes the session that lock_session found live and locks"),
    ("refresh_tokens.confirm", "as carry_on: a token of this session"),
    ("refresh_tokens.mark_rotated", "as carry_on: a token of this session"),
    ("refresh_tokens.prune", "deletes what expired, whose ever it is"),
    ("refresh_tokens.revoke", "tokens of a session that sessions.end found live"),
    ("refresh_tokens.revoke_all", "revokes what can no longer be used"),
    ("sessions.prune", "deletes what expired, whose ever it is"),
    ("statistics.counts", "counts what is being deleted in order to subtract it"),
    ("replies.record", "as usage.book"),
    ("usage.book", "usage of an owner whose conversation was found live"),
    ("users.delete_sent", "deletes what a user sent who is erased in this transaction"),
    ("users.sent_elsewhere", "as delete_sent"),
];

/// Those of the deletion itself.
const DELETIONS: &str = "deletions.";

/// Columns that hold the id of a user whose mark counts for the row.
fn user_columns(table: &str) -> &'static [&'static str] {
    match table {
        "documents" | "usage_daily" => &["owner_id"],
        "api_keys" | "sessions" | "refresh_tokens" | "identities" | "conversation_members" | "logs" => {
            &["user_id"]
        }
        "idempotency_keys" => &["owner_id", "caller_id"],
        _ => &[],
    }
}

/// Columns that may hold the id of a user whose mark counts for the row.
fn optional_user_columns(table: &str) -> &'static [&'static str] {
    match table {
        "messages" => &["sender_id"],
        "logs" => &["actor_id", "acting_for_id"],
        _ => &[],
    }
}

fn is_of_conversation(table: &str) -> bool {
    matches!(table, "messages" | "responses" | "conversation_members")
}

/// Whether it is the condition that a user is not being deleted, and of which one.
fn live_user(scope: &Scope, condition: &str) -> Option<String> {
    let [inner] = scope.inner_of(condition.strip_prefix("not exists ")?)? else { return None };
    let id = inner.text.strip_prefix("select 1 from users gone where gone.id = ")?;
    id.strip_suffix(" and gone.deleted_at is not null").map(str::to_owned)
}

/// Whether it is the condition that there is a live conversation, and with which owner and id.
fn live_conversation(scope: &Scope, condition: &str) -> Option<(String, String)> {
    let [inner] = scope.inner_of(condition.strip_prefix("exists ")?)? else { return None };
    let rest = inner.text.strip_prefix("select 1 from conversations live where live.owner_id = ")?;
    let (owner, rest) = rest.split_once(" and live.id = ")?;
    Some((owner.to_owned(), rest.strip_suffix(" and live.deleted_at is null")?.to_owned()))
}

/// What a scope leaves out.
struct Live {
    users: Vec<String>,
    conversations: Vec<(String, String)>,
}

impl Live {
    fn of(scope: &Scope) -> Self {
        let conditions = scope.conditions();
        let users = conditions.iter().filter_map(|condition| live_user(scope, condition)).collect();
        let conversations =
            conditions.iter().filter_map(|condition| live_conversation(scope, condition)).collect();
        Self { users, conversations }
    }
}

/// What is missing in a scope and those inside of it. `outer` are the conditions around it.
fn missing(scope: &Scope, outer: &[&Live], found: &mut Vec<String>) {
    let live = Live::of(scope);
    for used in scope.uses() {
        if let Some(reason) = lacks(scope, &live, outer, &used) {
            found.push(format!("{}: {reason} in: {}", used.table, scope.text));
        }
    }
    let mut around = outer.to_vec();
    around.push(&live);
    let is_condition = |number: usize| {
        let value = format!("exists (#{number})");
        scope.conditions().iter().any(|condition| {
            condition.ends_with(&value)
                && (live_user(scope, condition).is_some() || live_conversation(scope, condition).is_some())
        }) || is_live_sender_condition(scope, number)
            || is_live_conversation_of_key(scope, number)
    };
    for (number, inner) in scope.inner.iter().enumerate() {
        if !is_condition(number) {
            inner.iter().for_each(|part| missing(part, &around, found));
        }
    }
}

/// Whether the query inside is that of `(conversation_id is null or exists (…))`.
fn is_live_conversation_of_key(scope: &Scope, number: usize) -> bool {
    let value = format!(" is null or exists (#{number}))");
    scope.conditions().iter().any(|condition| {
        let Some(conversation) = condition.strip_prefix('(').and_then(|rest| rest.strip_suffix(&value))
        else {
            return false;
        };
        live_conversation(scope, &format!("exists (#{number})")).is_some_and(|(_, id)| id == conversation)
    })
}

/// Whether the query inside is that of `(sender_id is null or not exists (…))`.
fn is_live_sender_condition(scope: &Scope, number: usize) -> bool {
    let value = format!(" is null or not exists (#{number}))");
    scope.conditions().iter().any(|condition| {
        let Some(sender) = condition.strip_prefix('(').and_then(|rest| rest.strip_suffix(&value)) else {
            return false;
        };
        live_user(scope, &format!("not exists (#{number})")).as_deref() == Some(sender)
    })
}

/// What a use of a table lacks.
fn lacks(scope: &Scope, live: &Live, outer: &[&Live], used: &Use) -> Option<&'static str> {
    let is_unmarked = scope.conditions().contains(&format!("{}deleted_at is null", used.prefix).as_str());
    match used.table.as_str() {
        "users" => (!is_unmarked).then_some("a user may be marked"),
        "conversations" => {
            let is_in_live = is_of_live_conversation(scope, live, outer, used, "id");
            if is_in_live || (is_unmarked && is_of_live_user(scope, live, outer, used, "owner_id")) {
                return None;
            }
            Some("conversation or owner may be marked")
        }
        table => {
            if is_of_conversation(table)
                && !is_of_live_conversation(scope, live, outer, used, "conversation_id")
            {
                return Some("conversation or owner may be marked");
            }
            let mut optional = optional_user_columns(table).iter();
            if optional.any(|column| !is_of_live_sender(scope, live, outer, used, column)) {
                return Some("a user who may be there may be marked");
            }
            let columns = user_columns(table).iter();
            let mut lacking = columns.filter(|column| !is_of_live_user(scope, live, outer, used, column));
            lacking.next().map(|_| "the user may be marked")
        }
    }
}

fn is_of_live_sender(scope: &Scope, live: &Live, outer: &[&Live], used: &Use, column: &str) -> bool {
    (0..scope.inner.len()).any(|number| {
        let condition = format!("({} is null or not exists (#{number}))", used.column(column));
        is_live_sender_condition(scope, number) && scope.conditions().contains(&condition.as_str())
    }) || is_of_live_user(scope, live, outer, used, column)
}

/// Whether the user in this column is looked at: by the condition here or around, or by a join with users that are.
fn is_of_live_user(scope: &Scope, live: &Live, outer: &[&Live], used: &Use, column: &str) -> bool {
    let equal = scope.equals(&used.column(column));
    let mut live_users = live.users.iter().chain(outer.iter().flat_map(|live| &live.users));
    if live_users.any(|user| equal.contains(user)) {
        return true;
    }
    let is_joined = |user: &Use| {
        let is_unmarked = format!("{}deleted_at is null", user.prefix);
        equal.contains(&user.column("id")) && scope.conditions().contains(&is_unmarked.as_str())
    };
    scope.uses().iter().any(|user| user.table == "users" && is_joined(user))
}

/// Whether the conversation of a row is looked at: by the condition here or around, by a join with conversations that
/// are, by way of messages that are, or because its owner comes from a query that looks.
fn is_of_live_conversation(scope: &Scope, live: &Live, outer: &[&Live], used: &Use, id: &str) -> bool {
    let (owners, ids) = (scope.equals(&used.column("owner_id")), scope.equals(&used.column(id)));
    let has = |live: &Live| {
        live.conversations
            .iter()
            .any(|(owner, id)| owners.contains(owner) && ids.contains(id) && live.users.contains(owner))
    };
    if has(live) || outer.iter().any(|live| has(live)) {
        return true;
    }
    if owners.iter().filter_map(|owner| scope.inner_of(owner)).any(|inner| inner.iter().all(chooses_live)) {
        return true;
    }
    scope.uses().iter().filter(|other| *other != used).any(|other| {
        match (used.table.as_str(), other.table.as_str()) {
            ("conversations", _) => false,
            (_, "conversations") => {
                owners.contains(&other.column("owner_id")) && ids.contains(&other.column("id"))
            }
            ("responses", "messages") => {
                let by_message = scope.equals(&used.column("message_id"));
                owners.contains(&other.column("owner_id")) && by_message.contains(&other.column("id"))
            }
            _ => false,
        }
    })
}

/// Whether a query that gives an owner looks at the conversation.
fn chooses_live(scope: &Scope) -> bool {
    !Live::of(scope).conversations.is_empty()
        || scope.inner.iter().any(|inner| !inner.is_empty() && inner.iter().all(chooses_live))
}

fn lacking(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( select", "(select");
    let mut found = Vec::new();
    scopes(&text).iter().for_each(|scope| missing(scope, &[], &mut found));
    found
}

#[test]
fn every_statement_leaves_out_what_is_being_deleted() {
    let (mut without, mut reasons): (BTreeSet<&str>, Vec<String>) = (BTreeSet::new(), Vec::new());
    for statement in statements().iter().filter(|statement| !statement.name().starts_with(DELETIONS)) {
        for text in [statement.sqlite(), statement.postgres()] {
            let found = lacking(text);
            if !found.is_empty() {
                without.insert(statement.name());
                reasons.extend(found.into_iter().map(|reason| format!("{}: {reason}", statement.name())));
            }
        }
    }
    let expected: BTreeSet<&str> = EXCEPTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(without, expected, "{}", reasons.join("\n"));
}

#[test]
fn the_rule_knows_every_table() {
    for table in TABLES {
        let is_known = matches!(table.name, "users" | "conversations")
            || is_of_conversation(table.name)
            || !user_columns(table.name).is_empty();
        assert!(is_known, "{}: whose mark counts for its rows?", table.name);
    }
    let listed: Vec<Sql> = statements().into_iter().filter(|sql| sql.name().starts_with(DELETIONS)).collect();
    assert!(listed.len() > 10);
}

const USER: &str = "not exists (select 1 from users gone where gone.id = $1 and gone.deleted_at is not null)";
const CONVERSATION: &str = "exists (select 1 from conversations live where live.owner_id = $1 and live.id = $2 and live.deleted_at is null)";
const SENDER: &str = "(sender_id is null or not exists (select 1 from users gone where gone.id = sender_id \
    and gone.deleted_at is not null))";

#[test]
fn the_rule_accepts_what_leaves_everything_out() {
    for text in [
        "select id from users where id = $1 and deleted_at is null".to_owned(),
        format!(
            "select id from conversations c where c.owner_id = $1 and c.deleted_at is null and {USER} limit $2"
        ),
        format!("update conversations set title = $2 where owner_id = $1 and deleted_at is null and {USER}"),
        format!("delete from api_keys where user_id = $1 and {USER}"),
        "select 1 from api_keys k join users u on u.id = k.user_id where k.id = $1 and u.deleted_at is null"
            .to_owned(),
        format!(
            "select seq, (select title from conversations where owner_id = $1 and id = $2) from messages \
             where owner_id = $1 and conversation_id = $2 and {CONVERSATION} and {USER} and {SENDER} order by seq"
        ),
    ] {
        assert_eq!(lacking(&text), [""; 0], "{text}");
    }
}

#[test]
fn the_rule_finds_what_leaves_something_out() {
    for text in [
        "select id from users where id = $1".to_owned(),
        "select id from users where id = $1 and deleted_at is not null".to_owned(),
        "select id from users where id = $1 and exists (select 1 from users where deleted_at is null)"
            .to_owned(),
        "select id from conversations where owner_id = $1 and deleted_at is null".to_owned(),
        format!("select id from conversations where owner_id = $1 and {USER}"),
        format!("select id from conversations where owner_id = $2 and deleted_at is null and {USER}"),
        format!("select id from conversations where owner_id = $1 and deleted_at is null and not {USER}"),
        "delete from api_keys where user_id = $1".to_owned(),
        "select 1 from api_keys k join users u on u.id = k.user_id where k.id = $1".to_owned(),
        format!(
            "select seq from messages where owner_id = $1 and conversation_id = $2 and {CONVERSATION} and {SENDER}"
        ),
        format!(
            "select seq from messages where owner_id = $1 and conversation_id = $2 and {CONVERSATION} and {USER}"
        ),
        format!(
            "select seq from messages where owner_id = $1 and conversation_id = $3 and {CONVERSATION} and {USER} and {SENDER}"
        ),
        format!(
            "select seq from messages where owner_id = $1 and conversation_id = $2 and not {CONVERSATION} and {USER} and {SENDER}"
        ),
        format!(
            "select 1 from conversations where owner_id = $1 and deleted_at is null and {USER} union all select 1 from users"
        ),
        format!("select event from logs where user_id = $1 and {USER}"),
        format!("select 1 where exists (select 1 from usage_daily where owner_id = $2) and {USER}"),
    ] {
        assert_ne!(lacking(&text), [""; 0], "{text}");
    }
}
