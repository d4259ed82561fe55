//! `refresh_replay` and `refresh_attacker`: a refresh token that two hold ends the session of both.

use std::time::Duration;

use chatstore::auth::Tokens;
use chatstore::{EndReason, Store};
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use serde_json::json;

use super::place::{Place, sessions};
use super::scene::Scene;
use super::{Arguments, Finding};

/// How long a token that was exchanged may be shown again while nothing was used that it was exchanged for.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a client goes on with an access token.
const PAUSE: Duration = Duration::from_secs(600);

/// The maximum number of times that the victim carries the session on after the first two.
const MORE_EXCHANGES: usize = 4;

/// A user whose tokens are misused.
struct Misuse {
    scene: Scene,
    /// Another store, which sees what is committed.
    witness: Store,
}

impl Misuse {
    async fn open(place: &Place) -> Result<Self, Error> {
        let scene = Scene::open(place).await?;
        let witness = place.open_at(&scene.clock).await?;
        Ok(Self { scene, witness })
    }

    async fn close(self) -> Vec<String> {
        self.scene.store.close().await;
        self.witness.close().await;
        self.scene.violations
    }

    /// Checks that the session has ended for every holder of its tokens, and that this is committed.
    async fn ended(&mut self, what: &str, held: &[&Tokens]) -> Result<(), Error> {
        for tokens in held {
            for (place, store) in [("here", &self.scene.store), ("in another store", &self.witness)] {
                if store.authenticate(&tokens.access_token).await?.is_some() {
                    self.scene.violations.push(format!("{what}: an access token still lets in {place}"));
                }
            }
            self.scene.refused(&format!("{what}: a token of the ended session"), tokens).await;
        }
        let Some(tokens) = held.first() else { return Ok(()) };
        let found = sessions(&self.witness, self.scene.user.id).await?;
        let Some((session, family)) = found.iter().find(|(session, _)| session.id == tokens.session_id)
        else {
            self.scene.violations.push(format!("{what}: the session is gone"));
            return Ok(());
        };
        if session.revoke_reason != Some(EndReason::Reuse) {
            self.scene
                .violations
                .push(format!("{what}: the session was ended for {:?}", session.revoke_reason));
        }
        if family.iter().any(|token| token.revoked_at.is_none()) {
            self.scene.violations.push(format!("{what}: a token of the family was not revoked"));
        }
        Ok(())
    }
}

/// The same token again at the end of the grace time, and a microsecond later.
pub(super) async fn replay(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    let mut misuse = Misuse::open(place).await?;
    for _ in 0..arguments.replays {
        let first = misuse.scene.login().await?;
        let second = misuse.scene.exchange(&first).await?;
        misuse.scene.clock.advance(GRACE);
        let again = misuse.scene.exchange(&first).await?;
        if again.refresh_token != second.refresh_token {
            misuse.scene.violations.push("another successor at the end of the grace time".to_owned());
        }
        misuse.scene.clock.advance(Duration::from_micros(1));
        misuse.scene.refused("a token after the grace time", &first).await;
        misuse.ended("after the grace time", &[&second, &again]).await?;
    }
    let figures = json!({ "replays": arguments.replays });
    Ok(Finding { figures, violations: misuse.close().await })
}

/// An attacker shows a token of the victim's at once.
pub(super) async fn attacker(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    let (mut misuse, mut random) = (Misuse::open(place).await?, Random::new(arguments.common.seed));
    for _ in 0..arguments.thefts {
        let mut held = vec![misuse.scene.login().await?];
        for _ in 0..2 + random.below(MORE_EXCHANGES) {
            let next = misuse.scene.exchange(&held[held.len() - 1]).await?;
            held.push(next);
        }
        // The successor of each of these was used: its holder has it.
        let stolen = &held[random.below(held.len() - 2)];
        misuse.scene.refused("a token whose successor was used", stolen).await;
        misuse.ended("after a theft", &held.iter().rev().collect::<Vec<_>>()).await?;
        steal_in_time(&mut misuse).await?;
    }
    let figures = json!({ "thefts": arguments.thefts, "thefts_within_the_grace_time": arguments.thefts });
    Ok(Finding { figures, violations: misuse.close().await })
}

/// Within the grace time an attacker looks like a second tab. The session ends when the attacker did something and both go
/// on.
async fn steal_in_time(misuse: &mut Misuse) -> Result<(), Error> {
    let first = misuse.scene.login().await?;
    let of_victim = misuse.scene.exchange(&first).await?;
    let of_attacker = misuse.scene.exchange(&first).await?;
    misuse.scene.clock.advance(PAUSE);
    let next_of_attacker = misuse.scene.exchange(&of_attacker).await?;
    if misuse.scene.store.authenticate(&next_of_attacker.access_token).await?.is_none() {
        misuse.scene.violations.push("a new access token does not let in".to_owned());
    }
    misuse.scene.clock.advance(PAUSE);
    misuse.scene.refused("a token that the attacker used", &of_victim).await;
    misuse.ended("after a theft within the grace time", &[&next_of_attacker, &of_victim]).await
}
