//! Sessions: begun, carried on by refresh tokens that are used once, ended.

use std::time::Duration;

use chatstore_model::{
    EndReason, Limit, NewRefreshToken, NewSession, RefreshToken, Session, SessionId, SessionState, UserId,
    UserPatch, UserRole,
};
use chatstore_sql::migrate::Target;
use chatstore_sql::{Presented, Rotation, Sql, StoreError};
use chatstore_testkit::{TestDatabase, conformance};
use uuid::Uuid;

use crate::fixtures::{absent_user, arbitrary_user, arbitrary_uuid, invalid_fields, later, read, write};
use crate::migration_fixtures::lines;

conformance!(
    a_session_begins_with_one_token_and_says_whether_its_user_is_let_in,
    a_session_is_found_by_the_jti_of_its_newest_access_token,
    a_token_is_exchanged_once_and_carries_its_session_on,
    a_session_lasts_no_longer_than_its_absolute_limit,
    a_token_may_expire_before_its_session,
    a_token_shown_again_within_ten_seconds_gives_the_same_successor,
    a_token_shown_again_later_ends_its_session,
    a_token_whose_answer_was_lost_gives_the_same_successor_for_a_day,
    a_token_whose_successor_is_in_use_gives_it_again_for_ten_seconds_only,
    the_use_of_an_earlier_token_says_nothing_of_the_successor,
    a_token_whose_successor_was_used_ends_its_session_at_once,
    a_successor_that_no_present_key_made_is_refused_and_ends_nothing,
    tokens_of_one_session_are_exchanged_one_after_the_other,
    unknown_foreign_expired_and_revoked_tokens_are_refused,
    ending_a_session_takes_its_tokens_with_it_and_spares_the_others,
    ending_all_sessions_spares_those_of_others,
    disabling_a_user_ends_all_sessions,
    a_session_stored_with_the_former_word_for_revoked_is_listed_after_an_upgrade,
    sessions_that_go_on_are_listed_by_last_activity,
    the_last_activity_never_moves_back,
    what_expired_is_pruned_and_the_rest_stays,
    a_session_needs_a_user_and_texts_within_limits,
);

const IDLE: Duration = Duration::from_secs(3_600);
const ABSOLUTE: Duration = Duration::from_secs(10_000);

fn hash(session: SessionId, counter: u8) -> [u8; 32] {
    let mut hash = [counter; 32];
    hash[..16].copy_from_slice(session.uuid().as_bytes());
    hash
}

fn new_session(case: &TestDatabase) -> NewSession {
    NewSession {
        id: SessionId::from_uuid(arbitrary_uuid(case)),
        access_jti: arbitrary_uuid(case),
        user_agent: Some("curl/8".to_owned()),
        ip: Some("192.0.2.1".to_owned()),
        expires_at: case.database.clock().now().plus(IDLE),
    }
}

async fn try_begin(case: &TestDatabase, user: UserId, new: NewSession) -> Result<Session, StoreError> {
    let token = NewRefreshToken { token_hash: hash(new.id, 0), expires_at: new.expires_at };
    write(case, async move |tx| tx.sessions().begin(user, &new, &token).await).await
}

async fn begin(case: &TestDatabase, user: UserId) -> Session {
    try_begin(case, user, new_session(case)).await.unwrap()
}

fn shown(session: &Session, counter: u8) -> Presented {
    Presented {
        user_id: session.user_id,
        session_id: session.id,
        token_hash: hash(session.id, counter),
        successors: vec![hash(session.id, counter + 1)],
        access_jti: Uuid::from_u128(session.id.uuid().as_u128() ^ u128::from(counter)),
        idle: IDLE,
        absolute: ABSOLUTE,
    }
}

async fn rotate(case: &TestDatabase, presented: Presented) -> Rotation {
    write(case, async move |tx| tx.refresh_tokens().rotate(&presented).await).await.unwrap()
}

fn is_successor(rotation: &Rotation) -> bool {
    matches!(rotation, Rotation::Successor { index: 0, .. })
}

async fn tokens(case: &TestDatabase, user: UserId) -> Vec<RefreshToken> {
    read(case, async move |tx| tx.refresh_tokens().list(user).await).await
}

async fn sessions(case: &TestDatabase, user: UserId) -> Vec<Session> {
    read(case, async move |tx| tx.sessions().list(user).await).await
}

async fn state(case: &TestDatabase, session: &Session) -> Option<SessionState> {
    let (user, id) = (session.user_id, session.id);
    read(case, async move |tx| tx.sessions().state(user, id).await).await
}

async fn why_ended(case: &TestDatabase, session: &Session) -> Option<EndReason> {
    let found = sessions(case, session.user_id).await;
    found.into_iter().find(|one| one.id == session.id).and_then(|one| one.revoke_reason)
}

fn seconds(case: &TestDatabase, seconds: u64) {
    case.clock.advance(Duration::from_secs(seconds));
}

async fn a_session_begins_with_one_token_and_says_whether_its_user_is_let_in(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let now = later(&case);
    let begun = begin(&case, user).await;

    assert_eq!((begun.created_at, begun.last_activity, begun.expires_at), (now, now, now.plus(IDLE)));
    assert_eq!(sessions(&case, user).await, std::slice::from_ref(&begun));
    let [token] = tokens(&case, user).await.try_into().unwrap();
    assert_eq!((token.session_id, token.parent_id, token.counter), (begun.id, None, 0));

    let found = state(&case, &begun).await.unwrap();
    assert_eq!((found.role, found.must_change_password), (Some(UserRole::User), false));
    assert!(found.is_valid_at(now) && !found.is_valid_at(begun.expires_at));

    let disabled = UserPatch { is_active: Some(false), ..UserPatch::default() };
    write(&case, async move |tx| tx.users().update(user, &disabled).await).await.unwrap();
    assert!(!state(&case, &begun).await.unwrap().is_valid_at(now));
}

async fn a_session_is_found_by_the_jti_of_its_newest_access_token(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    let (first, second) = (begun.access_jti, shown(&begun, 0).access_jti);
    rotate(&case, shown(&begun, 0)).await;
    let find =
        async |jti| read(&case, async move |tx| tx.sessions().find_by_access_jti(user, jti).await).await;
    assert_eq!(find(first).await, None);
    assert_eq!(find(second).await.map(|session| session.id), Some(begun.id));
}

async fn a_token_is_exchanged_once_and_carries_its_session_on(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    let first_at = later(&case);
    let Rotation::Successor { user: found, index: 0, expires_at } = rotate(&case, shown(&begun, 0)).await
    else {
        panic!("the token is good")
    };
    assert_eq!((found.id, expires_at), (user, first_at.plus(IDLE)));
    let second_at = later(&case);
    assert!(is_successor(&rotate(&case, shown(&begun, 1)).await));

    let [carried_on] = sessions(&case, user).await.try_into().unwrap();
    assert_eq!((carried_on.last_activity, carried_on.expires_at), (second_at, second_at.plus(IDLE)));
    let [first, second, third] = tokens(&case, user).await.try_into().unwrap();
    assert_eq!((first.rotated_at, first.confirmed_at), (Some(first_at), Some(second_at)));
    assert_eq!(
        (second.parent_id, second.rotated_at, second.confirmed_at),
        (Some(first.id), Some(second_at), None)
    );
    assert_eq!((third.parent_id, third.counter, third.rotated_at), (Some(second.id), 2, None));
}

async fn a_session_lasts_no_longer_than_its_absolute_limit(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    for counter in 0..3 {
        seconds(&case, 3_000);
        assert!(is_successor(&rotate(&case, shown(&begun, counter)).await), "{counter}");
    }
    let end = begun.created_at.plus(ABSOLUTE);
    assert_eq!(sessions(&case, user).await[0].expires_at, end);
    seconds(&case, 1_000);
    assert_eq!(case.database.clock().now(), end);
    assert_eq!(rotate(&case, shown(&begun, 3)).await, Rotation::Refused);
}

async fn a_token_may_expire_before_its_session(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let new = new_session(&case);
    let (id, now) = (new.id, case.database.clock().now());
    let token = NewRefreshToken { token_hash: hash(id, 0), expires_at: now.plus(Duration::from_secs(60)) };
    let begun = write(&case, async move |tx| tx.sessions().begin(user, &new, &token).await).await.unwrap();
    seconds(&case, 60);
    assert_eq!(rotate(&case, shown(&begun, 0)).await, Rotation::Refused);
    assert_eq!(why_ended(&case, &begun).await, None);
}

async fn a_token_shown_again_within_ten_seconds_gives_the_same_successor(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    let first = rotate(&case, shown(&begun, 0)).await;
    seconds(&case, 10);
    assert_eq!(rotate(&case, shown(&begun, 0)).await, first);
    assert_eq!(tokens(&case, user).await.len(), 2);
    assert!(is_successor(&rotate(&case, shown(&begun, 1)).await));
}

/// As [`shown`], in a session that lasts for days.
fn shown_for_days(session: &Session, counter: u8) -> Presented {
    let days = Duration::from_secs(10 * 24 * 60 * 60);
    Presented { idle: days, absolute: days, ..shown(session, counter) }
}

async fn note_used(case: &TestDatabase, session: &Session, counter: i64) {
    let (user, id) = (session.user_id, session.id);
    write(case, async move |tx| tx.sessions().note_used(user, id, counter).await).await.unwrap();
}

async fn a_token_whose_answer_was_lost_gives_the_same_successor_for_a_day(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    let first = rotate(&case, shown_for_days(&begun, 0)).await;
    for pause in [12, 3_600, 82_788] {
        seconds(&case, pause);
        assert_eq!(rotate(&case, shown_for_days(&begun, 0)).await, first, "after {pause} s more");
    }
    assert!(is_successor(&rotate(&case, shown_for_days(&begun, 1)).await));
}

async fn a_token_whose_successor_is_in_use_gives_it_again_for_ten_seconds_only(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    let first = rotate(&case, shown_for_days(&begun, 0)).await;
    note_used(&case, &begun, 1).await;
    seconds(&case, 10);
    assert_eq!(rotate(&case, shown_for_days(&begun, 0)).await, first, "another tab");
    case.clock.advance(Duration::from_micros(1));
    assert_eq!(rotate(&case, shown_for_days(&begun, 0)).await, Rotation::Reused);
    assert_eq!(why_ended(&case, &begun).await, Some(EndReason::Reuse));
}

async fn the_use_of_an_earlier_token_says_nothing_of_the_successor(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    rotate(&case, shown_for_days(&begun, 0)).await;
    note_used(&case, &begun, 1).await;
    let second = rotate(&case, shown_for_days(&begun, 1)).await;
    note_used(&case, &begun, 0).await;
    assert_eq!(state(&case, &begun).await.unwrap().used_counter, Some(1), "it never moves back");
    seconds(&case, 60);
    assert_eq!(rotate(&case, shown_for_days(&begun, 1)).await, second);
}

async fn a_token_shown_again_later_ends_its_session(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let (begun, other) = (begin(&case, user).await, begin(&case, user).await);
    rotate(&case, shown_for_days(&begun, 0)).await;
    rotate(&case, shown_for_days(&other, 0)).await;
    case.clock.advance(Duration::from_micros(86_400_000_001));
    assert_eq!(rotate(&case, shown_for_days(&begun, 0)).await, Rotation::Reused);
    assert_eq!(why_ended(&case, &begun).await, Some(EndReason::Reuse));
    assert!(!state(&case, &begun).await.unwrap().is_valid_at(begun.created_at));
    assert_eq!(rotate(&case, shown(&begun, 1)).await, Rotation::Refused, "its holder is out too");
    assert!(is_successor(&rotate(&case, shown(&other, 1)).await), "another session goes on");
}

async fn a_token_whose_successor_was_used_ends_its_session_at_once(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    rotate(&case, shown(&begun, 0)).await;
    rotate(&case, shown(&begun, 1)).await;
    assert_eq!(rotate(&case, shown(&begun, 0)).await, Rotation::Reused);
    assert_eq!(rotate(&case, shown(&begun, 2)).await, Rotation::Refused);
}

async fn a_successor_that_no_present_key_made_is_refused_and_ends_nothing(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    rotate(&case, shown(&begun, 0)).await;
    let other_key = Presented { successors: vec![[9; 32]], ..shown(&begun, 0) };
    assert_eq!(rotate(&case, other_key).await, Rotation::Refused);
    let both_keys = Presented { successors: vec![[9; 32], hash(begun.id, 1)], ..shown(&begun, 0) };
    let found = rotate(&case, both_keys).await;
    assert!(matches!(found, Rotation::Successor { index: 1, .. }), "{found:?}");
}

async fn tokens_of_one_session_are_exchanged_one_after_the_other(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    let mut tabs = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (database, presented) = (case.database.clone(), shown(&begun, 0));
        tabs.spawn(async move {
            database.write("tab", async move |tx| tx.refresh_tokens().rotate(&presented).await).await
        });
    }
    let rotations = tabs.join_all().await;
    assert!(rotations.iter().all(|rotation| is_successor(rotation.as_ref().unwrap())), "{rotations:?}");
    assert_eq!(tokens(&case, user).await.len(), 2);
}

async fn unknown_foreign_expired_and_revoked_tokens_are_refused(case: TestDatabase) {
    let (user, stranger) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let (begun, other) = (begin(&case, user).await, begin(&case, user).await);
    for presented in [
        Presented { token_hash: [7; 32], ..shown(&begun, 0) },
        Presented { user_id: stranger, ..shown(&begun, 0) },
        Presented { session_id: other.id, ..shown(&begun, 0) },
        Presented { session_id: SessionId::from_uuid(Uuid::nil()), ..shown(&begun, 0) },
    ] {
        assert_eq!(rotate(&case, presented.clone()).await, Rotation::Refused, "{presented:?}");
    }
    assert_eq!(why_ended(&case, &begun).await, None);
    let (id, reason) = (other.id, EndReason::Logout);
    write(&case, async move |tx| tx.sessions().end(user, id, reason).await).await.unwrap();
    assert_eq!(rotate(&case, shown(&other, 0)).await, Rotation::Refused);
    seconds(&case, 3_600);
    assert_eq!(rotate(&case, shown(&begun, 0)).await, Rotation::Refused);
    assert_eq!(why_ended(&case, &begun).await, None, "what expired was not stolen");
}

async fn ending_a_session_takes_its_tokens_with_it_and_spares_the_others(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let (one, other) = (begin(&case, user).await, begin(&case, user).await);
    let now = later(&case);
    let end =
        async |id| write(&case, async move |tx| tx.sessions().end(user, id, EndReason::Revoked).await).await;
    end(one.id).await.unwrap();
    assert!(matches!(end(one.id).await, Err(StoreError::NotFound { entity: "session" })));
    assert!(matches!(end(SessionId::from_uuid(Uuid::nil())).await, Err(StoreError::NotFound { .. })));

    let ended: Vec<_> =
        tokens(&case, user).await.iter().map(|token| (token.session_id, token.revoked_at)).collect();
    assert_eq!(ended.len(), 2);
    assert!(ended.contains(&(one.id, Some(now))) && ended.contains(&(other.id, None)), "{ended:?}");
    assert_eq!(why_ended(&case, &one).await, Some(EndReason::Revoked));
    assert_eq!(why_ended(&case, &other).await, None);
}

async fn ending_all_sessions_spares_those_of_others(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let (one, two, spared) = (begin(&case, user).await, begin(&case, user).await, begin(&case, other).await);
    let end_all = async || {
        write(&case, async move |tx| tx.sessions().end_all(user, EndReason::LogoutAll).await).await.unwrap()
    };
    assert_eq!((end_all().await, end_all().await), (2, 0));
    for session in [&one, &two] {
        assert_eq!(rotate(&case, shown(session, 0)).await, Rotation::Refused);
    }
    assert!(is_successor(&rotate(&case, shown(&spared, 0)).await));
}

async fn disabling_a_user_ends_all_sessions(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    for is_active in [false, true] {
        let patch = UserPatch { is_active: Some(is_active), ..UserPatch::default() };
        write(&case, async move |tx| tx.users().update(user, &patch).await).await.unwrap();
    }
    assert_eq!(why_ended(&case, &begun).await, Some(EndReason::Disabled));
    assert_eq!(rotate(&case, shown(&begun, 0)).await, Rotation::Refused, "also when enabled again");
}

async fn a_session_stored_with_the_former_word_for_revoked_is_listed_after_an_upgrade(case: TestDatabase) {
    const REASONS: Sql = Sql::same("test.reasons", "select revoke_reason from sessions order by 1");
    const FORMER: Sql = Sql::same(
        "test.former",
        "update sessions set revoke_reason = 'withdrawn' where revoke_reason = 'revoked'",
    );
    let user = arbitrary_user(&case).await;
    let (revoked, logged_out) = (begin(&case, user).await, begin(&case, user).await);
    for (id, reason) in [(revoked.id, EndReason::Revoked), (logged_out.id, EndReason::Logout)] {
        write(&case, async move |tx| tx.sessions().end(user, id, reason).await).await.unwrap();
    }
    let migrations = case.database.migrations().unwrap();
    let before = Target::Revision("d0cbfdbade11".to_owned());

    migrations.downgrade(before, true, |_| {}).await.unwrap();
    write(&case, async |tx| tx.execute(&FORMER, &[]).await).await.unwrap();
    assert_eq!(lines(&case.database, REASONS).await, ["logout", "withdrawn"]);
    migrations.upgrade(Target::Heads, |_| {}).await.unwrap();

    assert_eq!(why_ended(&case, &revoked).await, Some(EndReason::Revoked));
    assert_eq!(why_ended(&case, &logged_out).await, Some(EndReason::Logout));
}

async fn sessions_that_go_on_are_listed_by_last_activity(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let mut begun = Vec::new();
    for _ in 0..5 {
        later(&case);
        begun.push(begin(&case, user).await);
    }
    begin(&case, other).await;
    let (used, ended) = (begun[1].id, begun[2].id);
    let now = later(&case);
    write(&case, async move |tx| {
        tx.sessions().touch(user, used, now).await?;
        tx.sessions().end(user, ended, EndReason::Logout).await
    })
    .await
    .unwrap();

    let limit = Limit::new(3).unwrap();
    let first = read(&case, async move |tx| tx.sessions().page(user, None, limit).await).await;
    let from = first.next;
    let second = read(&case, async move |tx| tx.sessions().page(user, from, limit).await).await;
    let listed: Vec<SessionId> = first.items.iter().chain(&second.items).map(|session| session.id).collect();
    assert_eq!(listed, [used, begun[4].id, begun[3].id, begun[0].id]);
    assert_eq!(second.next, None);
    seconds(&case, 3_600);
    let expired = read(&case, async move |tx| tx.sessions().page(user, None, limit).await).await;
    assert_eq!(expired.items, []);
}

async fn the_last_activity_never_moves_back(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let begun = begin(&case, user).await;
    let now = later(&case);
    for at in [now, begun.created_at] {
        let id = begun.id;
        write(&case, async move |tx| tx.sessions().touch(user, id, at).await).await.unwrap();
    }
    assert_eq!(state(&case, &begun).await.unwrap().last_activity, now);
}

async fn what_expired_is_pruned_and_the_rest_stays(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let expired = begin(&case, user).await;
    seconds(&case, 1_800);
    let alive = begin(&case, user).await;
    rotate(&case, shown(&alive, 0)).await;
    seconds(&case, 1_800);
    rotate(&case, shown(&alive, 1)).await;
    let now = later(&case);

    let prune = async || {
        write(&case, async move |tx| {
            Ok((tx.sessions().prune(now, 100).await?, tx.refresh_tokens().prune(now, 100).await?))
        })
        .await
        .unwrap()
    };
    assert_eq!((prune().await, prune().await), ((1, 0), (0, 0)));
    assert_eq!(state(&case, &expired).await, None);
    assert_eq!(tokens(&case, user).await.len(), 3);

    seconds(&case, 1_800);
    let now = case.database.clock().now();
    let pruned = write(&case, async move |tx| tx.refresh_tokens().prune(now, 100).await).await.unwrap();
    assert_eq!(pruned, 2, "tokens that were exchanged long ago");
    assert!(is_successor(&rotate(&case, shown(&alive, 2)).await));
}

async fn a_session_needs_a_user_and_texts_within_limits(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let refused = try_begin(&case, absent_user(&case), new_session(&case)).await;
    assert!(matches!(refused, Err(StoreError::MissingReference { .. })), "{refused:?}");
    let long = NewSession { user_agent: Some("x".repeat(513)), ..new_session(&case) };
    assert_eq!(invalid_fields(try_begin(&case, user, long).await), ["user_agent"]);
    let nul = NewSession { ip: Some("\0".to_owned()), ..new_session(&case) };
    assert_eq!(invalid_fields(try_begin(&case, user, nul).await), ["ip"]);
    assert_eq!(sessions(&case, user).await, []);
}
