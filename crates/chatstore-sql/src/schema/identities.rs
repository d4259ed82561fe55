//! Who a user is for an identity provider.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Text, Time, Uuid};

use super::parts::{Table, foreign_key, later, required, unique};

pub(crate) const IDENTITIES: Table = Table {
    name: "identities",
    entity: "identity",
    repository: "identities",
    columns: &[
        required("user_id", Uuid),
        required("issuer", Text),
        required("subject", Text),
        required("created_at", Time),
        later("token_issued_at", Time),
        later("revoked_before", Time),
    ],
    primary_key: &["user_id", "issuer", "subject"],
    key_field: Some("subject"),
    // Like name and address, it is what a user is found by.
    uniques: &[unique("uq_identities_subject", &["issuer", "subject"], "subject")],
    foreign_keys: &[foreign_key("fk_identities_user_id", &["user_id"], "users", &["id"], Cascade)],
    checks: &[],
    indexes: &[],
};
