//! The users of the experiment.

use chatstore::auth::Password;
use chatstore::{NewUser, Store, UserName};
use chatstore_bench::error::Error;
use chatstore_bench::wire;
use serde_json::json;

/// The password of everyone.
pub(super) const PASSWORD: &str = "correct horse battery";

/// Whose password is guessed.
pub(super) const VICTIM: &str = "victim";

/// Users who log in meanwhile, from another address.
pub(super) const OTHERS: usize = 16;

/// Users of the attacker.
pub(super) const ATTACKERS: usize = 3;

pub(super) fn other(number: usize) -> String {
    format!("other-{number}")
}

pub(super) fn attacker(number: usize) -> String {
    format!("attacker-{number}")
}

/// Creates them, while no server runs.
pub(super) async fn create(database_url: &str) -> Result<(), Error> {
    let store = Store::connect(database_url).await?;
    let names = (0..OTHERS).map(other).chain((0..ATTACKERS).map(attacker)).chain([VICTIM.to_owned()]);
    for name in names {
        let new = NewUser::named(UserName::new(name)?);
        store.users().create_with_password(new, Password::new(PASSWORD)).await?;
    }
    store.close().await;
    Ok(())
}

/// The bytes of a login.
pub(super) fn login(name: &str, password: &str) -> Vec<u8> {
    wire::post_anonymously(
        "/api/v1/auth/login",
        &json!({ "username": name, "password": password }).to_string(),
    )
}
