//! What a sequence knows of what it created, and what it does next.

use chatstore_model::{
    ApiKeyId, Change, ConversationId, DocumentId, Email, EndReason, MemberRole, MessageId, NewUser,
    PasswordHash, SessionId, Timestamp, UserId, UserName, UserPatch, UserRole,
};
use chatstore_sql::{LogActor, LogOwner, Via};

use crate::random::Random;
use crate::run::{Created, Outcome};
use crate::step::Step;
use crate::values;

const USERS_AT_FIRST: usize = 3;

pub struct World {
    seed: u64,
    users: Vec<UserId>,
    conversations: Vec<(UserId, ConversationId)>,
    messages: Vec<(UserId, ConversationId, MessageId)>,
    documents: Vec<(UserId, DocumentId)>,
    keys: Vec<(UserId, ApiKeyId)>,
    sessions: Vec<(UserId, SessionId)>,
}

impl World {
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            users: Vec::new(),
            conversations: Vec::new(),
            messages: Vec::new(),
            documents: Vec::new(),
            keys: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Takes note of what was created.
    pub fn learn(&mut self, outcome: &Outcome) {
        for created in &outcome.created {
            match *created {
                Created::User(id) => self.users.push(id),
                Created::Conversation(owner, id) => self.conversations.push((owner, id)),
                Created::Message(owner, conversation, id) => self.messages.push((owner, conversation, id)),
                Created::Document(owner, id) => self.documents.push((owner, id)),
                Created::Key(user, id) => self.keys.push((user, id)),
                Created::Session(user, id) => self.sessions.push((user, id)),
            }
        }
    }

    pub fn next_step(&self, random: &mut Random, number: usize) -> Step {
        if number < USERS_AT_FIRST || self.users.is_empty() {
            return Step::CreateUser(NewUser::named(self.name(number)));
        }
        if number < 2 * USERS_AT_FIRST {
            let conversation = values::conversation(random);
            return Step::CreateConversation(self.users[number % self.users.len()], conversation);
        }
        match random.below(100) {
            0..8 => Step::Wait(random.pick(&[0, 1, 1_000_000, 3_600_000_000, 86_400_000_000, -1_500_000])),
            8..18 => self.on_users(random),
            18..38 => self.on_conversations(random),
            38..48 => self.on_members(random),
            48..72 => self.on_messages(random),
            72..77 => self.on_documents(random),
            77..80 => self.on_events(random),
            80..86 => self.on_sessions(random),
            86..92 => self.on_keys(random),
            92..96 => self.on_records(random),
            _ => Step::Together((0..3).map(|_| self.change(random)).collect()),
        }
    }

    /// A step for a transaction of several.
    fn change(&self, random: &mut Random) -> Step {
        loop {
            let step = match random.below(3) {
                0 => self.on_conversations(random),
                1 => self.on_members(random),
                _ => self.on_messages(random),
            };
            let is_change = matches!(
                step,
                Step::CreateConversation(..)
                    | Step::UpdateConversation(..)
                    | Step::PutMember(..)
                    | Step::Append(..)
                    | Step::AppendMany(..)
                    | Step::Reply(..)
                    | Step::EditMessage(..)
                    | Step::DeleteMessage(..)
            );
            if is_change {
                return step;
            }
        }
    }

    /// Names of this sequence only, few of them, some the same in another spelling.
    fn name(&self, number: usize) -> UserName {
        let spelled = if number.is_multiple_of(2) { "Zoë" } else { "ZOE\u{308}" };
        UserName::new(format!("{spelled} {} {}", self.seed, number / 2)).unwrap()
    }

    fn email(&self, number: usize) -> Email {
        let domain = if number.is_multiple_of(2) { "example" } else { "EXAMPLE" };
        Email::new(format!("user{}-{}@{domain}.org", self.seed, number / 2)).unwrap()
    }

    fn user(&self, random: &mut Random) -> UserId {
        match random.below(25) {
            0 => UserId::ANONYMOUS,
            1 => UserId::from_uuid(uuid::Uuid::from_u128(u128::MAX)),
            _ => random.pick(&self.users),
        }
    }

    /// A conversation and its owner, mostly; else a user who may be a member or a stranger.
    fn place(&self, random: &mut Random) -> (UserId, ConversationId) {
        let Some(&last) = self.conversations.last() else {
            return (self.user(random), ConversationId::from_uuid(uuid::Uuid::from_u128(77)));
        };
        let (owner, id) = if random.percent(50) { last } else { random.pick(&self.conversations) };
        if random.percent(85) { (owner, id) } else { (self.user(random), id) }
    }

    fn accessed(&self, random: &mut Random) -> (Via, ConversationId) {
        let (owner, id) = self.place(random);
        let by = if random.percent(60) { Via::Owner(owner) } else { Via::Member(self.user(random)) };
        (by, id)
    }

    fn message(&self, random: &mut Random) -> (UserId, ConversationId, MessageId) {
        let (owner, conversation) = self.place(random);
        let here: Vec<_> =
            self.messages.iter().filter(|(_, place, _)| *place == conversation).copied().collect();
        match here.last() {
            Some(&newest) if random.percent(40) => newest,
            Some(_) if random.percent(80) => random.pick(&here),
            _ => (owner, conversation, MessageId::from_uuid(uuid::Uuid::from_u128(random.below(9) as u128))),
        }
    }

    fn on_users(&self, random: &mut Random) -> Step {
        let number = random.below(8);
        match random.below(10) {
            0 => {
                let email = random.maybe(50, |random| self.email(random.below(8)));
                Step::CreateUser(NewUser {
                    is_email_verified: email.is_some() && random.percent(50),
                    email,
                    full_name: random.maybe(50, values::text),
                    is_active: random.percent(80),
                    ..NewUser::named(self.name(number))
                })
            }
            1 | 2 => Step::GetOrCreateUser(self.email(number).as_typed().to_owned()),
            3 | 4 => Step::UpdateUser(self.user(random), self.user_patch(random)),
            5 => Step::GetUser(self.user(random)),
            6 => Step::FindUser(self.name(number).as_typed().to_lowercase()),
            7 => Step::FindUser(values::text(random)),
            8 => Step::PageUsers(values::order(random), values::limit(random)),
            _ => Step::EraseUser(self.user(random)),
        }
    }

    fn user_patch(&self, random: &mut Random) -> UserPatch {
        let number = random.below(8);
        let (name, email) = (self.name(number), self.email(number));
        let email = random.pick(&[Change::Keep, Change::Keep, Change::Clear, Change::Set(email)]);
        let is_set = email.value().is_some();
        UserPatch {
            username: random.pick(&[Change::Keep, Change::Keep, Change::Clear, Change::Set(name)]),
            email,
            is_email_verified: random.maybe(50, |random| random.percent(50)).filter(|_| is_set),
            full_name: random.pick(&[Change::Keep, Change::Clear, Change::Set("é".to_owned())]),
            role: random.maybe(20, |_| UserRole::Admin),
            is_active: random.maybe(30, |random| random.percent(50)),
            must_change_password: None,
            metadata: None,
        }
    }

    fn on_conversations(&self, random: &mut Random) -> Step {
        let (user, id) = self.place(random);
        match random.below(12) {
            0 => Step::CreateConversation(self.user(random), values::conversation(random)),
            1 => Step::GetOrCreateThread(self.user(random), values::thread(random)),
            2..5 => Step::UpdateConversation(user, id, values::conversation_patch(random)),
            5 => Step::DeleteConversation(user, id),
            6 => {
                let (by, id) = self.accessed(random);
                Step::GetConversation(by, id)
            }
            7 => Step::FindThread(user, format!("thread {}", random.below(4))),
            8 => Step::Access(user, id),
            9 | 10 => Step::ListConversations(self.user(random), values::conversation_list(random)),
            _ => Step::CountConversations(self.user(random), values::conversation_filter(random)),
        }
    }

    fn on_members(&self, random: &mut Random) -> Step {
        let (owner, id) = self.place(random);
        let user = self.user(random);
        match random.below(8) {
            0..5 => Step::PutMember(owner, id, user, random.pick(&[MemberRole::Editor, MemberRole::Viewer])),
            5 => Step::RemoveMember(owner, id, user),
            _ => Step::ListMembers(owner, id, values::limit(random)),
        }
    }

    fn on_messages(&self, random: &mut Random) -> Step {
        let (by, id) = self.accessed(random);
        let (owner, place, message) = self.message(random);
        match random.below(18) {
            0..5 => Step::Append(by, id, values::message(random)),
            5 | 6 => {
                let count = random.pick(&[0, 1, 2, 5, 30]);
                let senders = (0..count).map(|_| random.maybe(30, |random| self.user(random))).collect();
                let new = (0..count).map(|_| values::message(random)).collect();
                Step::AppendMany(by.user(), id, senders, new)
            }
            7..10 => Step::Reply(by.user(), id, values::reply(random)),
            10 => Step::EditMessage(owner, place, message, values::message_patch(random)),
            11 => Step::DeleteMessage(owner, place, message),
            12 => Step::GetMessage(by, place, message),
            13 => Step::FindMessage(by, id, random.between(0, 9)),
            14 => {
                let (range, order) = (values::range(random), values::order(random));
                Step::ListMessages(by, id, range, order, values::limit(random))
            }
            15 if random.percent(50) => {
                let (leaf, order) = (random.between(1, 9), values::order(random));
                Step::ListPath(owner, place, leaf, order, values::limit(random))
            }
            15 => Step::Around(by, id, random.between(0, 12), values::limit(random)),
            16 => Step::GetResponse(owner, message),
            _ => {
                let days = ["1969-12-31", "2026-03-01", "2026-03-05", "9999-12-30"];
                let (from, to) = (random.pick(&days), random.pick(&days));
                Step::Usage(by.user(), from.parse().unwrap(), to.parse().unwrap())
            }
        }
    }

    fn on_documents(&self, random: &mut Random) -> Step {
        let absent = (self.user(random), DocumentId::from_uuid(uuid::Uuid::from_u128(5)));
        let (owner, id) = match self.documents.is_empty() || random.percent(10) {
            true => absent,
            false => random.pick(&self.documents),
        };
        match random.below(10) {
            0 | 1 => Step::CreateDocument(self.user(random), values::document(random)),
            2 => {
                let count = random.pick(&[0, 1, 7]);
                Step::CreateDocuments(owner, (0..count).map(|_| values::document(random)).collect())
            }
            3 | 4 => Step::UpdateDocument(owner, id, values::document_patch(random)),
            5 => Step::DeleteDocument(owner, id),
            6 => Step::GetDocument(owner, id),
            7 | 8 => Step::ListDocuments(owner, values::document_list(random)),
            _ => {
                let known = self.documents.iter().map(|(_, id)| *id).take(random.below(4));
                Step::FindDocuments(owner, known.chain([id]).collect())
            }
        }
    }

    fn on_events(&self, random: &mut Random) -> Step {
        let user = self.user(random);
        match random.below(10) {
            0..3 => {
                let actor =
                    LogActor { id: random.maybe(60, |random| self.user(random)), ..LogActor::default() };
                Step::AppendEvent(user, actor, values::log_event(random))
            }
            3..6 => {
                let end = |random: &mut Random| random.below(usize::MAX) as u64;
                let users = (0..3).map(|_| (self.user(random), end(random))).collect();
                Step::RecordEvents(users, values::log_event(random))
            }
            6 => Step::PruneEvents(values::time(random)),
            7 => Step::ListEvents(LogOwner::User(user), values::log_list(random)),
            _ => Step::ListEvents(LogOwner::Everyone, values::log_list(random)),
        }
    }

    fn on_keys(&self, random: &mut Random) -> Step {
        let user = self.user(random);
        let known = self.keys.last().copied();
        match (random.below(6), known) {
            (0 | 1, _) | (_, None) => Step::CreateKey(user, values::api_key(random)),
            (2, _) => Step::FindKey(user, values::hash(random)),
            (3, _) => Step::ListKeys(user),
            (4, Some((owner, id))) => Step::RevokeKey(owner, id),
            (_, Some((owner, id))) => {
                let at = Timestamp::from_microseconds(random.between(0, 5)).unwrap();
                Step::TouchKey(owner, id, at)
            }
        }
    }

    fn on_sessions(&self, random: &mut Random) -> Step {
        let Some((user, id)) = self.sessions.last().copied().filter(|_| random.percent(80)) else {
            return Step::BeginSession(self.user(random), values::session(random));
        };
        let reasons = [EndReason::Logout, EndReason::LogoutAll, EndReason::Disabled];
        match random.below(16) {
            0..6 => Step::Rotate(user, id, random.between(0, 4)),
            6 => Step::Rotate(self.user(random), id, 0),
            7..10 => Step::LookAtSession(user, id),
            10 => Step::PageSessions(user, values::limit(random)),
            11 => Step::EndSession(user, id, random.pick(&reasons)),
            12 => Step::EndSessions(self.user(random), random.pick(&reasons)),
            13 => {
                let hash = PasswordHash::known("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA").unwrap();
                Step::SetPassword(self.user(random), hash)
            }
            14 => Step::FindPassword(self.user(random)),
            _ => match random.percent(80) {
                true => Step::TouchSession(user, id, values::time(random)),
                false => Step::PruneSessions(Timestamp::from_microseconds(500_000).unwrap()),
            },
        }
    }

    fn on_records(&self, random: &mut Random) -> Step {
        let (owner, caller) = (self.user(random), self.user(random));
        match random.below(8) {
            0..4 => Step::Record(owner, caller, values::record(random)),
            4..7 => Step::FindRecord(caller, values::key(random)),
            _ => Step::PruneRecords(Timestamp::from_microseconds(500_000).unwrap()),
        }
    }
}
