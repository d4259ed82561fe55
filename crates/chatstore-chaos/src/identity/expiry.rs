//! `expiry`: a session ends 14 days after it was carried on last, and 90 days after it began.

use std::time::Duration;

use chatstore::auth::Tokens;
use chatstore_bench::error::Error;
use serde_json::json;

use super::place::Place;
use super::scene::Scene;
use super::{Arguments, Finding};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a session lasts without being carried on, and its maximum.
const IDLE: Duration = Duration::from_secs(14 * DAY.as_secs());
const ABSOLUTE: Duration = Duration::from_secs(90 * DAY.as_secs());

const MOMENT: Duration = Duration::from_micros(1);

pub(super) async fn run(place: &Place, _arguments: &Arguments) -> Result<Finding, Error> {
    let mut scene = Scene::open(place).await?;
    scene.idle().await?;
    let carried_on = scene.absolute().await?;
    scene.store.close().await;
    let figures = json!({
        "idle_days": IDLE.as_secs() / DAY.as_secs(),
        "absolute_days": ABSOLUTE.as_secs() / DAY.as_secs(),
        "carried_on": carried_on,
    });
    Ok(Finding { figures, violations: scene.violations })
}

impl Scene {
    /// Holds that a session has ended, for its access token as well.
    async fn expired(&mut self, what: &str, tokens: &Tokens) -> Result<(), Error> {
        if self.store.authenticate(&tokens.access_token).await?.is_some() {
            self.violations.push(format!("{what}: the access token still lets in"));
        }
        self.refused(&format!("{what}: the refresh token"), tokens).await;
        Ok(())
    }

    /// Carried on in the last moment, and not carried on in time.
    async fn idle(&mut self) -> Result<(), Error> {
        let first = self.login().await?;
        self.clock.advance(IDLE - MOMENT);
        let second = self.exchange(&first).await?;
        self.clock.advance(IDLE - MOMENT);
        let third = self.exchange(&second).await?;
        self.clock.advance(IDLE);
        self.expired("14 days after the last exchange", &third).await?;
        let unused = self.login().await?;
        self.clock.advance(IDLE);
        self.expired("14 days after the login", &unused).await
    }

    /// Carried on day by day to the last moment; how often.
    async fn absolute(&mut self) -> Result<usize, Error> {
        let begun = self.store.now();
        let mut tokens = self.login().await?;
        let end = begun.plus(ABSOLUTE);
        let mut count = 0;
        while self.store.now().plus(DAY) < end {
            self.clock.advance(DAY);
            tokens = self.exchange(&tokens).await?;
            count += 1;
            let expected = self.store.now().plus(IDLE).min(end);
            if tokens.refresh_expires_at != expected {
                self.violations.push(format!("token {count} expires at {}", tokens.refresh_expires_at));
            }
        }
        self.clock.advance(DAY - MOMENT);
        let last = self.exchange(&tokens).await?;
        if self.store.authenticate(&last.access_token).await?.is_none() {
            self.violations.push("the session ended before 90 days".to_owned());
        }
        self.clock.advance(MOMENT);
        self.expired("90 days after the login", &last).await?;
        Ok(count + 1)
    }
}
