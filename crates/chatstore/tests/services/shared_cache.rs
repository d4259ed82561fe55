//! A cache that processes share, as the store uses it.

use std::sync::Arc;
use std::time::Duration;

use chatstore::auth::{LoginName, Password, TokenKeys};
use chatstore::shared_cache::{CacheFuture, CacheSlot, CacheStatus, LocalCache, Lookup, SharedCache, Ticket};
use chatstore::{Change, Store, UserId, UserPatch, Uuid};
use chatstore_testkit::{TestDatabase, conformance};
use tokio::sync::Notify;

use crate::fixtures::user;

conformance!(
    users_are_read_anew_and_forgotten_by_name,
    sessions_are_read_anew_and_forgotten_by_their_token,
    what_is_read_while_a_session_ends_is_not_remembered,
);

const PASSWORD: &str = "correct horse battery";

/// A cache in which a removal waits.
#[derive(Debug, Default)]
struct SlowRemovals {
    cache: LocalCache,
    has_begun: Notify,
    may_end: Notify,
}

impl SharedCache for SlowRemovals {
    fn get<'a>(&'a self, slot: &'a CacheSlot) -> CacheFuture<'a, Lookup> {
        self.cache.get(slot)
    }

    fn put<'a>(
        &'a self,
        slot: &'a CacheSlot,
        value: &'a str,
        lifetime: Duration,
        ticket: &'a Ticket,
    ) -> CacheFuture<'a, bool> {
        self.cache.put(slot, value, lifetime, ticket)
    }

    fn remove<'a>(&'a self, slot: &'a CacheSlot) -> CacheFuture<'a, bool> {
        Box::pin(async {
            self.has_begun.notify_one();
            self.may_end.notified().await;
            self.cache.remove(slot).await
        })
    }

    fn remove_all(&self) -> CacheFuture<'_, ()> {
        self.cache.remove_all()
    }

    fn remove_of(&self, owner: UserId) -> CacheFuture<'_, ()> {
        self.cache.remove_of(owner)
    }

    fn status(&self) -> CacheStatus {
        self.cache.status()
    }
}

async fn sharing(case: &TestDatabase, cache: Arc<dyn SharedCache>) -> Store {
    let keys = TokenKeys::generate(|bytes| bytes.fill(7)).0;
    let store = Store::builder(case.url.as_str()).token_keys(keys).shared_cache(cache);
    store.connect().await.unwrap()
}

async fn member(store: &Store, name: &str) -> UserId {
    let id = user(store, name).await;
    store.auth().set_password(id, Password::new(PASSWORD), false).await.unwrap();
    id
}

async fn users_are_read_anew_and_forgotten_by_name(case: TestDatabase) {
    let store = sharing(&case, Arc::new(LocalCache::default())).await;
    let ada = user(&store, "Ada").await;
    let cache = store.user_cache();
    assert_eq!(cache.get("ada").await, None);
    assert_eq!(cache.set("nobody").await.unwrap(), None);
    assert_eq!(cache.get("nobody").await, None, "that there is none is not remembered");
    assert_eq!(cache.set(" ADA").await.unwrap().unwrap().id, ada);
    let found = cache.get("ada").await.unwrap();
    assert_eq!(found.value.id, ada);
    let now = store.now();
    assert!(found.expires_at > now && found.expires_at <= now.plus(Duration::from_secs(300)));
    cache.invalidate("ada").await;
    assert_eq!(cache.get("ada").await, None);

    cache.set("ada").await.unwrap();
    let patch = UserPatch { full_name: Change::Set("Ada Lovelace".to_owned()), ..UserPatch::default() };
    store.users().update(ada, patch).await.unwrap();
    assert_eq!(cache.get("ada").await, None, "a change forgets it");
    let found = store.users().look_up("ada").await.unwrap().unwrap();
    assert_eq!(
        (found.full_name.as_deref(), cache.get("ada").await.map(|cached| cached.value)),
        (Some("Ada Lovelace"), Some(found.clone()))
    );
}

async fn sessions_are_read_anew_and_forgotten_by_their_token(case: TestDatabase) {
    let store = sharing(&case, Arc::new(LocalCache::default())).await;
    let ada = member(&store, "ada").await;
    let login = LoginName::Username("ada".to_owned());
    let tokens = store.auth().login(login, Password::new(PASSWORD)).await.unwrap();
    let sessions = store.auth().page(ada, None, chatstore::Limit::MAX).await.unwrap();
    let jti = sessions.items[0].access_jti;
    let cache = store.session_cache();
    assert_eq!(cache.get(ada, jti).await, None);
    assert_eq!(cache.set("no token").await.unwrap(), None);
    let state = cache.set(&tokens.access_token).await.unwrap().unwrap();
    let found = cache.get(ada, jti).await.unwrap();
    assert_eq!((found.value.expires_at, found.value.role), (state.expires_at, state.role));
    assert!(found.expires_at <= store.now().plus(Duration::from_secs(5)));
    assert_eq!(cache.get(ada, Uuid::nil()).await, None);
    cache.invalidate(ada, jti).await;
    assert_eq!(cache.get(ada, jti).await, None);
    cache.set(&tokens.access_token).await.unwrap();
    cache.invalidate_all(ada).await;
    assert_eq!(cache.get(ada, jti).await, None);
    assert!(store.authenticate(&tokens.access_token).await.unwrap().is_some(), "the session goes on");

    store.auth().logout(ada, tokens.session_id).await.unwrap();
    assert_eq!(cache.set(&tokens.access_token).await.unwrap(), None, "what has ended is not remembered");
    assert_eq!(cache.get(ada, jti).await, None);
}

async fn what_is_read_while_a_session_ends_is_not_remembered(case: TestDatabase) {
    let cache = Arc::new(SlowRemovals::default());
    let store = sharing(&case, Arc::<SlowRemovals>::clone(&cache)).await;
    let ada = member(&store, "ada").await;
    let login = LoginName::Username("ada".to_owned());
    let tokens = store.auth().login(login, Password::new(PASSWORD)).await.unwrap();
    assert!(store.authenticate(&tokens.access_token).await.unwrap().is_some());
    let ending = {
        let store = store.clone();
        tokio::spawn(async move { store.auth().logout(ada, tokens.session_id).await })
    };
    cache.has_begun.notified().await;
    // Found where it is not removed yet, and the logout is not answered yet.
    store.authenticate(&tokens.access_token).await.unwrap();
    cache.may_end.notify_one();
    ending.await.unwrap().unwrap();
    assert!(store.authenticate(&tokens.access_token).await.unwrap().is_none());
}
