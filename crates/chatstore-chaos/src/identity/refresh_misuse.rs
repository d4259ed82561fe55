//! `refresh_replay` and `refresh_attacker`: a refresh token that two hold ends the session of both.

use std::sync::Arc;
use std::time::Duration;

use chatstore::auth::{LoginName, Password, Tokens};
use chatstore::{EndReason, ErrorKind, Store, User};
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_testkit::TestClock;
use serde_json::json;

use super::place::{PASSWORD, Place, member, sessions};
use super::{Arguments, Finding};

/// How long a token that was exchanged may be shown again.
const GRACE: Duration = Duration::from_secs(10);

/// How long a client goes on with an access token.
const PAUSE: Duration = Duration::from_secs(600);

/// The maximum number of times that the victim carries the session on after the first two.
const MORE_EXCHANGES: usize = 4;

const USER: &str = "victim";

/// A user whose tokens are misused.
struct Scene {
    clock: Arc<TestClock>,
    store: Store,
    /// Another store, which sees what is committed.
    witness: Store,
    user: User,
    violations: Vec<String>,
}

impl Scene {
    async fn open(place: &Place) -> Result<Self, Error> {
        let clock = Arc::new(TestClock::default());
        let store = place.open_at(&clock).await?;
        let witness = place.open_at(&clock).await?;
        let user = member(&store, USER).await?;
        Ok(Self { clock, store, witness, user, violations: Vec::new() })
    }

    async fn close(self) -> Vec<String> {
        self.store.close().await;
        self.witness.close().await;
        self.violations
    }

    async fn login(&self) -> Result<Tokens, Error> {
        let name = LoginName::Username(USER.to_owned());
        Ok(self.store.auth().login(name, Password::new(PASSWORD)).await?)
    }

    async fn exchange(&self, tokens: &Tokens) -> Result<Tokens, Error> {
        Ok(self.store.auth().refresh(&tokens.refresh_token).await?)
    }

    /// Shows a token that must be refused.
    async fn refused(&mut self, what: &str, tokens: &Tokens) {
        match self.store.auth().refresh(&tokens.refresh_token).await {
            Err(error) if error.kind() == ErrorKind::InvalidCredentials => {}
            Ok(_) => self.violations.push(format!("{what} was exchanged")),
            Err(error) => self.violations.push(format!("{what}: {error}")),
        }
    }

    /// Checks that the session has ended for every holder of its tokens, and that this is committed.
    async fn ended(&mut self, what: &str, held: &[&Tokens]) -> Result<(), Error> {
        for tokens in held {
            for (place, store) in [("here", &self.store), ("in another store", &self.witness)] {
                if store.authenticate(&tokens.access_token).await?.is_some() {
                    self.violations.push(format!("{what}: an access token still lets in {place}"));
                }
            }
            self.refused(&format!("{what}: a token of the ended session"), tokens).await;
        }
        let Some(tokens) = held.first() else { return Ok(()) };
        let found = sessions(&self.witness, self.user.id).await?;
        let Some((session, family)) = found.iter().find(|(session, _)| session.id == tokens.session_id)
        else {
            self.violations.push(format!("{what}: the session is gone"));
            return Ok(());
        };
        if session.revoke_reason != Some(EndReason::Reuse) {
            self.violations.push(format!("{what}: the session was ended for {:?}", session.revoke_reason));
        }
        if family.iter().any(|token| token.revoked_at.is_none()) {
            self.violations.push(format!("{what}: a token of the family was not withdrawn"));
        }
        Ok(())
    }
}

/// The same token again at the end of the grace time, and a microsecond later.
pub(super) async fn replay(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    let mut scene = Scene::open(place).await?;
    for _ in 0..arguments.replays {
        let first = scene.login().await?;
        let second = scene.exchange(&first).await?;
        scene.clock.advance(GRACE);
        let again = scene.exchange(&first).await?;
        if again.refresh_token != second.refresh_token {
            scene.violations.push("another successor at the end of the grace time".to_owned());
        }
        scene.clock.advance(Duration::from_micros(1));
        scene.refused("a token after the grace time", &first).await;
        scene.ended("after the grace time", &[&second, &again]).await?;
    }
    let figures = json!({ "replays": arguments.replays });
    Ok(Finding { figures, violations: scene.close().await })
}

/// An attacker shows a token of the victim's at once.
pub(super) async fn attacker(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    let (mut scene, mut random) = (Scene::open(place).await?, Random::new(arguments.common.seed));
    for _ in 0..arguments.thefts {
        let mut held = vec![scene.login().await?];
        for _ in 0..2 + random.below(MORE_EXCHANGES) {
            let next = scene.exchange(&held[held.len() - 1]).await?;
            held.push(next);
        }
        // The successor of each of these was used: its holder has it.
        let stolen = &held[random.below(held.len() - 2)];
        scene.refused("a token whose successor was used", stolen).await;
        scene.ended("after a theft", &held.iter().rev().collect::<Vec<_>>()).await?;
        steal_in_time(&mut scene).await?;
    }
    let figures = json!({ "thefts": arguments.thefts, "thefts_within_the_grace_time": arguments.thefts });
    Ok(Finding { figures, violations: scene.close().await })
}

/// Within the grace time an attacker looks like a second tab. The session ends when both go on.
async fn steal_in_time(scene: &mut Scene) -> Result<(), Error> {
    let first = scene.login().await?;
    let of_victim = scene.exchange(&first).await?;
    let of_attacker = scene.exchange(&first).await?;
    scene.clock.advance(PAUSE);
    let next_of_attacker = scene.exchange(&of_attacker).await?;
    scene.clock.advance(PAUSE);
    scene.refused("a token that the attacker used", &of_victim).await;
    scene.ended("after a theft within the grace time", &[&next_of_attacker, &of_victim]).await
}
