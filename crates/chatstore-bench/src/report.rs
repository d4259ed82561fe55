//! What was found: a table for people, JSON for programs.

use std::path::Path;

use chatstore_bench::drive::Outcome;
use chatstore_bench::error::Error;
use chatstore_bench::machine;
use chatstore_bench::samples::median;
use chatstore_bench::table::{self, Column};
use chatstore_sql::DatabaseKind;
use serde_json::{Map, Value, json};
use tokio_postgres::NoTls;

/// The same figure of each round, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.0)
    }

    /// The median of the ratios within each round: what the machine did meanwhile cancels out.
    fn ratio_to(&self, reference: &Self) -> f64 {
        let ratios: Vec<f64> = self.0.iter().zip(&reference.0).map(|(ours, other)| ours / other).collect();
        median(&ratios)
    }
}

/// Rate and latencies of the same operation in each round.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) rates: Figures,
    p50: Figures,
    pub(crate) p99: Figures,
}

impl Series {
    pub(crate) fn push(&mut self, outcome: Outcome) {
        self.rates.push(outcome.per_second());
        let mut latencies = outcome.latencies();
        self.p50.push(latencies.percentile(50));
        self.p99.push(latencies.percentile(99));
    }
}

/// What is to be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    ValueAtMost(f64),
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    PerSecond,
    Milliseconds,
}

/// One figure with its reference and target.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    experiment: &'static str,
    backend: DatabaseKind,
    what: String,
    callers: usize,
    unit: Unit,
    figures: Figures,
    reference: Option<(&'static str, Figures)>,
    target: Option<Target>,
    latencies: Option<[f64; 2]>,
}

impl Finding {
    /// Operations a second.
    pub(crate) fn rate(
        experiment: &'static str,
        backend: DatabaseKind,
        what: impl Into<String>,
        callers: usize,
        figures: &Figures,
    ) -> Self {
        Self {
            experiment,
            backend,
            what: what.into(),
            callers,
            unit: Unit::PerSecond,
            figures: figures.clone(),
            reference: None,
            target: None,
            latencies: None,
        }
    }

    /// Milliseconds.
    pub(crate) fn time(
        experiment: &'static str,
        backend: DatabaseKind,
        what: impl Into<String>,
        callers: usize,
        figures: &Figures,
    ) -> Self {
        Self { unit: Unit::Milliseconds, ..Self::rate(experiment, backend, what, callers, figures) }
    }

    /// With the figures of what it is compared to, round by round.
    pub(crate) fn beside(mut self, name: &'static str, figures: &Figures) -> Self {
        self.reference = Some((name, figures.clone()));
        self
    }

    pub(crate) fn target(mut self, target: Option<Target>) -> Self {
        self.target = target;
        self
    }

    /// With the median over the rounds of the 50th and 99th percentile.
    pub(crate) fn latencies(mut self, series: &Series) -> Self {
        self.latencies = Some([series.p50.median(), series.p99.median()]);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.reference.as_ref().map(|(_, reference)| self.figures.ratio_to(reference))
    }

    fn met(&self) -> Option<bool> {
        match self.target? {
            Target::RatioAtLeast(bound) => self.ratio().map(|ratio| ratio >= bound),
            Target::RatioAtMost(bound) => self.ratio().map(|ratio| ratio <= bound),
            Target::ValueAtMost(bound) => Some(self.figures.median() <= bound),
        }
    }

    fn cells(&self) -> Vec<String> {
        let shown = |figures: &Figures| match self.unit {
            Unit::PerSecond => format!("{:.0}/s", figures.median()),
            Unit::Milliseconds => format!("{:.3} ms", figures.median()),
        };
        let (name, reference) =
            self.reference.as_ref().map_or(("", String::new()), |(name, figures)| (*name, shown(figures)));
        let target = match self.target {
            None => String::new(),
            Some(Target::RatioAtLeast(bound)) => format!("≥ {bound}"),
            Some(Target::RatioAtMost(bound)) => format!("≤ {bound}"),
            Some(Target::ValueAtMost(bound)) => format!("≤ {bound} ms"),
        };
        let met = match self.met() {
            None => "",
            Some(true) => "met",
            Some(false) => "missed",
        };
        let latencies = self.latencies.map_or(String::new(), |[p50, p99]| format!("{p50:.2} / {p99:.2}"));
        vec![
            self.experiment.to_owned(),
            self.backend.as_str().to_owned(),
            self.callers.to_string(),
            self.what.clone(),
            shown(&self.figures),
            name.to_owned(),
            reference,
            self.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}")),
            format!("{target} {met}").trim().to_owned(),
            latencies,
        ]
    }

    fn to_json(&self) -> Value {
        let (target, bound) = match self.target {
            None => (None, None),
            Some(Target::RatioAtLeast(bound)) => (Some("ratio at least"), Some(bound)),
            Some(Target::RatioAtMost(bound)) => (Some("ratio at most"), Some(bound)),
            Some(Target::ValueAtMost(bound)) => (Some("value at most"), Some(bound)),
        };
        json!({
            "experiment": self.experiment,
            "backend": self.backend.as_str(),
            "callers": self.callers,
            "what": self.what,
            "unit": match self.unit {
                Unit::PerSecond => "operations a second",
                Unit::Milliseconds => "milliseconds",
            },
            "value": self.figures.median(),
            "rounds": self.figures.0,
            "reference": self.reference.as_ref().map(|(name, _)| name),
            "reference_value": self.reference.as_ref().map(|(_, figures)| figures.median()),
            "reference_rounds": self.reference.as_ref().map(|(_, figures)| &figures.0),
            "ratio": self.ratio(),
            "target": target,
            "bound": bound,
            "met": self.met(),
            "p50_ms": self.latencies.map(|latencies| latencies[0]),
            "p99_ms": self.latencies.map(|latencies| latencies[1]),
        })
    }
}

const COLUMNS: [Column; 10] = [
    Column::Words(""),
    Column::Words(""),
    Column::Numbers("callers"),
    Column::Words(""),
    Column::Numbers("chatstore"),
    Column::Words("beside"),
    Column::Numbers(""),
    Column::Numbers("ratio"),
    Column::Words("target"),
    Column::Words("p50 / p99 ms"),
];

/// Everything a run found, and on what.
#[derive(Debug)]
pub(crate) struct Report {
    settings: Value,
    machine: Value,
    versions: Map<String, Value>,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(settings: &Value) -> Self {
        let mut versions = Map::new();
        versions.insert("chatstore".to_owned(), env!("CARGO_PKG_VERSION").into());
        versions.insert("sqlite".to_owned(), rusqlite::version().into());
        Self { settings: settings.clone(), machine: machine::facts(), versions, findings: Vec::new() }
    }

    /// Notes the version of something that took part.
    pub(crate) fn version(&mut self, name: &str, version: String) {
        self.versions.insert(name.to_owned(), version.into());
    }

    /// Notes the version of the server.
    pub(crate) async fn version_of_postgres(&mut self, url: &str) -> Result<(), Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let version: String =
            client.query_one("select current_setting('server_version')", &[]).await?.try_get(0)?;
        self.version("postgres", version);
        drop(client);
        Ok(connection.await??)
    }

    pub(crate) fn add_all(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        let rows: Vec<Vec<String>> = self.findings.iter().map(Finding::cells).collect();
        table::print(&COLUMNS, &rows);
        println!("figures are medians of the rounds, ratios the medians of the ratios within each round");
    }

    /// Writes everything to a file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let report = json!({
            "machine": self.machine,
            "load_at_end": machine::load(),
            "versions": self.versions,
            "settings": self.settings,
            "findings": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        });
        write_json(path, &report)
    }
}

/// Writes a report to a file.
pub(crate) fn write_json(path: &Path, report: &Value) -> Result<(), Error> {
    std::fs::write(path, format!("{report:#}\n"))
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(values: &[f64]) -> Figures {
        Figures(values.to_vec())
    }

    #[test]
    fn a_ratio_compares_within_each_round() {
        let ours = figures(&[100.0, 10.0, 1_000.0]);
        let reference = figures(&[50.0, 5.0, 500.0]);
        assert_eq!(ours.ratio_to(&reference), 2.0);
    }

    #[test]
    fn a_target_is_met_or_missed_by_the_ratio_or_by_the_value() {
        let rate = |target| {
            Finding::rate("w1", DatabaseKind::Sqlite, "append", 1, &figures(&[90.0]))
                .beside("bare", &figures(&[100.0]))
                .target(Some(target))
                .met()
        };
        assert_eq!(rate(Target::RatioAtLeast(0.85)), Some(true));
        assert_eq!(rate(Target::RatioAtLeast(0.95)), Some(false));
        assert_eq!(rate(Target::RatioAtMost(0.85)), Some(false));
        assert_eq!(rate(Target::ValueAtMost(90.0)), Some(true));
        let without = Finding::rate("w1", DatabaseKind::Sqlite, "append", 1, &figures(&[90.0]));
        assert_eq!(without.met(), None);
    }
}
