//! Who a token's person is in a store, on both databases.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use chatstore::auth::{Credential, LoginName, OwnKeys, Password, Principal, TokenKeys};
use chatstore::{
    Builder, Error, ErrorKind, IdentityName, NewUser, Store, User, UserFilter, UserId, UserName, UserPatch,
    UserRole,
};
use chatstore_oidc::{ProviderOptions, Providers};
use chatstore_testkit::provider::{Behavior, SigningKey, TestProvider};
use chatstore_testkit::{TestClock, TestDatabase, conformance};
use serde_json::{Value, json};

conformance!(
    the_first_of_64_requests_at_once_creates_one_user,
    without_the_switch_only_a_linked_user_is_let_in,
    issuer_and_subject_name_the_user_and_nothing_else_does,
    a_new_user_has_the_preferred_name_unless_it_is_taken,
    a_role_follows_the_newest_token_and_an_older_one_does_not_give_it_back,
    without_rules_the_provider_changes_no_role,
    a_disabled_user_is_refused_and_a_user_who_is_enabled_again_let_in,
    an_erased_user_leaves_no_identity_and_the_next_token_is_a_new_users,
    logging_out_everywhere_refuses_the_tokens_issued_before,
    local_passwords_can_be_switched_off,
    while_the_provider_is_away_a_token_is_to_be_tried_again,
);

const AUDIENCE: &str = "chatstore";

struct Scene {
    case: TestDatabase,
    provider: TestProvider,
    key: SigningKey,
    store: Store,
}

impl Scene {
    async fn with(case: TestDatabase, rules: &str, build: impl FnOnce(Builder) -> Builder) -> Self {
        let key = SigningKey::eddsa("a");
        let provider = TestProvider::start(&[&key]).unwrap();
        let options = ProviderOptions {
            issuers: vec![provider.issuer().parse().unwrap()],
            audiences: vec![AUDIENCE.to_owned()],
            roles: rules.parse().unwrap(),
        };
        let builder = Store::builder(case.url.as_str())
            .clock(Arc::<TestClock>::clone(&case.clock))
            .token_keys(TokenKeys::generate(|bytes| bytes.fill(7)).0)
            .identity_provider(Arc::new(Providers::new(options).unwrap()));
        let store = build(builder).connect().await.unwrap();
        Self { case, provider, key, store }
    }

    /// Where users are created and groups give roles.
    async fn new(case: TestDatabase) -> Self {
        Self::with(case, "admin:groups=chat-admins", |builder| builder.create_users(true)).await
    }

    fn now(&self) -> i64 {
        self.store.now().as_microseconds() / 1_000_000
    }

    /// A token of a person that is issued now, with other claims.
    fn token(&self, subject: &str, others: Value) -> String {
        let mut claims = self.provider.claims(subject, AUDIENCE, self.now());
        claims.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        self.key.token(&claims)
    }

    async fn show(&self, token: &str) -> Result<Option<Principal>, Error> {
        self.store.authenticate(token).await
    }

    /// Who shows a new token of this person.
    async fn sign_in(&self, subject: &str, others: Value) -> Principal {
        self.show(&self.token(subject, others)).await.unwrap().unwrap()
    }

    async fn user(&self, id: UserId) -> User {
        self.store.users().get(id).await.unwrap()
    }

    fn later(&self) {
        self.case.clock.advance(Duration::from_secs(1));
    }

    fn identity(&self, subject: &str) -> IdentityName {
        IdentityName { issuer: self.provider.issuer(), subject: subject.to_owned() }
    }
}

async fn the_first_of_64_requests_at_once_creates_one_user(case: TestDatabase) {
    let scene = Scene::new(case).await;
    let token = scene.token("7", json!({ "preferred_username": "ada", "name": "Ada Lovelace" }));
    scene.show(&scene.token("another", json!({}))).await.unwrap();
    let requests: Vec<_> = (0..64)
        .map(|_| {
            let (store, token) = (scene.store.clone(), token.clone());
            tokio::spawn(async move { store.authenticate(&token).await.unwrap().unwrap() })
        })
        .collect();
    let mut found = Vec::new();
    for request in requests {
        found.push(request.await.unwrap());
    }
    assert!(found.iter().all(|principal| principal.user_id == found[0].user_id), "{found:?}");
    assert_eq!((found[0].credential, found[0].role), (Credential::Provider, UserRole::User));
    let limit = chatstore::Limit::MAX;
    let filter = UserFilter::default();
    let page = scene.store.users().page(filter, chatstore::Order::Ascending, None, limit).await.unwrap();
    assert_eq!(page.items.len(), 2);
    let user = scene.user(found[0].user_id).await;
    assert_eq!((user.username.as_deref(), user.full_name.as_deref()), (Some("ada"), Some("Ada Lovelace")));
    assert_eq!(user.email, None, "an address that a token claims is nobody's");
}

async fn without_the_switch_only_a_linked_user_is_let_in(case: TestDatabase) {
    let scene = Scene::with(case, "", |builder| builder).await;
    let token = scene.token("7", json!({ "preferred_username": "ada", "email": "ada@example.org" }));
    let new = NewUser::named(UserName::new("ada").unwrap());
    let ada = scene.store.users().create(new).await.unwrap().id;
    assert_eq!(scene.show(&token).await.unwrap_err().kind(), ErrorKind::Forbidden);

    scene.store.users().link(ada, scene.identity("7")).await.unwrap();
    assert_eq!(scene.show(&token).await.unwrap().unwrap().user_id, ada);
    let identities = scene.store.users().identities(ada).await.unwrap();
    assert_eq!(identities.len(), 1);
    assert_eq!(
        (identities[0].issuer.clone(), identities[0].subject.as_str()),
        (scene.provider.issuer(), "7")
    );
    let error = scene.store.users().link(ada, scene.identity("7")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);

    scene.store.users().unlink(ada, scene.identity("7")).await.unwrap();
    assert_eq!(scene.show(&token).await.unwrap_err().kind(), ErrorKind::Forbidden);
    let error = scene.store.users().unlink(ada, scene.identity("7")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = scene.store.users().link(UserId::ANONYMOUS, scene.identity("7")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

async fn issuer_and_subject_name_the_user_and_nothing_else_does(case: TestDatabase) {
    let scene = Scene::new(case).await;
    let new = NewUser {
        email: Some(chatstore::Email::new("ada@example.org").unwrap()),
        role: UserRole::Admin,
        ..NewUser::named(UserName::new("ada").unwrap())
    };
    let victim = scene.store.users().create(new).await.unwrap().id;
    let claims =
        || json!({ "preferred_username": "ada", "email": "ada@example.org", "email_verified": true });

    let first = scene.sign_in("7", claims()).await;
    let second = scene.sign_in("8", claims()).await;
    let of_case = scene.sign_in("a", claims()).await;
    let of_other_case = scene.sign_in("A", claims()).await;
    let mut ids = vec![victim, first.user_id, second.user_id, of_case.user_id, of_other_case.user_id];
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert_eq!(first.role, UserRole::User);
    scene.later();
    let renamed = json!({ "preferred_username": "another", "email": "another@example.org" });
    assert_eq!(scene.sign_in("7", renamed).await.user_id, first.user_id);
}

async fn a_new_user_has_the_preferred_name_unless_it_is_taken(case: TestDatabase) {
    let scene = Scene::new(case).await;
    let name = async |subject: &str, preferred: &str| {
        let id = scene.sign_in(subject, json!({ "preferred_username": preferred })).await.user_id;
        (scene.user(id).await.username.unwrap(), format!("user-{}", id.short()))
    };
    assert_eq!(name("1", "ada@example.org").await.0, "ada");
    for (subject, preferred) in [("2", "ada"), ("3", "ADA"), ("4", "x"), ("5", "")] {
        let (name, generated) = name(subject, preferred).await;
        assert_eq!(name, generated, "{preferred:?}");
    }
}

async fn a_role_follows_the_newest_token_and_an_older_one_does_not_give_it_back(case: TestDatabase) {
    let scene = Scene::new(case).await;
    let new = NewUser { role: UserRole::Admin, ..NewUser::named(UserName::new("local").unwrap()) };
    let local = scene.store.users().create(new).await.unwrap().id;
    let admins = || json!({ "groups": ["chat-admins"] });
    let stored = async |id: UserId| scene.user(id).await.role;

    let with_group = scene.token("7", admins());
    let ada = scene.show(&with_group).await.unwrap().unwrap();
    assert_eq!((ada.role, stored(ada.user_id).await), (UserRole::Admin, UserRole::Admin));

    // Issued before the group was lost, shown after it.
    scene.later();
    let unused = scene.token("7", admins());
    scene.later();
    assert_eq!(scene.sign_in("7", json!({ "groups": [] })).await.role, UserRole::User);
    assert_eq!(stored(ada.user_id).await, UserRole::User);
    for token in [&with_group, &unused] {
        assert_eq!(scene.show(token).await.unwrap().unwrap().role, UserRole::User);
    }
    assert_eq!(stored(ada.user_id).await, UserRole::User);

    scene.later();
    assert_eq!(scene.sign_in("7", admins()).await.role, UserRole::Admin);
    assert_eq!(stored(local).await, UserRole::Admin, "a user of no provider keeps the role");
}

async fn without_rules_the_provider_changes_no_role(case: TestDatabase) {
    let scene = Scene::with(case, "", |builder| builder.create_users(true)).await;
    let ada = scene.sign_in("7", json!({ "groups": ["chat-admins"], "role": "admin" })).await;
    assert_eq!(ada.role, UserRole::User);
    let patch = UserPatch { role: Some(UserRole::Admin), ..UserPatch::default() };
    scene.store.users().update(ada.user_id, patch).await.unwrap();
    scene.later();
    assert_eq!(scene.sign_in("7", json!({})).await.role, UserRole::Admin);
}

async fn a_disabled_user_is_refused_and_a_user_who_is_enabled_again_let_in(case: TestDatabase) {
    let scene = Scene::new(case).await;
    let token = scene.token("7", json!({}));
    let ada = scene.show(&token).await.unwrap().unwrap().user_id;
    scene.later();
    for is_active in [false, true] {
        let patch = UserPatch { is_active: Some(is_active), ..UserPatch::default() };
        scene.store.users().update(ada, patch).await.unwrap();
        assert_eq!(scene.show(&token).await.unwrap(), None, "disabling ends what was begun before");
        scene.later();
        let newer = scene.show(&scene.token("7", json!({}))).await.unwrap();
        assert_eq!(newer.is_some(), is_active);
    }
}

async fn an_erased_user_leaves_no_identity_and_the_next_token_is_a_new_users(case: TestDatabase) {
    let scene = Scene::new(case).await;
    let ada = scene.sign_in("7", json!({ "preferred_username": "ada" })).await.user_id;
    scene.store.users().erase(ada).await.unwrap();
    assert_eq!(scene.store.users().identities(ada).await.unwrap(), []);
    let again = scene.sign_in("7", json!({ "preferred_username": "ada" })).await.user_id;
    assert_ne!(again, ada);
}

async fn logging_out_everywhere_refuses_the_tokens_issued_before(case: TestDatabase) {
    let scene = Scene::new(case).await;
    let token = scene.token("7", json!({}));
    let ada = scene.show(&token).await.unwrap().unwrap().user_id;
    let other = scene.token("8", json!({}));
    scene.show(&other).await.unwrap().unwrap();
    scene.later();
    scene.store.auth().logout_all(ada, OwnKeys::Keep).await.unwrap();
    assert_eq!(scene.show(&token).await.unwrap(), None);
    assert!(scene.show(&other).await.unwrap().is_some());
    scene.later();
    assert_eq!(scene.sign_in("7", json!({})).await.user_id, ada);
}

async fn local_passwords_can_be_switched_off(case: TestDatabase) {
    let password = || Password::new("correct horse battery");
    let name = || LoginName::Username("ada".to_owned());
    let before = Scene::with(case, "", |builder| builder).await;
    let new = NewUser::named(UserName::new("ada").unwrap());
    let ada = before.store.users().create_with_password(new, password()).await.unwrap().id;
    let tokens = before.store.auth().login(name(), password()).await.unwrap();
    before.store.close().await;

    let scene = Scene::with(before.case, "", |builder| builder.local_passwords(false)).await;
    let auth = || scene.store.auth();
    let new = NewUser::named(UserName::new("bob").unwrap());
    let refused = [
        auth().login(name(), password()).await.map(drop),
        auth().refresh(&tokens.refresh_token).await.map(drop),
        auth().register(new, password()).await.map(drop),
        auth().change_password(ada, password(), Password::new("staple of many horses"), OwnKeys::Keep).await,
    ];
    for outcome in refused {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Forbidden);
    }
    scene.store.users().link(ada, scene.identity("7")).await.unwrap();
    assert_eq!(scene.sign_in("7", json!({})).await.user_id, ada);
    let keys = scene.store.keys();
    let key = keys.create(ada, chatstore::ApiKeyScope::User, None, None).await.unwrap();
    assert_eq!(scene.show(&key.text).await.unwrap().unwrap().user_id, ada);
}

async fn while_the_provider_is_away_a_token_is_to_be_tried_again(case: TestDatabase) {
    let scene = Scene::new(case).await;
    scene.provider.behave(Behavior::Away);
    let error = scene.show(&scene.token("7", json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IdentityProviderUnavailable);
    assert!(error.is_retryable());
    assert_eq!(scene.show("a.b.c").await.unwrap(), None, "what is no token of it is not asked about");
}
