//! The benchmarks run to their end. No test looks at a time.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test")]

use std::path::Path;
use std::process::Command;

use chatstore_testkit::server_program;
use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_chatstore-bench");

#[test]
fn every_benchmark_reports_its_figures_beside_their_references() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let arguments =
        ["bench", "--scale", "small", "--seconds", "0.05", "--rounds", "1", "--backend", "sqlite"];

    let server = server_program(Path::new(BENCH));
    let more = ["--server-binary", server.to_str().unwrap(), "--json", file.to_str().unwrap()];
    let output = Command::new(BENCH).args(arguments).args(more).output().unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let findings = report["findings"].as_array().unwrap();
    for experiment in ["w1", "w2", "r1", "r2", "documents", "http", "caches", "growth"] {
        let of_experiment: Vec<_> =
            findings.iter().filter(|finding| finding["experiment"] == experiment).collect();
        assert!(!of_experiment.is_empty(), "{experiment}");
        assert!(of_experiment.iter().any(|finding| finding["ratio"].is_number()), "{experiment}");
    }
}
