//! Appends from many connections, as fast as they are answered or at a given pace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_bench::samples::Latencies;
use chatstore_bench::wire::Connection;
use chatstore_bench::wire_caller::Prepared;
use tokio::task::JoinSet;

/// The beginning of a load does not count.
const WARM_UP: Duration = Duration::from_millis(500);

/// Moments within an interval at which a connection may begin.
const PHASES: usize = 1_000;

/// After a connection was refused or lost.
const PAUSE: Duration = Duration::from_millis(5);

/// How the server is loaded.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) port: u16,
    pub(super) requests: Arc<Vec<Prepared>>,
    pub(super) connections: usize,
    pub(super) seed: u64,
    /// Requests a second on all connections together; `None` for as many as are answered.
    pub(super) pace: Option<f64>,
    pub(super) length: Duration,
}

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Appends acknowledged while they counted, and in all.
    pub(super) created: u64,
    pub(super) created_in_all: u64,
    pub(super) refused: u64,
    pub(super) refused_without_retry_after: u64,
    /// Connections that ended before their answer.
    pub(super) lost: u64,
    /// Any other status.
    pub(super) others: BTreeMap<u16, u64>,
    /// From sending to a 503, for the load generator itself.
    pub(super) refusals: Latencies,
}

impl Answers {
    pub(super) fn add(&mut self, other: Self) {
        self.created += other.created;
        self.created_in_all += other.created_in_all;
        self.refused += other.refused;
        self.refused_without_retry_after += other.refused_without_retry_after;
        self.lost += other.lost;
        for (status, count) in other.others {
            *self.others.entry(status).or_default() += count;
        }
        self.refusals.append(other.refusals);
    }

    /// Answers of every kind that counted.
    pub(super) fn count(&self) -> u64 {
        self.created + self.refused + self.others.values().sum::<u64>()
    }
}

impl Load {
    /// Loads the server for the given time.
    pub(super) async fn run(&self) -> Result<Answers, Error> {
        let start = Instant::now() + WARM_UP;
        let mut tasks = JoinSet::new();
        for number in 0..self.connections {
            let client = Client {
                load: self.clone(),
                random: Random::new(self.seed.wrapping_add(number as u64)),
                start,
                answers: Answers::default(),
            };
            tasks.spawn(client.run());
        }
        let mut answers = Answers::default();
        while let Some(finished) = tasks.join_next().await {
            answers.add(finished?);
        }
        Ok(answers)
    }

    /// Between two requests of one connection.
    #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
    fn interval(&self) -> Option<Duration> {
        self.pace.map(|pace| Duration::from_secs_f64(self.connections as f64 / pace.max(1.0)))
    }
}

/// One connection, opened again whenever it ends.
struct Client {
    load: Load,
    random: Random,
    start: Instant,
    answers: Answers,
}

impl Client {
    async fn run(mut self) -> Answers {
        let end = self.start + self.load.length;
        let interval = self.load.interval();
        let mut connection = None;
        let mut due = Instant::now();
        if let Some(interval) = interval {
            // Each connection at a moment of its own: all at once would be one burst after another with nothing between.
            due += interval.mul_f64(self.random.below(PHASES) as f64 / PHASES as f64);
            tokio::time::sleep_until(due.into()).await;
        }
        while Instant::now() < end {
            let open = match connection.take() {
                Some(open) => open,
                None => match Connection::open(self.load.port).await {
                    Ok(open) => open,
                    Err(_) => {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            connection = self.append(open).await;
            if let Some(interval) = interval {
                // What was missed while the answer was late is not made up for.
                due = (due + interval).max(Instant::now());
                tokio::time::sleep_until(due.into()).await;
            }
        }
        self.answers
    }

    /// Sends one append; the connection when it can be used again.
    async fn append(&mut self, mut connection: Connection) -> Option<Connection> {
        let request = &self.load.requests[self.random.below(self.load.requests.len())];
        let begun = Instant::now();
        let Ok(answer) = connection.exchange(request.bytes()).await else {
            self.answers.lost += 1;
            return None;
        };
        let finished = Instant::now();
        let (status, has_retry_after) = (answer.status(), answer.header("retry-after").is_some());
        let closes = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let counts = finished >= self.start && finished <= self.start + self.load.length;
        self.answers.note(status, has_retry_after, counts, finished - begun);
        (!closes).then_some(connection)
    }
}

impl Answers {
    fn note(&mut self, status: u16, has_retry_after: bool, counts: bool, latency: Duration) {
        if status == 201 {
            self.created_in_all += 1;
        }
        if !counts {
            return;
        }
        match status {
            201 => self.created += 1,
            503 => {
                self.refused += 1;
                self.refused_without_retry_after += u64::from(!has_retry_after);
                self.refusals.push(latency);
            }
            other => *self.others.entry(other).or_default() += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What comes back when every request is answered like this.
    async fn answers_to(answer: &'static str) -> Answers {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4_096];
                    while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        let requests = Arc::new(vec![Prepared::append("c", "key", "{}")]);
        let length = Duration::from_millis(100);
        let load = Load { port, requests, connections: 2, seed: 1, pace: Some(200.0), length };
        let answers = load.run().await.unwrap();
        serving.abort();
        answers
    }

    #[tokio::test]
    async fn a_refusal_without_retry_after_is_told_from_one_with_it() {
        let polite = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}";
        let answers = answers_to(polite).await;
        assert!(answers.refused > 0);
        assert_eq!((answers.refused_without_retry_after, answers.created), (0, 0));

        let curt = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let answers = answers_to(curt).await;
        assert!(answers.refused > 0);
        assert_eq!(answers.refused_without_retry_after, answers.refused);
    }

    #[tokio::test]
    async fn an_append_counts_only_after_the_warm_up() {
        let answers = answers_to("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
        assert!(answers.created > 0);
        assert!(answers.created_in_all > answers.created);
        assert_eq!(answers.count(), answers.created);
    }
}
