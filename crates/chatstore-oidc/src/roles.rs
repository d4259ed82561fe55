//! Which claims of a token give a role.

use std::str::FromStr;

use chatstore::UserRole;
use serde_json::{Map, Value};

/// Rules at most; each is tried on each token.
const MAX_RULES: usize = 32;

/// Which claims of a token give a role: rules like `admin:groups=chat-admins`, separated by semicolons. Without a rule
/// roles are not the provider's to give.
///
/// A claim is named as in the token (`groups`, `https://example.org/roles`), or by its path in objects
/// (`realm_access.roles`). Its value has to be this text, or a list with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleRules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    claim: String,
    value: String,
}

/// A text that is no list of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rule like admin:groups=chat-admins")]
pub struct InvalidRoleRules(String);

impl FromStr for RoleRules {
    type Err = InvalidRoleRules;

    fn from_str(text: &str) -> Result<Self, InvalidRoleRules> {
        let rules = text.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        let rules: Vec<Rule> = rules.map(str::parse).collect::<Result<_, _>>()?;
        if rules.len() > MAX_RULES {
            return Err(InvalidRoleRules(format!("{} rules", rules.len())));
        }
        Ok(Self(rules))
    }
}

impl FromStr for Rule {
    type Err = InvalidRoleRules;

    fn from_str(text: &str) -> Result<Self, InvalidRoleRules> {
        let parts = text.split_once(':').and_then(|(role, rest)| Some((role, rest.split_once('=')?)));
        match parts {
            Some((role, (claim, value)))
                if role.trim() == UserRole::Admin.as_str() && !claim.is_empty() && !value.is_empty() =>
            {
                Ok(Self { claim: claim.to_owned(), value: value.to_owned() })
            }
            _ => Err(InvalidRoleRules(text.to_owned())),
        }
    }
}

impl RoleRules {
    /// The role that these claims give.
    pub(crate) fn role(&self, claims: &Map<String, Value>) -> Option<UserRole> {
        if self.0.is_empty() {
            return None;
        }
        let is_admin = self.0.iter().any(|rule| rule.is_met(claims));
        Some(if is_admin { UserRole::Admin } else { UserRole::User })
    }
}

impl Rule {
    fn is_met(&self, claims: &Map<String, Value>) -> bool {
        match claims.get(&self.claim).or_else(|| by_path(claims, &self.claim)) {
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Array(items)) => items.iter().any(|item| item.as_str() == Some(&self.value)),
            _ => false,
        }
    }
}

fn by_path<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    let (first, rest) = path.split_once('.')?;
    let mut found = claims.get(first)?;
    for name in rest.split('.') {
        found = found.as_object()?.get(name)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(rules: &str, claims: Value) -> Option<UserRole> {
        let rules: RoleRules = rules.parse().unwrap();
        rules.role(claims.as_object().unwrap())
    }

    #[test]
    fn a_claim_gives_a_role_by_its_whole_value_or_an_item() {
        let (admin, user) = (Some(UserRole::Admin), Some(UserRole::User));
        let rules = "admin:groups=chat admins; admin:realm_access.roles=chat-admin;\
                     admin:https://example.org/roles=cn=admins,ou=groups";
        for (claims, expected) in [
            (json!({}), user),
            (json!({ "groups": "chat admins" }), admin),
            (json!({ "groups": ["staff", "chat admins"] }), admin),
            (json!({ "groups": ["Chat Admins", "chat admins "] }), user),
            (json!({ "groups": "chat admins and others" }), user),
            (json!({ "groups": { "chat admins": true } }), user),
            (json!({ "groups": [["chat admins"]] }), user),
            (json!({ "realm_access": { "roles": ["chat-admin"] } }), admin),
            (json!({ "realm_access.roles": ["chat-admin"] }), admin),
            (json!({ "realm_access": "roles" }), user),
            (json!({ "https://example.org/roles": ["cn=admins,ou=groups"] }), admin),
        ] {
            assert_eq!(role(rules, claims.clone()), expected, "{claims}");
        }
    }

    #[test]
    fn without_rules_roles_are_not_the_providers_to_give() {
        assert_eq!(role("", json!({ "groups": ["chat-admins"] })), None);
        assert_eq!(role(" ; ", json!({})), None);
    }

    #[test]
    fn an_invalid_rule_is_named() {
        for text in ["groups=a", "user:groups=a", "admin:groups", "admin:=a", "admin:groups=", "admin"] {
            let error = format!("admin:a=b; {text}").parse::<RoleRules>().unwrap_err();
            assert_eq!(error.to_string(), format!("{text:?} is no rule like admin:groups=chat-admins"));
        }
        assert!("admin:a=b;".repeat(MAX_RULES + 1).parse::<RoleRules>().is_err());
    }
}
