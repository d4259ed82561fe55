//! Who may do what: every operation that the description names, for every kind of caller.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use chatstore::auth::{Credential, Password};
use chatstore::shared_cache::LocalCache;
use chatstore::{
    ApiKeyScope, Builder, CanonicalJson, KeyRights, Limit, MemberRole, NewCachedResponse, NewConversation,
    NewDocument, NewLogEvent, NewMessage, NewReply, NewUser, RequestHash, ResponseScope, RouteGroup, UserId,
    UserName, UserPatch, UserRole, Uuid,
};
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::key_rights::limited;
use crate::login::{PASSWORD, logged_in};
use crate::operations::{Operation, operations};
use crate::provider::Provided;
use crate::support::{Person, Server};

conformance!(every_operation_admits_exactly_the_callers_it_is_for);

/// The callers of operations on the owner's data, and of administration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Unauthenticated,
    Owner,
    OwnerInSession,
    OwnerByProvider,
    Editor,
    Viewer,
    Stranger,
    Admin,
    ServiceForOwner,
    Service,
    ServiceForOthers,
    AdminInSession,
    ReadOnlyKey,
    UsageKey,
    EndedSession,
    RevokedKey,
    Disabled,
}

use Who::{
    Admin, AdminInSession, Disabled, Editor, EndedSession, Owner, OwnerByProvider, OwnerInSession,
    ReadOnlyKey, RevokedKey, Service, ServiceForOthers, ServiceForOwner, Stranger, Unauthenticated, UsageKey,
    Viewer,
};

const CALLERS: [Who; 17] = [
    Unauthenticated,
    Owner,
    OwnerInSession,
    OwnerByProvider,
    Editor,
    Viewer,
    Stranger,
    Admin,
    ServiceForOwner,
    Service,
    ServiceForOthers,
    AdminInSession,
    ReadOnlyKey,
    UsageKey,
    EndedSession,
    RevokedKey,
    Disabled,
];

/// The objects of one request. Each has its own, so that none sees the effects of another one.
struct Scene<'s> {
    provided: &'s Provided,
    server: &'s Server,
    root: &'s Person,
    number: usize,
    owner: UserId,
    owner_name: String,
    ids: Vec<(&'static str, String)>,
    /// The owner in a session that servers are to remember.
    remembered: Option<Person>,
}

impl<'s> Scene<'s> {
    async fn set(provided: &'s Provided, root: &'s Person, number: usize, operation: &Operation) -> Self {
        let server = &provided.server;
        let owner_name = format!("owner{number}");
        let owner = user(server, &owner_name, UserRole::User).await;
        let chat = server.store.as_user(owner);
        let new = NewConversation { thread_id: Some("thread".to_owned()), ..NewConversation::titled("Trip") };
        let conversation = chat.conversations().create(new).await.unwrap();
        chat.messages().append(conversation.id, NewMessage::user("hello")).await.unwrap();
        let mut ids = vec![
            ("thread_id", "thread".to_owned()),
            ("email", format!("person{number}@example.org")),
            ("message_id", "1".to_owned()),
        ];
        let path = operation.path.trim_start_matches("/api/v1/");
        if path.ends_with("response") {
            let reply = chat.messages().reply(conversation.id, NewReply::new("hi")).await.unwrap();
            ids[2].1 = reply.message.id.to_string();
        }
        if path.starts_with("messages/") {
            let message = chat.messages().get_by_seq(conversation.id, 1).await.unwrap();
            ids.push(("id", message.id.to_string()));
        }
        if path.contains("{user_id}") && !path.starts_with("admin/") {
            let other = user(server, &format!("other{number}"), UserRole::User).await;
            chat.members().put(conversation.id, other, MemberRole::Viewer).await.unwrap();
            ids.push(("user_id", other.to_string()));
        }
        let mut scene = Self { provided, server, root, number, owner, owner_name, ids, remembered: None };
        let id = if path.starts_with("users/") {
            let subject = user(server, &format!("subject{number}"), UserRole::User).await;
            scene.ids.push(("key_id", scene.key(subject).await.1));
            subject.to_string()
        } else if path.starts_with("documents/") {
            let document = chat.documents().create(NewDocument::default()).await.unwrap();
            document.id.to_string()
        } else if path.starts_with("logs/") {
            chat.logs().append(NewLogEvent::new("one")).await.unwrap().id.to_string()
        } else if path.starts_with("admin/cache/") {
            scene.owner_in_cache(path, &operation.method).await;
            String::new()
        } else if path.starts_with("ai-cache/") {
            let (hash, new) =
                (RequestHash::new("request").unwrap(), NewCachedResponse::new(CanonicalJson::list()));
            chat.response_cache().put(&hash, ResponseScope::Own, new).await.unwrap().unwrap();
            scene.ids.push(("hash", "request".to_owned()));
            String::new()
        } else if path.starts_with("auth/api-keys/") {
            scene.key(owner).await.1
        } else if path.starts_with("auth/sessions/") {
            scene.session(owner, &scene.owner_name.clone()).await.1
        } else {
            conversation.id.to_string()
        };
        scene.ids.push(("id", id));
        scene
    }

    /// Gives the owner a session for the requests that are about one.
    async fn owner_in_cache(&mut self, path: &str, method: &str) {
        let mut access_jti = Uuid::nil();
        if path.ends_with("{access_jti}") && method == "GET" {
            let (person, _) = self.session(self.owner, &self.owner_name).await;
            let sessions = self.server.store.auth().page(self.owner, None, Limit::MAX).await.unwrap();
            access_jti = sessions.items[0].access_jti;
            self.remembered = Some(person);
        }
        let ids = [
            ("user_id", self.owner.to_string()),
            ("access_jti", access_jti.to_string()),
            ("username", self.owner_name.clone()),
        ];
        self.ids.extend(ids);
    }

    /// Has servers remember the owner, whatever was changed before.
    async fn remember(&self) {
        let store = &self.server.store;
        store.user_cache().set(&self.owner_name).await.unwrap().unwrap();
        if let Some(Person { key, .. }) = &self.remembered {
            // `None` for an owner who is disabled.
            store.session_cache().set(key).await.unwrap();
        }
    }

    /// A key of a user: its text and its id.
    async fn key(&self, user: UserId) -> (Person, String) {
        let keys = self.server.store.keys();
        let created = keys.create(user, chatstore::ApiKeyScope::User, None, None).await.unwrap();
        (Person { id: user, key: created.text }, created.key.id.to_string())
    }

    /// A session of a user: its access token and its id.
    async fn session(&self, user: UserId, name: &str) -> (Person, String) {
        let store = &self.server.store;
        let found = store.read("password", async move |tx| tx.passwords().get(user).await).await.unwrap();
        if found.unwrap().1.is_none() {
            store.auth().set_password(user, Password::new(PASSWORD), false).await.unwrap();
        }
        let (person, tokens) = logged_in(self.server, name).await;
        (person, tokens["session_id"].as_str().unwrap().to_owned())
    }

    /// A session with a confirmed password: its access token.
    async fn confirmed(&self, user: UserId, name: &str) -> Person {
        let (person, id) = self.session(user, name).await;
        let credential = Credential::Session(id.parse().unwrap());
        self.server.store.auth().confirm(user, credential, Password::new(PASSWORD)).await.unwrap();
        person
    }

    /// A key of the owner's with limits.
    async fn limited(&self, rights: KeyRights) -> Person {
        limited(self.server, self.owner, ApiKeyScope::User, rights).await
    }

    /// Another user, as a member of the conversation when there is a role.
    async fn other(&self, role: Option<MemberRole>) -> Person {
        let other = user(self.server, &format!("somebody{}", self.number), UserRole::User).await;
        if let Some(role) = role {
            let chat = self.server.store.as_user(self.owner);
            let page = chat.conversations().page(chatstore::ConversationList::default()).await.unwrap();
            chat.members().put(page.items[0].0.id, other, role).await.unwrap();
        }
        self.key(other).await.0
    }

    async fn status(&self, who: Who, operation: &Operation) -> u16 {
        let parts: Vec<(&str, &str)> = self.ids.iter().map(|(name, id)| (*name, id.as_str())).collect();
        let query = match (operation.method.as_str(), operation.path.as_str()) {
            ("DELETE", "/api/v1/conversations") => "?thread_prefix=thread",
            _ => "",
        };
        let target = format!("{}{query}", operation.target(&parts));
        let body = match (operation.method.as_str(), operation.path.as_str()) {
            ("POST", "/api/v1/users") => format!(r#"{{"username": "made{}"}}"#, self.number),
            _ => operation.body().to_owned(),
        };
        let (store, method) = (&self.server.store, operation.method.as_str());
        let as_person = |person: &Person| self.server.request(person, method, &target);
        let request = match who {
            Unauthenticated => self.server.anonymous(method, &target),
            Owner => as_person(&self.key(self.owner).await.0),
            OwnerInSession => as_person(&self.confirmed(self.owner, &self.owner_name).await),
            OwnerByProvider => {
                self.provided.link(self.owner, &self.owner_name).await;
                as_person(&self.provided.person(&self.owner_name))
            }
            Editor => as_person(&self.other(Some(MemberRole::Editor)).await),
            Viewer => as_person(&self.other(Some(MemberRole::Viewer)).await),
            Stranger => as_person(&self.other(None).await),
            Admin => {
                let admin = user(self.server, &format!("admin{}", self.number), UserRole::Admin).await;
                as_person(&self.key(admin).await.0)
            }
            ServiceForOwner => {
                let service = self.server.service(self.root).await;
                self.server.act(&service, &self.owner.to_string(), method, &target)
            }
            Service => as_person(&self.server.service(self.root).await),
            ServiceForOthers => {
                let rights = KeyRights { users: vec![self.root.id], ..KeyRights::default() };
                let service = limited(self.server, self.root.id, ApiKeyScope::Service, rights).await;
                self.server.act(&service, &self.owner.to_string(), method, &target)
            }
            AdminInSession => {
                let name = format!("admin{}", self.number);
                let admin = user(self.server, &name, UserRole::Admin).await;
                as_person(&self.confirmed(admin, &name).await)
            }
            ReadOnlyKey => {
                as_person(&self.limited(KeyRights { read_only: true, ..KeyRights::default() }).await)
            }
            UsageKey => {
                let rights = KeyRights { routes: vec![RouteGroup::Usage], ..KeyRights::default() };
                as_person(&self.limited(rights).await)
            }
            EndedSession => {
                let (person, id) = self.session(self.owner, &self.owner_name).await;
                store.auth().logout(self.owner, id.parse().unwrap()).await.unwrap();
                as_person(&person)
            }
            RevokedKey => {
                let (person, id) = self.key(self.owner).await;
                store.keys().revoke(self.owner, id.parse().unwrap()).await.unwrap();
                as_person(&person)
            }
            Disabled => {
                let (person, _) = self.key(self.owner).await;
                let patch = UserPatch { is_active: Some(false), ..UserPatch::default() };
                store.users().update(self.owner, patch).await.unwrap();
                as_person(&person)
            }
        };
        if operation.path.starts_with("/api/v1/admin/cache/") {
            self.remember().await;
        }
        let answer = request.header("Content-Type", "application/json").body(body).send().await.unwrap();
        answer.status().as_u16()
    }
}

async fn user(server: &Server, name: &str, role: UserRole) -> UserId {
    let new = NewUser { role, ..NewUser::named(UserName::new(name).unwrap()) };
    server.store.users().create(new).await.unwrap().id
}

async fn every_operation_admits_exactly_the_callers_it_is_for(case: TestDatabase) {
    let shared = |builder: Builder| builder.shared_cache(Arc::new(LocalCache::default()));
    let provided = Provided::new(case, shared).await;
    let root = provided.server.admin("root").await;
    let mut table = String::new();
    let mut number = 0;
    for operation in operations() {
        let mut statuses = BTreeMap::new();
        for who in CALLERS {
            number += 1;
            let scene = Scene::set(&provided, &root, number, &operation).await;
            let status = scene.status(who, &operation).await;
            let is_described = operation.statuses.contains(&status);
            assert!(is_described, "{} by {who:?}: {status} is not described", operation.name());
            statuses.insert(who, status);
        }
        hold_to_the_rules(&operation, &statuses);
        let row: Vec<String> = statuses.values().map(u16::to_string).collect();
        let path = operation.path.trim_start_matches("/api/v1/");
        writeln!(table, "{} {} {path}", row.join(" "), operation.method).unwrap();
    }
    // In the order of `CALLERS`. 422 is the answer to an allowed caller whose request lacks what it needs.
    allow_duplicates! { assert_snapshot!(table, @"
    401 403 403 403 403 403 403 200 403 403 403 200 403 403 401 401 401 GET admin/cache
    401 403 403 403 403 403 403 200 403 403 403 200 403 403 401 401 401 GET admin/cache/sessions/{user_id}
    401 403 403 403 403 403 403 204 403 403 403 204 403 403 401 401 401 DELETE admin/cache/sessions/{user_id}
    401 403 403 403 403 403 403 200 403 403 403 200 403 403 401 401 401 GET admin/cache/sessions/{user_id}/{access_jti}
    401 403 403 403 403 403 403 204 403 403 403 204 403 403 401 401 401 DELETE admin/cache/sessions/{user_id}/{access_jti}
    401 403 403 403 403 403 403 200 403 403 403 200 403 403 401 401 401 GET admin/cache/users/{username}
    401 403 403 403 403 403 403 204 403 403 403 204 403 403 401 401 401 DELETE admin/cache/users/{username}
    401 403 403 403 403 403 403 200 403 403 403 200 403 403 401 401 401 GET admin/logs
    401 200 200 200 200 200 200 200 200 422 404 200 403 403 401 401 401 POST ai-cache/hash
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET ai-cache/{hash}
    401 200 200 200 200 200 200 200 200 422 404 200 403 403 401 401 401 PUT ai-cache/{hash}
    401 204 204 204 404 404 404 404 204 422 404 404 403 403 401 401 401 DELETE ai-cache/{hash}
    401 200 403 403 200 200 200 200 200 200 200 403 200 200 401 401 401 GET auth/api-key
    401 403 403 403 403 403 403 403 200 200 200 403 403 403 401 401 401 POST auth/api-key/rotate
    401 200 200 200 200 200 200 200 403 403 403 200 200 403 401 401 401 GET auth/api-keys
    401 403 201 201 403 403 403 403 403 403 403 201 403 403 401 401 401 POST auth/api-keys
    401 204 204 204 404 404 404 404 403 403 403 404 403 403 401 401 401 DELETE auth/api-keys/{id}
    401 403 200 200 403 403 403 403 403 403 403 404 403 403 401 401 401 POST auth/api-keys/{id}/rotate
    401 422 422 422 422 422 422 422 403 403 403 422 403 403 401 401 401 POST auth/confirm
    422 422 422 422 422 422 422 422 403 403 403 422 422 422 422 422 422 POST auth/login
    401 409 204 409 409 409 409 409 403 403 403 204 403 403 401 401 401 POST auth/logout
    401 204 204 204 204 204 204 204 403 403 403 204 403 403 401 401 401 POST auth/logout-all
    401 422 422 422 422 422 422 422 403 403 403 422 403 403 401 401 401 POST auth/password
    422 422 422 422 422 422 422 422 403 403 403 422 422 422 422 422 422 POST auth/refresh
    422 422 422 422 422 422 422 422 403 403 403 422 422 422 422 422 422 POST auth/register
    401 200 200 200 200 200 200 200 403 403 403 200 200 403 401 401 401 GET auth/sessions
    401 204 204 204 404 404 404 404 403 403 403 404 403 403 401 401 401 DELETE auth/sessions/{id}
    401 200 200 200 200 200 200 200 200 422 404 200 200 403 401 401 401 GET conversations
    401 201 201 201 201 201 201 201 201 422 404 201 403 403 401 401 401 POST conversations
    401 200 200 200 200 200 200 200 200 422 404 200 403 403 401 401 401 DELETE conversations
    401 200 200 200 200 200 200 200 200 422 404 200 200 403 401 401 401 GET conversations/count
    401 200 200 200 200 200 404 404 200 422 404 404 200 403 401 401 401 GET conversations/{id}
    401 200 200 200 200 403 404 404 200 422 404 404 403 403 401 401 401 PATCH conversations/{id}
    401 204 204 204 403 403 404 404 204 422 404 404 403 403 401 401 401 DELETE conversations/{id}
    401 201 201 201 201 201 404 404 201 422 404 404 403 403 401 401 401 POST conversations/{id}/copies
    401 200 200 200 200 200 404 404 200 422 404 404 200 403 401 401 401 GET conversations/{id}/members
    401 200 200 200 403 403 404 404 200 422 404 404 403 403 401 401 401 PUT conversations/{id}/members/{user_id}
    401 204 204 204 403 403 404 404 204 422 404 404 403 403 401 401 401 DELETE conversations/{id}/members/{user_id}
    401 200 200 200 200 200 404 404 200 422 404 404 200 403 401 401 401 GET conversations/{id}/messages
    401 200 200 200 403 403 404 404 200 422 404 404 403 403 401 401 401 PUT conversations/{id}/messages
    401 201 201 201 201 403 404 404 201 422 404 404 403 403 401 401 401 POST conversations/{id}/messages
    401 200 200 200 403 403 404 404 200 422 404 404 403 403 401 401 401 DELETE conversations/{id}/messages
    401 200 200 200 403 403 404 404 200 422 404 404 403 403 401 401 401 DELETE conversations/{id}/messages/last
    401 200 200 200 403 403 404 404 200 422 404 404 403 403 401 401 401 POST conversations/{id}/messages/replace-suffix
    401 200 200 200 200 200 404 404 200 422 404 404 200 403 401 401 401 GET conversations/{id}/messages/{message_id}
    401 201 201 201 201 403 404 404 201 422 404 404 403 403 401 401 401 PUT conversations/{id}/messages/{message_id}
    401 200 200 200 403 403 404 404 200 422 404 404 403 403 401 401 401 PATCH conversations/{id}/messages/{message_id}
    401 204 204 204 403 403 404 404 204 422 404 404 403 403 401 401 401 DELETE conversations/{id}/messages/{message_id}
    401 200 200 200 200 200 404 404 200 422 404 404 200 403 401 401 401 GET conversations/{id}/messages/{message_id}/response
    401 201 201 201 201 403 404 404 201 422 404 404 403 403 401 401 401 POST conversations/{id}/replies
    401 200 200 200 200 200 200 200 200 422 404 200 200 403 401 401 401 GET documents
    401 201 201 201 201 201 201 201 201 422 404 201 403 403 401 401 401 POST documents
    401 200 200 200 200 200 200 200 200 422 404 200 200 403 401 401 401 GET documents/count
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET documents/{id}
    401 200 200 200 404 404 404 404 200 422 404 404 403 403 401 401 401 PATCH documents/{id}
    401 204 204 204 404 404 404 404 204 422 404 404 403 403 401 401 401 DELETE documents/{id}
    401 200 200 200 200 200 200 200 200 422 404 200 200 403 401 401 401 GET logs
    401 201 201 201 201 201 201 201 201 422 404 201 403 403 401 401 401 POST logs
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET logs/{id}
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET messages/{id}
    401 200 200 200 404 404 404 404 200 422 404 404 403 403 401 401 401 PATCH messages/{id}
    401 204 204 204 404 404 404 404 204 422 404 404 403 403 401 401 401 DELETE messages/{id}
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET threads/{thread_id}
    401 200 200 200 201 201 201 201 200 422 404 201 403 403 401 401 401 PUT threads/{thread_id}
    401 200 200 200 404 404 404 404 200 422 404 404 403 403 401 401 401 PATCH threads/{thread_id}
    401 204 204 204 404 404 404 404 204 422 404 404 403 403 401 401 401 DELETE threads/{thread_id}
    401 201 201 201 404 404 404 404 201 422 404 404 403 403 401 401 401 POST threads/{thread_id}/copies
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET threads/{thread_id}/members
    401 200 200 200 404 404 404 404 200 422 404 404 403 403 401 401 401 PUT threads/{thread_id}/members/{user_id}
    401 204 204 204 404 404 404 404 204 422 404 404 403 403 401 401 401 DELETE threads/{thread_id}/members/{user_id}
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET threads/{thread_id}/messages
    401 200 200 200 200 200 200 200 200 422 404 200 403 403 401 401 401 PUT threads/{thread_id}/messages
    401 201 201 201 201 201 201 201 201 422 404 201 403 403 401 401 401 POST threads/{thread_id}/messages
    401 200 200 200 404 404 404 404 200 422 404 404 403 403 401 401 401 DELETE threads/{thread_id}/messages
    401 200 200 200 404 404 404 404 200 422 404 404 403 403 401 401 401 DELETE threads/{thread_id}/messages/last
    401 200 200 200 404 404 404 404 200 422 404 404 403 403 401 401 401 POST threads/{thread_id}/messages/replace-suffix
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET threads/{thread_id}/messages/{message_id}
    401 201 201 201 404 404 404 404 201 422 404 404 403 403 401 401 401 PUT threads/{thread_id}/messages/{message_id}
    401 200 200 200 404 404 404 404 200 422 404 404 403 403 401 401 401 PATCH threads/{thread_id}/messages/{message_id}
    401 204 204 204 404 404 404 404 204 422 404 404 403 403 401 401 401 DELETE threads/{thread_id}/messages/{message_id}
    401 200 200 200 404 404 404 404 200 422 404 404 200 403 401 401 401 GET threads/{thread_id}/messages/{message_id}/response
    401 201 201 201 404 404 404 404 201 422 404 404 403 403 401 401 401 POST threads/{thread_id}/replies
    401 200 200 200 200 200 200 200 200 422 404 200 200 200 401 401 401 GET usage
    401 403 403 403 403 403 403 200 200 200 403 200 403 403 401 401 401 GET users
    401 403 403 403 403 403 403 201 201 201 403 201 403 403 401 401 401 POST users
    401 403 403 403 403 403 403 201 201 201 403 201 403 403 401 401 401 PUT users/by-email/{email}
    401 200 200 200 200 200 200 200 200 422 404 200 200 403 401 401 401 GET users/me
    401 200 200 200 200 200 200 200 200 422 404 200 403 403 401 401 401 PATCH users/me
    401 204 204 204 204 204 204 204 204 422 404 204 403 403 401 401 401 DELETE users/me
    401 200 200 200 200 200 200 200 200 422 404 200 200 403 401 401 401 GET users/me/export
    401 403 403 403 403 403 403 200 200 200 404 200 403 403 401 401 401 GET users/{id}
    401 403 403 403 403 403 403 200 200 200 404 200 403 403 401 401 401 PATCH users/{id}
    401 403 403 403 403 403 403 204 204 204 404 204 403 403 401 401 401 DELETE users/{id}
    401 403 403 403 403 403 403 200 200 200 404 200 403 403 401 401 401 GET users/{id}/api-keys
    401 403 403 403 403 403 403 403 403 403 403 201 403 403 401 401 401 POST users/{id}/api-keys
    401 403 403 403 403 403 403 204 204 204 404 204 403 403 401 401 401 DELETE users/{id}/api-keys/{key_id}
    "); }
}

/// What no change of the table may change.
fn hold_to_the_rules(operation: &Operation, statuses: &BTreeMap<Who, u16>) {
    let name = operation.name();
    let is_done = |who: Who| statuses[&who] < 300;
    if operation.is_open {
        for (who, status) in statuses {
            let is_service = matches!(who, Service | ServiceForOwner | ServiceForOthers);
            assert_eq!(*status, if is_service { 403 } else { 422 }, "{name}: {who:?}");
        }
        return;
    }
    for who in [Unauthenticated, EndedSession, RevokedKey, Disabled] {
        assert_eq!(statuses[&who], 401, "{name}: {who:?}");
    }
    hold_keys_to_their_rights(operation, statuses);
    if operation.is_for_admins() {
        for who in [Owner, OwnerInSession, OwnerByProvider, Editor, Viewer, Stranger] {
            assert_eq!(statuses[&who], 403, "{name}: {who:?}");
        }
        assert!(is_done(AdminInSession), "{name}: {statuses:?}");
        assert_eq!(is_done(Admin), !operation.needs_session(), "{name}");
        for who in [Service, ServiceForOwner] {
            let is_for_services = !operation.needs_session() && !operation.is_above_services();
            assert_eq!(is_done(who), is_for_services, "{name}: {who:?}");
        }
        return;
    }
    if operation.needs_session() {
        assert!(is_done(OwnerInSession), "{name}: {statuses:?}");
        for who in [Owner, Editor, Admin, Service, ServiceForOwner] {
            assert_eq!(statuses[&who], 403, "{name}: {who:?}");
        }
    }
    if !is_about_key(operation) {
        assert!(!is_done(Service), "{name}: a service has to name the user it acts for");
    }
    let is_conversation = operation.path.starts_with("/api/v1/conversations/{id}");
    if !is_conversation {
        return;
    }
    // A copy changes nothing in the conversation.
    let is_change = operation.method != "GET" && !operation.path.ends_with("/copies");
    for who in [Stranger, Admin, AdminInSession] {
        assert_eq!(statuses[&who], 404, "{name}: {who:?}");
    }
    for who in [Owner, OwnerInSession, OwnerByProvider, ServiceForOwner] {
        assert!(is_done(who), "{name}: {statuses:?}");
    }
    match is_change {
        true => assert_eq!(statuses[&Viewer], 403, "{name}"),
        false => assert!(is_done(Viewer) && is_done(Editor), "{name}"),
    }
}

/// Whether a key asks about itself by it, which every key may.
fn is_about_key(operation: &Operation) -> bool {
    ["/api/v1/auth/api-key", "/api/v1/auth/api-key/rotate"].contains(&operation.path.as_str())
}

fn hold_keys_to_their_rights(operation: &Operation, statuses: &BTreeMap<Who, u16>) {
    if is_about_key(operation) {
        return;
    }
    let name = operation.name();
    if operation.method != "GET" {
        assert_eq!(statuses[&ReadOnlyKey], 403, "{name}");
    }
    if operation.path != "/api/v1/usage" {
        assert_eq!(statuses[&UsageKey], 403, "{name}");
    }
    assert!(statuses[&ServiceForOthers] >= 400, "{name}: {statuses:?}");
}
