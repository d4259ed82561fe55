//! What schemathesis says it found.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::command::Error;

/// What one run found, or several together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) runs: u64,
    /// Requests that were sent.
    pub(super) cases: u64,
    /// What is wrong with which operation, once each.
    pub(super) findings: BTreeSet<String>,
    /// Operations that no run found anything to ask about: all were answered with 404.
    pub(super) unreached: BTreeSet<String>,
}

impl Report {
    pub(super) fn add(&mut self, other: Self) {
        if self.runs == 0 {
            self.unreached = other.unreached;
        } else {
            self.unreached.retain(|operation| other.unreached.contains(operation));
        }
        self.runs += other.runs;
        self.cases += other.cases;
        self.findings.extend(other.findings);
    }
}

/// Reads the report of a run. A run that failed without naming anything, or that left operations out, is a finding.
pub(super) fn read(text: &str, success: bool) -> Result<Report, Error> {
    let report: Value = serde_json::from_str(text)?;
    let count = |pointer: &str| -> Result<u64, Error> {
        let found = report.pointer(pointer).and_then(Value::as_u64);
        Ok(found.ok_or_else(|| format!("the report of schemathesis has no {pointer}"))?)
    };
    let cases = count("/test_cases/generated")?.saturating_sub(count("/test_cases/errored")?);
    let mut findings = BTreeSet::new();
    for failure in items(&report, "failures") {
        let title = failure["title"].as_str().unwrap_or("unnamed");
        for operation in items(failure, "operations") {
            findings.insert(format!("{}: {title}", operation.as_str().unwrap_or("unnamed")));
        }
    }
    for error in items(&report, "errors") {
        findings.insert(format!("not testable: {error}"));
    }
    let (tested, selected) = (count("/operations/tested")?, count("/operations/selected")?);
    if tested < selected {
        findings.insert(format!("only {tested} of {selected} operations were tested"));
    }
    if !success && findings.is_empty() {
        findings.insert("schemathesis failed without saying why".to_owned());
    }
    let unreached = items(&report["warnings"], "missing_test_data").iter();
    let unreached = unreached.filter_map(|operation| operation.as_str().map(str::to_owned)).collect();
    Ok(Report { runs: 1, cases, findings, unreached })
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(failures: &str, tested: u64) -> String {
        format!(
            r#"{{"operations": {{"selected": 15, "tested": {tested}}},
                "test_cases": {{"generated": 1136, "errored": 1}}, "failures": {failures}, "errors": [],
                "warnings": {{"missing_test_data": ["GET /a"]}}}}"#
        )
    }

    #[test]
    fn a_failure_is_a_finding_of_each_of_its_operations() {
        let failures = r#"[{"title": "Server error", "operations": ["GET /a", "POST /a"]}]"#;

        let read = read(&report(failures, 15), false).unwrap();

        assert_eq!(read.cases, 1135);
        let findings: Vec<_> = read.findings.into_iter().collect();
        assert_eq!(findings, ["GET /a: Server error", "POST /a: Server error"]);
    }

    #[test]
    fn a_clean_report_has_no_findings() {
        assert!(read(&report("[]", 15), true).unwrap().findings.is_empty());
    }

    #[test]
    fn an_operation_that_one_run_reached_is_reached() {
        let run = || read(&report("[]", 15), true).unwrap();
        let mut total = Report::default();
        total.add(run());
        total.add(run());
        assert!(total.unreached.contains("GET /a"));

        total.add(Report { unreached: BTreeSet::new(), ..run() });
        assert!(total.unreached.is_empty());
    }

    #[test]
    fn an_untested_operation_or_an_unexplained_failure_is_a_finding() {
        assert_eq!(read(&report("[]", 14), true).unwrap().findings.len(), 1);
        assert_eq!(read(&report("[]", 15), false).unwrap().findings.len(), 1);
    }
}
