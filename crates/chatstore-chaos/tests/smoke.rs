//! The experiments run to their end and find nothing wrong. No test looks at a time.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test is told of a PostgreSQL server by the environment")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chatstore_testkit::server::{PostgresServer, Settings};
use chatstore_testkit::server_program;
use serde_json::Value;

const CHAOS: &str = env!("CARGO_BIN_EXE_chatstore-chaos");

fn server_binary() -> PathBuf {
    server_program(Path::new(CHAOS))
}

/// Runs an experiment with the real server, on PostgreSQL too where the suite has one; its lines.
fn run_experiment(arguments: &[&str]) -> Vec<Value> {
    let binary = server_binary();
    run_on_backends(&[arguments, &["--server-binary", binary.to_str().unwrap()]].concat())
}

/// Runs an experiment, on PostgreSQL too where the suite has one; its lines.
fn run_on_backends(arguments: &[&str]) -> Vec<Value> {
    let postgres = std::env::var("CHATSTORE_TEST_POSTGRES_URL").unwrap_or_default();
    let backend = if postgres.is_empty() { "sqlite" } else { "both" };
    let output = run(&[arguments, &["--backend", backend, "--postgres-url", &postgres]].concat());
    let output = String::from_utf8_lossy(&output.stdout);
    // Beside them there may be a table.
    let lines: Vec<Value> = output.lines().filter(|line| line.starts_with('{')).map(read_json).collect();
    let backends: Vec<&Value> = lines.iter().map(|line| &line["backend"]).collect();
    assert!(backends.contains(&&Value::from("sqlite")));
    assert_eq!(backends.contains(&&Value::from("postgres")), !postgres.is_empty());
    lines
}

/// Runs the program.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(CHAOS);
    let output = command.args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn read_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn processes_that_open_a_fresh_file_at_once_all_succeed() {
    let output = run(&["open", "--rounds", "2"]);

    let line = read_json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(line["violations"], 0);
    assert_eq!(line["processes"], 8);
}

#[test]
fn many_may_upgrade_at_once_and_a_killed_upgrade_is_continued() {
    let few = ["--rounds", "1", "--postgres-rounds", "1", "--kills", "3", "--processes", "8"];

    let lines = run_on_backends(&[&["migrations"], &few[..]].concat());

    assert!(lines.iter().all(|line| line["violations"] == 0));
}

#[test]
fn what_was_acknowledged_survives_the_death_of_the_server() {
    let lines = run_experiment(&["crash", "--rounds", "1", "--writers", "4"]);

    assert!(lines.iter().all(|line| line["acknowledged"].as_u64() > Some(0)));
}

#[test]
fn what_was_acknowledged_survives_faults_of_the_database_and_of_clients() {
    let short = ["--seconds", "0.5", "--after", "6", "--frozen-clients", "8", "--locked-clients", "8"];

    let lines = run_experiment(&[&["database-faults", "--no-bounds", "--starts", "2"], &short[..]].concat());

    assert!(lines.iter().all(|line| line["violations"] == 0 && line["stored"].as_u64() > Some(0)));
}

#[test]
fn nothing_is_acknowledged_after_the_file_of_a_server_was_exchanged() {
    let binary = server_binary();

    let output =
        run(&["file", "--server-binary", binary.to_str().unwrap(), "--rounds", "1", "--writers", "4"]);

    let output = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Value> = output.lines().map(read_json).collect();
    assert_eq!(lines.len(), 9, "every fault");
    assert!(lines.iter().all(|line| line["acknowledged"].as_u64() > Some(0)));
    assert!(lines.iter().all(|line| line["refused_afterwards"].as_u64() > Some(0)));
}

#[test]
fn a_backup_beside_writers_is_a_state_that_was_and_a_killed_one_leaves_nothing() {
    let binary = server_binary();
    let few = ["--rounds", "1", "--kills", "2", "--writers", "8", "--messages", "2000"];

    let output = run(&[&["backup", "--server-binary", binary.to_str().unwrap()], &few[..]].concat());

    let line = read_json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(line["violations"], 0);
    assert!(line["acknowledged_batches"].as_u64() > Some(0));
}

#[test]
fn what_is_refused_under_load_says_when_to_retry() {
    let arguments = ["--rounds", "1", "--seconds", "0.3", "--connections", "100", "--no-bounds"];

    let lines = run_experiment(&[&["overload"], &arguments[..]].concat());

    assert!(lines.iter().all(|line| line["peak_per_second"].as_f64() > Some(0.0)));
}

#[test]
fn what_is_sent_several_times_under_one_key_happens_once() {
    let lines = run_experiment(&["idempotency", "--keys", "80", "--kills", "2"]);

    assert!(lines.iter().all(|line| line["sent"].as_u64() > Some(80)));
}

#[test]
fn a_long_conversation_is_gone_at_once_and_its_rows_in_the_end_though_the_server_is_killed() {
    let arguments = ["deletion", "--messages", "20000", "--seconds", "0.2", "--writers", "2", "--no-bounds"];

    let lines = run_experiment(&arguments);

    assert!(lines.iter().all(|line| line["violations"] == 0));
}

#[test]
fn slow_clients_are_disconnected() {
    let binary = server_binary();
    // What is closed here has not reached a database.
    let arguments = ["--backend", "sqlite", "--half-open", "20", "--slow-bodies", "0", "--no-bounds"];

    let output =
        run(&[&["slow-clients", "--server-binary", binary.to_str().unwrap()], &arguments[..]].concat());

    let line = read_json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(line["heads_closed_in_time"], 20);
}

#[test]
fn large_answers_are_read_beside_some_that_are_not() {
    let few = ["--messages", "4", "--readers", "2", "--stalled", "2", "--seconds", "0.5", "--rest", "0.1"];

    let lines = run_experiment(&[&["large-answers", "--no-bounds"], &few[..]].concat());

    assert!(lines.iter().all(|line| line["pages"].as_u64() > Some(0)));
}

#[test]
fn a_conversation_is_read_as_lines_beside_others() {
    let few = ["--messages", "600", "--readers", "2", "--slow", "4", "--seconds", "1"];

    let lines = run_experiment(&[&["streams", "--no-bounds"], &few[..]].concat());

    assert!(lines.iter().all(|line| line["streams"].as_u64() > Some(0)));
}

#[test]
fn tabs_lose_nothing_of_each_other() {
    let lines = run_experiment(&["tabs", "--rounds", "1", "--tabs", "8", "--requests", "40"]);

    assert!(lines.iter().all(|line| line["swapped"].as_u64() > Some(0)));
}

#[test]
fn events_are_stored_beside_requests() {
    let few = ["--rounds", "1", "--rate", "1000", "--seconds", "1", "--kills", "1", "--old", "3000"];

    let lines = run_experiment(&[&["logs", "--no-bounds"], &few[..]].concat());

    for line in lines {
        assert_eq!(line["violations"], 0, "{line}");
    }
}

#[test]
fn long_reads_are_answered_beside_writers() {
    let few = ["--conversations", "3000", "--writers", "2", "--seconds", "0.5"];

    let lines = run_experiment(&[&["long-reads", "--no-bounds"], &few[..]].concat());

    assert!(lines.iter().all(|line| line["reads"].as_u64() > Some(0)));
}

#[test]
fn a_killed_import_ends_in_the_same_rows_when_it_is_run_again() {
    let arguments = ["import", "--kills", "3", "--kill-messages", "3000", "--messages", "2000"];

    for line in run_experiment(&arguments) {
        assert_eq!(line["violations"], 0);
        assert!(line["ratio"].is_number());
    }
}

#[test]
fn lines_are_imported_as_the_rows_that_a_copy_of_them_has() {
    for format in ["jsonl", "tinydb"] {
        let arguments = ["--format", format, "--messages", "3000", "--rounds", "1", "--no-bounds"];

        for line in run_experiment(&[&["import-lines"], &arguments[..]].concat()) {
            assert_eq!(line["violations"], 0);
            assert!(line["ratio"].is_number());
        }
    }
}

#[test]
fn every_request_sent_before_the_stop_is_answered() {
    let lines = run_experiment(&["drain", "--rounds", "3", "--clients", "8"]);

    assert!(lines.iter().all(|line| line["violations"] == 0 && line["acknowledged"].as_u64() > Some(0)));
}

#[test]
fn idle_connections_keep_nobody_out() {
    let binary = server_binary();
    // What idles has not reached a database.
    let arguments = ["--backend", "sqlite", "--connections", "300", "--requests", "20", "--no-bounds"];

    let output =
        run(&[&["idle-connections", "--server-binary", binary.to_str().unwrap()], &arguments[..]].concat());

    let line = read_json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((&line["violations"], &line["health_requests"]), (&0.into(), &20.into()));
}

#[test]
fn whatever_is_sent_the_server_answers_refuses_or_closes() {
    let lines = run_experiment(&["raw-requests", "--requests", "1500", "--clients", "8", "--no-bounds"]);

    assert!(lines.iter().all(|line| line["violations"] == 0 && line["answers"]["200"].as_u64() > Some(0)));
}

#[test]
fn one_address_keeps_no_other_out() {
    let few = ["--seconds", "1.5", "--silent", "16", "--idle", "64", "--loops", "8", "--no-bounds"];

    let lines = run_experiment(&[&["shares"], &few[..]].concat());

    assert!(lines.iter().all(|line| line["violations"] == 0));
    assert!(lines.iter().all(|line| line["attackers_let_in"].as_u64() > Some(0)));
}

#[test]
fn a_long_conversation_is_imported_beside_writers_and_by_two_at_once() {
    let few = ["--turns", "4000", "--kills", "2", "--writers", "2", "--no-bounds"];

    let lines = run_experiment(&[&["long-import"], &few[..]].concat());

    assert!(lines.iter().all(|line| line["violations"] == 0));
}

#[test]
fn sessions_last_until_logout_and_no_longer() {
    let few = [
        ["--login-requests", "2"],
        ["--logins", "30"],
        ["--rounds", "1"],
        ["--lost", "5"],
        ["--tab-rounds", "3"],
        ["--server-rounds", "3"],
        ["--replays", "2"],
        ["--thefts", "2"],
        ["--logouts", "1"],
    ];

    let lines = run_on_backends(&[&["identity", "--no-bounds"], few.as_flattened()].concat());

    assert_eq!(lines.len() % 9, 0, "every experiment on every database");
    assert!(lines.iter().all(|line| line["violations"] == 0));
}

#[test]
fn clients_hardly_notice_that_redis_fails() {
    let short =
        ["--rounds", "1", "--seconds", "0.5", "--logouts", "8", "--frozen-seconds", "2", "--no-bounds"];
    let lines = run_experiment(&[&["redis-faults"], &short[..]].concat());

    let faults: std::collections::BTreeSet<&str> =
        lines.iter().map(|line| line["fault"].as_str().unwrap()).collect();
    assert_eq!(faults, ["absent", "frozen", "full", "garbage", "killed", "slow"].into());
    assert!(lines.iter().all(|line| line["violations"] == 0), "{lines:?}");
}

#[test]
fn two_servers_never_accept_more_than_each_the_limit() {
    let postgres = PostgresServer::start(Settings { durable: false }).unwrap();
    let (binary, url) = (server_binary(), postgres.url());
    let place = ["--server-binary", binary.to_str().unwrap(), "--postgres-url", &url];
    let short = ["shared-limits", "--rounds", "1", "--limit", "300", "--clients", "8", "--no-bounds"];
    let output = run(&[short.as_slice(), &place].concat());

    let line = read_json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(line["violations"], 0, "{line}");
}

#[test]
fn whatever_a_standby_does_nobody_reads_less_than_they_wrote() {
    let output = run(&["standbys", "--reads", "1200", "--users", "4", "--seconds", "1", "--no-bounds"]);

    let line = read_json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((&line["stale"], &line["errors"], &line["violations"]), (&0.into(), &0.into(), &0.into()));
}

#[test]
fn a_path_with_many_branch_points_is_read_to_its_end() {
    let arguments = ["branches", "--messages", "300", "--branch-points", "20", "--no-bounds"];
    for line in run_on_backends(&arguments) {
        assert_eq!(line["violations"], 0, "{line}");
        assert_eq!(line["page_ratios_by_depth"].as_array().unwrap().len(), 6, "{line}");
    }
}
