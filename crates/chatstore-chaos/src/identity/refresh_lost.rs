//! `refresh_lost`: whose answer was lost shows the same token again and goes on with the same successor.

use std::time::Duration;

use chatstore::Store;
use chatstore::auth::Tokens;
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use serde_json::json;

use super::place::{Place, breaks, sessions};
use super::scene::Scene;
use super::{Arguments, Finding};

/// Lost answers in one session, which lasts no more than 90 days.
const IN_A_SESSION: usize = 100;

/// How long the same token may be shown again, in microseconds.
const GRACE: usize = 10_000_000;

/// How long a client may go on with an access token, in microseconds.
const PAUSE: usize = 600_000_000;

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    let mut scene = Scene::open(place).await?;
    let mut random = Random::new(arguments.common.seed);
    let (mut exchanges, mut repetitions) = (Vec::new(), 0);
    let mut session: Option<Tokens> = None;
    for number in 0..arguments.lost {
        let tokens = match session.take() {
            Some(tokens) if number % IN_A_SESSION != 0 => tokens,
            _ => {
                exchanges.push(0);
                scene.login().await?
            }
        };
        let lost = match scene.exchange(&tokens).await {
            Ok(lost) => lost,
            Err(error) => {
                scene.violations.push(format!("exchange {number}: {error}"));
                continue;
            }
        };
        if let Some(count) = exchanges.last_mut() {
            *count += 1;
        }
        let moments = moments(&mut random);
        repetitions += moments.len();
        for (pause, after) in moments {
            scene.clock.advance(pause);
            let again = repeat(&scene.store, &tokens, &lost).await;
            scene
                .violations
                .extend(again.err().map(|what| format!("exchange {number} after {after} µs: {what}")));
        }
        scene.clock.advance(microseconds(random.below(PAUSE)));
        session = Some(lost);
    }
    let found = sessions(&scene.store, scene.user.id).await?;
    if found.len() != exchanges.len() {
        scene.violations.push(format!("{} sessions instead of {}", found.len(), exchanges.len()));
    }
    for ((session, tokens), count) in found.iter().zip(&exchanges) {
        scene.violations.extend(breaks(session, tokens, *count));
    }
    scene.store.close().await;
    let figures = json!({ "lost": arguments.lost, "shown_again": repetitions, "sessions": exchanges.len() });
    Ok(Finding { figures, violations: scene.violations })
}

/// One to three moments within the grace time, often its very end: how long to wait, and the time since the exchange.
fn moments(random: &mut Random) -> Vec<(Duration, usize)> {
    let mut since: Vec<usize> = (0..=random.below(3)).map(|_| random.below(GRACE)).collect();
    since.sort_unstable();
    if random.below(4) == 0 {
        since.pop();
        since.push(GRACE);
    }
    let mut before = 0;
    let mut found = Vec::new();
    for moment in since {
        found.push((microseconds(moment - before), moment));
        before = moment;
    }
    found
}

/// Shows a token again that was exchanged already.
async fn repeat(store: &Store, tokens: &Tokens, lost: &Tokens) -> Result<(), String> {
    let again = store.auth().refresh(&tokens.refresh_token).await.map_err(|error| error.to_string())?;
    if again.refresh_token != lost.refresh_token {
        return Err("another successor".to_owned());
    }
    match store.authenticate(&again.access_token).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err("its access token is refused".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn microseconds(count: usize) -> Duration {
    Duration::from_micros(count as u64)
}
