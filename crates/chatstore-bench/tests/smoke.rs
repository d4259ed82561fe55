//! The benchmarks run to their end and the experiments find nothing wrong. No test looks at a time.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test")]

use std::process::{Command, Output};

/// Runs the program on SQLite alone, which needs no server.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatstore-bench"));
    let output = command.args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn read_json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_benchmark_reports_its_figures_beside_their_references() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let arguments =
        ["bench", "--scale", "small", "--seconds", "0.05", "--rounds", "1", "--backend", "sqlite"];

    run(&[&arguments[..], &["--json", file.to_str().unwrap()]].concat());

    let report = read_json(&std::fs::read_to_string(file).unwrap());
    let findings = report["findings"].as_array().unwrap();
    for experiment in ["w1", "w2", "r1", "r2", "growth"] {
        let of_experiment: Vec<_> =
            findings.iter().filter(|finding| finding["experiment"] == experiment).collect();
        assert!(!of_experiment.is_empty(), "{experiment}");
        assert!(of_experiment.iter().any(|finding| finding["ratio"].is_number()), "{experiment}");
    }
}

#[test]
fn processes_that_open_a_fresh_file_at_once_all_succeed() {
    let output = run(&["open", "--rounds", "2"]);

    let line = read_json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(line["violations"], 0);
    assert_eq!(line["processes"], 8);
}
