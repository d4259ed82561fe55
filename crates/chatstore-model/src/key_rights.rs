//! What an API key may do, beyond for whom it speaks.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::keyword::keywords;
use crate::{
    CanonicalJson, FieldCode, FlagField, FromText, InvalidJson, Keyword as _, Namespace, TextField, TextForm,
    TextsField, UserId, Validator, limits,
};

/// Whether a key only reads.
pub const READ_ONLY: FlagField = FlagField { name: "read_only", about: "Whether it only reads." };

/// The routes that a key may use.
pub const KEY_ROUTES: TextsField<RouteGroup> = TextsField::new("routes", "route")
    .at_most(RouteGroup::ALL.len())
    .about("The routes it may use, `conversations`, `documents`, `users`, `logs`, `usage`, `ai-cache` and `auth`; all of them when left out.");

/// The users that a service key may act for.
pub const KEY_USERS: TextsField<UserId> = TextsField::new("users", "user")
    .at_most(limits::KEY_USERS)
    .about("Of a service key: the only users it may act for, by id or short id.");

/// The namespace whose users a service key may act for.
pub const KEY_NAMESPACE: TextField<Namespace> =
    TextField::new("namespace").at_least(1).at_most(limits::NAMESPACE).formed(TextForm::Visible).about(
        "Of a service key: the only users it may act for are those with an external id in this namespace.",
    );

/// The namespace in which a service key names users, and creates those who are unknown.
pub const KEY_PROVISION: TextField<Namespace> = TextField::new("provision")
    .at_least(1)
    .at_most(limits::NAMESPACE)
    .formed(TextForm::Visible)
    .about("Of a service key: `Chatstore-User: ext:ID` names a user of this namespace, who is created when unknown.");

/// The addresses that a key may be used from.
pub const KEY_ADDRESSES: TextsField<IpNet> = TextsField::new("addresses", "address")
    .at_most(limits::KEY_ADDRESSES)
    .about("The addresses and networks it may be used from, like `192.0.2.7` and `10.0.0.0/8`; any when left out.");

keywords! {
    /// Routes of the API by what they are about.
    pub enum RouteGroup {
        /// Conversations, also as threads, with their members, messages and replies.
        Conversations = "conversations",
        /// Documents.
        Documents = "documents",
        /// Users, and the current one.
        Users = "users",
        /// Events, also those of all users.
        Logs = "logs",
        /// The usage of models.
        Usage = "usage",
        /// Cached responses of models.
        AiCache = "ai-cache",
        /// Sessions and keys.
        Auth = "auth",
    }
}

/// What an API key may do. By default everything that its user, or a service, may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRights {
    /// Whether it only reads.
    pub read_only: bool,
    /// The routes it may use; all of them when there is none.
    pub routes: Vec<RouteGroup>,
    /// Of a service key: the users it may act for; any when there is none.
    pub users: Vec<UserId>,
    /// Of a service key: the namespace whose users it may act for.
    pub namespace: Option<Namespace>,
    /// Of a service key: the namespace in which it names users and creates those who are unknown.
    pub provision: Option<Namespace>,
    /// The addresses and networks it may be used from; any when there is none.
    pub addresses: Vec<IpNet>,
}

/// The rights as they are stored. What a newer version wrote is not understood in part.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stored {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provision: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
}

impl KeyRights {
    /// Whether the key may do everything that its scope allows, from everywhere.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a service key with these rights may act for some users only.
    #[must_use]
    pub const fn is_for_some_users(&self) -> bool {
        !self.users.is_empty() || self.namespace.is_some()
    }

    /// Whether a service key with these rights may act for this user, whose external id is in this namespace.
    #[must_use]
    pub fn is_for(&self, user: UserId, namespace: Option<&str>) -> bool {
        let is_named = self.users.is_empty() || self.users.contains(&user);
        let is_within = self.namespace.as_ref().is_none_or(|within| namespace == Some(within.as_str()));
        is_named && is_within
    }

    /// The namespace of the external ids that the key names and sees.
    #[must_use]
    pub fn external_namespace(&self) -> Option<&Namespace> {
        self.provision.as_ref().or(self.namespace.as_ref())
    }

    /// Whether the key may use these routes.
    #[must_use]
    pub fn takes_route(&self, group: Option<RouteGroup>) -> bool {
        self.routes.is_empty() || group.is_some_and(|group| self.routes.contains(&group))
    }

    /// Whether the key may be used from this address; not from one that is unknown, unless any will do.
    #[must_use]
    pub fn takes_address(&self, address: Option<IpAddr>) -> bool {
        let is_within = |address: IpAddr| self.addresses.iter().any(|network| network.contains(&address));
        self.addresses.is_empty() || address.is_some_and(is_within)
    }

    /// Notes every rule that the rights of a user's key, or of a service key, break.
    pub(crate) fn check(&self, validator: &mut Validator, is_service: bool) {
        KEY_ROUTES.check(validator, self.routes.len());
        KEY_USERS.check(validator, self.users.len());
        KEY_ADDRESSES.check(validator, self.addresses.len());
        if !is_service {
            let given = [
                (KEY_USERS.name, !self.users.is_empty()),
                (KEY_NAMESPACE.name, self.namespace.is_some()),
                (KEY_PROVISION.name, self.provision.is_some()),
            ];
            for (name, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                validator.wrong(name, FieldCode::NotAllowed, "is for service keys");
            }
            return;
        }
        if self.namespace.is_some() && !self.users.is_empty() {
            validator.wrong(KEY_NAMESPACE.name, FieldCode::NotAllowed, "must not be given beside users");
        }
        let Some(provision) = &self.provision else { return };
        if !self.users.is_empty() {
            let message = "must not be given beside users: the key could not act for those it creates";
            validator.wrong(KEY_PROVISION.name, FieldCode::NotAllowed, message);
        }
        if self.namespace.as_ref().is_some_and(|namespace| namespace != provision) {
            let message = "must be the namespace whose users the key may act for";
            validator.wrong(KEY_PROVISION.name, FieldCode::NotAllowed, message);
        }
    }

    /// The rights as they are stored; `None` when they limit and grant nothing.
    ///
    /// # Errors
    /// Never: the error is the type of what turns values into JSON.
    pub fn to_json(&self) -> Result<Option<CanonicalJson>, InvalidJson> {
        if self.is_unlimited() {
            return Ok(None);
        }
        let stored = Stored {
            read_only: self.read_only,
            routes: self.routes.iter().map(|group| group.as_str().to_owned()).collect(),
            users: self.users.clone(),
            namespace: self.namespace.as_ref().map(ToString::to_string),
            provision: self.provision.as_ref().map(ToString::to_string),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
        };
        let text =
            serde_json::to_string(&stored).map_err(|error| InvalidJson::Malformed(error.to_string()))?;
        CanonicalJson::parse(&text).map(Some)
    }

    /// Reads what was stored. What is not understood whole is an error: the key must not gain rights by it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(json: Option<&CanonicalJson>) -> Result<Self, String> {
        let Some(json) = json else { return Ok(Self::default()) };
        // As an object: the fields of a list would be read by their order, and an empty one would allow everything.
        let object: Map<String, Value> =
            serde_json::from_str(json.as_str()).map_err(|error| error.to_string())?;
        let stored: Stored =
            serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())?;
        let namespace = |text: Option<String>| text.map(read::<Namespace>).transpose();
        Ok(Self {
            read_only: stored.read_only,
            routes: stored.routes.into_iter().map(read).collect::<Result<_, _>>()?,
            users: stored.users,
            namespace: namespace(stored.namespace)?,
            provision: namespace(stored.provision)?,
            addresses: stored.addresses.into_iter().map(read).collect::<Result<_, _>>()?,
        })
    }
}

fn read<T: FromText>(text: String) -> Result<T, String> {
    T::from_text(text).map_err(|(_, message)| message)
}

impl FromText for RouteGroup {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        Self::parse(&text)
            .ok_or_else(|| (FieldCode::NotAllowed, format!("must be some of {}", Self::words())))
    }
}

impl FromText for IpNet {
    /// Reads an address or a network; what is beyond the length of its prefix is cut off.
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        let address = || text.parse().map(|address: IpAddr| Self::from(address.to_canonical()));
        let read: Result<Self, _> = text.parse().or_else(|_| address());
        let message = "must be an address like 192.0.2.7 or a network like 10.0.0.0/8";
        read.map(|network| network.trunc()).map_err(|_| (FieldCode::InvalidFormat, message.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn network(text: &str) -> IpNet {
        IpNet::from_text(text.to_owned()).unwrap()
    }

    fn limited() -> KeyRights {
        KeyRights {
            read_only: true,
            routes: vec![RouteGroup::Usage, RouteGroup::Conversations],
            users: vec![UserId::from_uuid(Uuid::from_u128(7))],
            namespace: Some(Namespace::new("shop").unwrap()),
            provision: Some(Namespace::new("shop").unwrap()),
            addresses: vec![network("10.1.2.3/8"), network("2001:db8::1")],
        }
    }

    #[test]
    fn rights_are_stored_and_read_back() {
        let stored = limited().to_json().unwrap().unwrap();
        assert_eq!(
            stored.as_str(),
            r#"{"addresses":["10.0.0.0/8","2001:db8::1/128"],"namespace":"shop","provision":"shop","read_only":true,"routes":["usage","conversations"],"users":["00000000-0000-0000-0000-000000000007"]}"#
        );
        assert_eq!(KeyRights::from_json(Some(&stored)), Ok(limited()));
        assert_eq!(KeyRights::default().to_json(), Ok(None));
        assert_eq!(KeyRights::from_json(None), Ok(KeyRights::default()));
    }

    #[test]
    fn stored_rights_that_are_not_understood_are_an_error() {
        for text in [
            r#"{"read_only":1}"#,
            r#"{"routes":["unheard-of"]}"#,
            r#"{"addresses":["10.0.0.0/33"]}"#,
            r#"{"namespace":""}"#,
            r#"{"hours":[9,17]}"#,
            "[]",
        ] {
            let json = CanonicalJson::parse(text).unwrap();
            assert!(KeyRights::from_json(Some(&json)).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_compared_as_what_it_is() {
        let rights = KeyRights { addresses: vec![network("::ffff:192.0.2.7")], ..KeyRights::default() };
        assert!(rights.takes_address(Some("192.0.2.7".parse().unwrap())));
        assert!(!rights.takes_address(Some("192.0.2.8".parse().unwrap())));
        assert!(!rights.takes_address(None), "an unknown address is none of those");
        assert!(KeyRights::default().takes_address(None));
    }

    #[test]
    fn a_key_for_some_routes_takes_no_route_of_an_unknown_group() {
        let rights = KeyRights { routes: vec![RouteGroup::Usage], ..KeyRights::default() };
        assert!(rights.takes_route(Some(RouteGroup::Usage)));
        assert!(!rights.takes_route(Some(RouteGroup::Auth)) && !rights.takes_route(None));
        assert!(KeyRights::default().takes_route(None));
    }
}
