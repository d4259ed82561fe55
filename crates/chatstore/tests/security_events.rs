//! What the log says about who got in.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on fails")]

mod log;

use chatstore::auth::{Actor, Credential, LoginName, OwnKeys, Password, TokenKeys};
use chatstore::{
    ApiKeyScope, Change, Email, MemberRole, NewConversation, NewUser, Store, UserName, UserPatch, UserRole,
};

use log::Log;

const NAME: &str = "planted\u{1b}[31m name";
const PASSWORD: &str = "planted secret horse";
const OTHER: &str = "planted other horse";

/// The events in the lines, each of which must be one of ours and hold nothing that was planted.
fn events(lines: &[String]) -> Vec<String> {
    let event = |line: &String| {
        assert!(line.contains("chatstore::security") && !line.contains("planted"), "{line}");
        let (_, rest) = line.split_once("event=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    lines.iter().map(event).collect()
}

// One test, because the log of another one beside it would be in this one's.
#[tokio::test]
async fn security_events_are_logged_once_each_without_secrets_and_without_texts_of_users() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let _collecting = tracing::subscriber::set_default(subscriber);
    let (keys, _) = TokenKeys::generate(|bytes| bytes.fill(7));
    let store = Store::builder("sqlite://:memory:").token_keys(keys).connect().await.unwrap();
    store.migrate().await.unwrap();
    let auth = || store.auth();
    let name = || LoginName::Username("planted name".to_owned());
    log.take();

    let new = NewUser::named(UserName::new("planted name").unwrap());
    let user = auth().register(new, Password::new(PASSWORD)).await.unwrap().id;
    assert_eq!(events(&log.take()), ["user_registered"]);

    let forged = format!("{NAME}\nINFO chatstore::security: event=\"login_succeeded\"");
    auth().login(LoginName::Username(forged), Password::new(PASSWORD)).await.unwrap_err();
    auth().login(name(), Password::new(OTHER)).await.unwrap_err();
    assert_eq!(events(&log.take()), ["login_failed", "login_failed"]);

    let tokens = auth().login(name(), Password::new(PASSWORD)).await.unwrap();
    let lines = log.take();
    assert_eq!(events(&lines), ["login_succeeded"]);
    assert!(lines[0].contains(&user.to_string()) && lines[0].contains(&tokens.session_id.to_string()));

    let next = auth().refresh(&tokens.refresh_token).await.unwrap();
    auth().refresh(&next.refresh_token).await.unwrap();
    assert_eq!(log.take(), Vec::<String>::new(), "going on is no event");
    auth().refresh(&tokens.refresh_token).await.unwrap_err();
    let lines = log.take();
    assert_eq!(events(&lines), ["refresh_token_reused"]);
    assert!(lines[0].contains("WARN"), "{lines:?}");

    let tokens = auth().login(name(), Password::new(PASSWORD)).await.unwrap();
    auth().logout(user, tokens.session_id).await.unwrap();
    auth().logout_all(user, OwnKeys::Keep).await.unwrap();
    assert_eq!(events(&log.take()), ["login_succeeded", "logged_out", "logged_out_everywhere"]);

    auth()
        .change_password(user, Password::new(OTHER), Password::new("planted third horse"), OwnKeys::Keep)
        .await
        .unwrap_err();
    auth()
        .change_password(user, Password::new(PASSWORD), Password::new(OTHER), OwnKeys::Revoke)
        .await
        .unwrap();
    auth().set_password(user, Password::new(PASSWORD), false).await.unwrap();
    assert_eq!(
        events(&log.take()),
        ["password_change_failed", "password_changed", "keys_revoked", "password_set"]
    );

    let member = store.users().create(NewUser::named(UserName::new("planted other").unwrap())).await.unwrap();
    let lines = log.take();
    assert_eq!(events(&lines), ["user_created"]);
    let chat = store.as_user(user);
    let conversation =
        chat.conversations().create(NewConversation::titled("planted title")).await.unwrap().id;
    chat.members().put(conversation, member.id, MemberRole::Viewer).await.unwrap();
    chat.members().put(conversation, member.id, MemberRole::Editor).await.unwrap();
    chat.members().remove(conversation, member.id).await.unwrap();
    let lines = log.take();
    assert_eq!(events(&lines), ["member_added", "member_changed", "member_removed"]);
    for part in [format!("user.id={}", member.id), format!("conversation.id={conversation}")] {
        assert!(lines.iter().all(|line| line.contains(&part)), "{part}: {lines:?}");
    }
    let key =
        store.keys().create(user, ApiKeyScope::User, Some("planted".to_owned()), None).await.unwrap().key.id;
    store.keys().revoke(user, key).await.unwrap();
    let lines = log.take();
    assert_eq!(events(&lines), ["key_created", "key_revoked"]);
    assert!(lines.iter().all(|line| line.contains(&format!("key.id={key}"))), "{lines:?}");
    let mut export = chat.export();
    while export.next().await.unwrap().is_some() {}
    assert_eq!(events(&log.take()), ["user_exported"]);

    let named = UserPatch {
        username: Change::Set(UserName::new("planted again").unwrap()),
        email: Change::Set(Email::new("planted@example.org").unwrap()),
        is_active: Some(true),
        full_name: Change::Set("planted person".to_owned()),
        ..UserPatch::default()
    };
    let by_admin = Actor {
        user_id: Some(member.id),
        credential: Some(Credential::Key { id: key, scope: ApiKeyScope::Service }),
        acting_for: Some(user),
    };
    by_admin.run(async { store.users().update(user, named).await.unwrap() }).await;
    let lines = log.take();
    assert_eq!(events(&lines), ["user_enabled", "user_renamed", "address_changed"]);
    for part in [
        "outcome=\"done\"".to_owned(),
        format!("actor.user.id={}", member.id),
        format!("actor.key.id={key}"),
        format!("actor.acting_for={user}"),
        format!(" user.id={user}"),
    ] {
        assert!(lines.iter().all(|line| line.contains(&part)), "{part}: {lines:?}");
    }
    let changed: Vec<bool> = ["is_active", "username", "email"]
        .iter()
        .zip(&lines)
        .map(|(field, line)| line.contains(&format!("changed=\"{field}\"")))
        .collect();
    assert_eq!(changed, [true; 3], "{lines:?}");
    let unnamed =
        UserPatch { username: Change::Set(UserName::new("planted name").unwrap()), ..UserPatch::default() };
    store.users().update(user, unnamed).await.unwrap();
    log.take();

    let role = UserPatch { role: Some(UserRole::User), ..UserPatch::default() };
    store.users().update(user, role).await.unwrap();
    let disabled = UserPatch { is_active: Some(false), ..UserPatch::default() };
    store.users().update(user, disabled).await.unwrap();
    store.users().erase(user).await.unwrap();
    assert_eq!(events(&log.take()), ["role_changed", "user_disabled", "user_erased"]);

    for _ in 0..10 {
        auth().login(name(), Password::new(PASSWORD)).await.unwrap_err();
    }
    log.take();
    auth().login(name(), Password::new(PASSWORD)).await.unwrap_err();
    assert_eq!(events(&log.take()), ["login_limited"]);
}
