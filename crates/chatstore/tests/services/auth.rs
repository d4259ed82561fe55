//! Logging in and going on, for those who embed the store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chatstore::auth::{
    LimitKey, Limiter, LimiterFuture, LoginName, OwnKeys, Password, PasswordHash, Permission, Quota,
    TokenKeys,
};
use chatstore::operations::Maintained;
use chatstore::{ErrorKind, NewLogEvent, NewUser, Store, Timestamp, UserId, UserName};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(
    pbkdf2_hashes_of_the_five_forms_log_in_once_and_are_argon2id_afterwards,
    of_logins_at_once_with_an_older_hash_all_succeed,
    wrapped_hashes_log_in_and_are_argon2id_afterwards,
    a_hash_that_is_not_understood_logs_in_no_user_and_stays,
    no_session_of_the_former_password_survives_a_change_at_the_same_moment,
    a_successor_is_the_same_after_the_keys_were_changed,
    tokens_of_a_key_that_is_gone_are_refused_and_end_nothing,
    without_token_keys_no_login_succeeds,
    another_limiter_can_take_the_place_and_learns_no_name,
    expired_sessions_are_pruned,
    maintenance_deletes_what_servers_delete,
);

const PASSWORD: &str = "correct horse battery";

/// Hashes of [`PASSWORD`] with 100,000 iterations, by Python's `hashlib.pbkdf2_hmac("sha256", …)`: as salt and
/// digest, as Django, passlib and werkzeug write them, and in one base 64.
const PBKDF2: [&str; 5] = [
    "000102030405060708090a0b0c0d0e0f:c8d122ecdb9477cd48a6b1750c5985c0b8b05158d040d20517ccdb49865de436",
    "pbkdf2_sha256$100000$seasaltseasalt$V8nA+z2+z+ZUClLVW9cRUTBoyTu8uRFx2ySsK8glZlg=",
    "$pbkdf2-sha256$100000$AAECAwQFBgcICQoLDA0ODw$yNEi7NuUd81IprF1DFmFwLiwUVjQQNIFF8zbSYZd5DY",
    "pbkdf2:sha256:100000$SaltSaltSaltSalt$edbae8957c47a954277163aac9cae92a0774ae4bd889a5501047e9062e3f41b7",
    "AAECAwQFBgcICQoLDA0OD8jRIuzblHfNSKaxdQxZhcC4sFFY0EDSBRfM20mGXeQ2",
];

const ARGON2ID: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

async fn with_hash(store: &Store, name: &str, hash: &str) -> UserId {
    let password_hash = Some(PasswordHash::known(hash).unwrap());
    let new = NewUser { password_hash, ..NewUser::named(UserName::new(name).unwrap()) };
    store.users().create(new).await.unwrap().id
}

async fn stored(store: &Store, user: UserId) -> String {
    let found = store.read("stored", async move |tx| tx.passwords().get(user).await).await.unwrap();
    found.unwrap().1.unwrap().expose().to_owned()
}

async fn log_in(store: &Store, name: &str, password: &str) -> chatstore::Result<chatstore::auth::Tokens> {
    store.auth().login(LoginName::Username(name.to_owned()), Password::new(password)).await
}

async fn logs_in(store: &Store, name: &str, password: &str) -> bool {
    match log_in(store, name, password).await {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::InvalidCredentials => false,
        Err(error) => panic!("{error}"),
    }
}

async fn pbkdf2_hashes_of_the_five_forms_log_in_once_and_are_argon2id_afterwards(case: TestDatabase) {
    let store = store(&case).await;
    for (number, hash) in PBKDF2.into_iter().enumerate() {
        let name = format!("user{number}");
        let id = with_hash(&store, &name, hash).await;
        let before = store.users().get(id).await.unwrap();
        assert!(!logs_in(&store, &name, "another password").await, "{hash}");
        assert_eq!(stored(&store, id).await, hash);
        assert!(logs_in(&store, &name, PASSWORD).await, "{hash}");
        let upgraded = stored(&store, id).await;
        assert!(upgraded.starts_with(ARGON2ID), "{upgraded}");
        assert!(logs_in(&store, &name, PASSWORD).await && !logs_in(&store, &name, "another password").await);
        assert_eq!(stored(&store, id).await, upgraded, "once");
        assert_eq!(store.users().get(id).await.unwrap(), before, "the user is as before");
    }
}

async fn of_logins_at_once_with_an_older_hash_all_succeed(case: TestDatabase) {
    let store = store(&case).await;
    let id = with_hash(&store, "ada", PBKDF2[0]).await;
    let (one, two, three) = tokio::join!(
        logs_in(&store, "ada", PASSWORD),
        logs_in(&store, "ada", PASSWORD),
        logs_in(&store, "ada", PASSWORD)
    );
    assert_eq!([one, two, three], [true; 3]);
    assert!(stored(&store, id).await.starts_with(ARGON2ID));
    let sessions = store.read("sessions", async move |tx| tx.sessions().list(id).await).await.unwrap();
    assert_eq!(sessions.len(), 3);
}

async fn wrapped_hashes_log_in_and_are_argon2id_afterwards(case: TestDatabase) {
    let store = store(&case).await;
    let mut users = Vec::new();
    for (number, hash) in PBKDF2.into_iter().enumerate() {
        users.push(with_hash(&store, &format!("user{number}"), hash).await);
    }
    let current = user(&store, "current").await;
    store.auth().set_password(current, Password::new(PASSWORD), false).await.unwrap();
    let kept = stored(&store, current).await;

    let mut told = Vec::new();
    assert_eq!(store.auth().wrap_legacy(|count| told.push(count)).await.unwrap(), 5);
    assert_eq!(told, [1, 2, 3, 4, 5]);
    assert_eq!(store.auth().wrap_legacy(|_| {}).await.unwrap(), 0);
    assert_eq!(stored(&store, current).await, kept);
    for (number, id) in users.into_iter().enumerate() {
        let wrapped = stored(&store, id).await;
        assert!(wrapped.starts_with("$argon2id-of-pbkdf2-sha256$i=100000$"), "{wrapped}");
        let name = format!("user{number}");
        assert!(!logs_in(&store, &name, "another password").await);
        assert!(logs_in(&store, &name, PASSWORD).await);
        assert!(stored(&store, id).await.starts_with(ARGON2ID));
    }
}

async fn a_hash_that_is_not_understood_logs_in_no_user_and_stays(case: TestDatabase) {
    let store = store(&case).await;
    let hash = "$5$rounds=5000$salt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8";
    let id = with_hash(&store, "ada", hash).await;
    assert!(!logs_in(&store, "ada", PASSWORD).await);
    assert_eq!(stored(&store, id).await, hash);
}

async fn no_session_of_the_former_password_survives_a_change_at_the_same_moment(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    for round in 0..10 {
        let (former, next) = (format!("password number {round}"), format!("password number {}", round + 1));
        store.auth().set_password(ada, Password::new(former.as_str()), false).await.unwrap();
        let change = async {
            store
                .auth()
                .change_password(
                    ada,
                    Password::new(former.as_str()),
                    Password::new(next.as_str()),
                    OwnKeys::Keep,
                )
                .await
        };
        let (begun, changed) = tokio::join!(log_in(&store, "ada", &former), change);
        changed.unwrap();
        if let Ok(tokens) = begun {
            assert_eq!(store.auth().verify(&tokens.access_token).await.unwrap(), None, "{round}");
            assert!(store.auth().refresh(&tokens.refresh_token).await.is_err(), "{round}");
        }
    }
}

async fn with_keys(case: &TestDatabase, keys: &str) -> Store {
    let builder = Store::builder(case.url.as_str()).clock(case.clock.clone());
    builder.token_keys(TokenKeys::parse(keys).unwrap()).connect().await.unwrap()
}

const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const TWO: &str = "/////////////////////////////////////////+E=";

async fn a_successor_is_the_same_after_the_keys_were_changed(case: TestDatabase) {
    let (before, after) = (with_keys(&case, ONE).await, with_keys(&case, &format!("{TWO},{ONE}")).await);
    let ada = user(&before, "ada").await;
    before.auth().set_password(ada, Password::new(PASSWORD), false).await.unwrap();
    let first = log_in(&before, "ada", PASSWORD).await.unwrap();
    assert!(after.auth().verify(&first.access_token).await.unwrap().is_some());
    let second = before.auth().refresh(&first.refresh_token).await.unwrap();
    let again = after.auth().refresh(&first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    assert_eq!(before.auth().verify(&again.access_token).await.unwrap(), None, "the new key signs");
    assert!(after.auth().refresh(&second.refresh_token).await.is_ok());
}

async fn tokens_of_a_key_that_is_gone_are_refused_and_end_nothing(case: TestDatabase) {
    let (before, after) = (with_keys(&case, ONE).await, with_keys(&case, TWO).await);
    let ada = user(&before, "ada").await;
    before.auth().set_password(ada, Password::new(PASSWORD), false).await.unwrap();
    let first = log_in(&before, "ada", PASSWORD).await.unwrap();
    let second = before.auth().refresh(&first.refresh_token).await.unwrap();
    assert_eq!(after.auth().verify(&first.access_token).await.unwrap(), None);
    assert!(
        after.auth().refresh(&first.refresh_token).await.is_err(),
        "its successor cannot be made any more"
    );
    assert!(
        after.auth().refresh(&second.refresh_token).await.is_ok(),
        "what is stored does not need the key"
    );
}

async fn without_token_keys_no_login_succeeds(case: TestDatabase) {
    let store = Store::builder(case.url.as_str()).clock(case.clock.clone()).connect().await.unwrap();
    let ada = user(&store, "ada").await;
    store.auth().set_password(ada, Password::new(PASSWORD), false).await.unwrap();
    let error = log_in(&store, "ada", PASSWORD).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("token_keys"), "{error}");
    assert_eq!(store.authenticate("a.b.c").await.unwrap(), None);
}

/// Grants what it is asked for and remembers the keys.
#[derive(Debug, Default)]
struct Witness(Mutex<Vec<String>>);

impl Limiter for Witness {
    fn peek<'a>(&'a self, key: &'a LimitKey, _: Quota, _: Timestamp) -> LimiterFuture<'a, Permission> {
        self.0.lock().unwrap().push(format!("peek {}", key.as_str()));
        Box::pin(async { Permission::Granted { remaining: 1, reset_after: Duration::ZERO } })
    }

    fn take<'a>(&'a self, key: &'a LimitKey, _: Quota, _: Timestamp) -> LimiterFuture<'a, Permission> {
        self.0.lock().unwrap().push(format!("take {}", key.as_str()));
        Box::pin(async { Permission::Granted { remaining: 1, reset_after: Duration::ZERO } })
    }

    fn give_back<'a>(&'a self, key: &'a LimitKey, _: Quota) -> LimiterFuture<'a, ()> {
        self.0.lock().unwrap().push(format!("give back {}", key.as_str()));
        Box::pin(async {})
    }
}

async fn another_limiter_can_take_the_place_and_learns_no_name(case: TestDatabase) {
    let witness = Arc::new(Witness::default());
    let keys = TokenKeys::parse(ONE).unwrap();
    let builder = Store::builder(case.url.as_str()).clock(case.clock.clone()).token_keys(keys);
    let store = builder.limiter(Arc::<Witness>::clone(&witness)).connect().await.unwrap();
    let ada = user(&store, "ada lovelace").await;
    store.auth().set_password(ada, Password::new(PASSWORD), false).await.unwrap();
    let seen = || std::mem::take(&mut *witness.0.lock().unwrap());
    assert!(!logs_in(&store, "ada lovelace", "another password").await);
    let failed = seen();
    let account = format!("login:user:{ada}");
    let asked = [
        "take login:address:-".to_owned(),
        "take login:all:-".to_owned(),
        format!("take {account}:-"),
        format!("peek {account}"),
    ];
    assert_eq!(failed[..4], asked);
    assert_eq!(failed[4..], [format!("take {account}")]);
    assert!(logs_in(&store, "ADA LOVELACE", PASSWORD).await);
    let succeeded = seen();
    assert_eq!(succeeded[..4], asked, "one account, however it is spelled");
    let given_back = [format!("give back {account}:-"), "give back login:address:-".to_owned()];
    assert_eq!(succeeded[4..6], given_back);
    assert!(!logs_in(&store, "grace hopper", PASSWORD).await);
    assert!(seen().iter().all(|key| !key.contains("grace") && !key.contains("hopper")));
}

async fn maintenance_deletes_what_servers_delete(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    store.auth().set_password(ada, Password::new(PASSWORD), false).await.unwrap();
    log_in(&store, "ada", PASSWORD).await.unwrap();
    store.as_user(ada).logs().append(NewLogEvent::new("old")).await.unwrap();
    assert_eq!(store.maintain(Some(Duration::from_secs(60))).await.unwrap(), Maintained::default());

    case.clock.advance(Duration::from_secs(14 * 24 * 60 * 60));
    let kept = store.maintain(None).await.unwrap();
    assert_eq!((kept.sessions, kept.events), (2, 0), "events are kept where nothing says how long");
    let deleted = store.maintain(Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!((deleted.sessions, deleted.events), (0, 1));
}

async fn expired_sessions_are_pruned(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    store.auth().set_password(ada, Password::new(PASSWORD), false).await.unwrap();
    log_in(&store, "ada", PASSWORD).await.unwrap();
    assert_eq!(store.operations().prune_sessions().await.unwrap(), 0);
    case.clock.advance(Duration::from_secs(14 * 24 * 60 * 60));
    let alive = log_in(&store, "ada", PASSWORD).await.unwrap();
    // The session and its refresh token.
    assert_eq!(store.operations().prune_sessions().await.unwrap(), 2);
    assert!(store.auth().refresh(&alive.refresh_token).await.is_ok());
}
