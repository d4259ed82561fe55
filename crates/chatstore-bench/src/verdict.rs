//! How an experiment ends: violations spelled out for people, one line of JSON for programs.

use serde_json::Value;

/// Violations that are spelled out; the others are only counted.
const SHOWN: usize = 20;

/// Prints `line` with the number of violations added; true when there were none.
pub(crate) fn print(mut line: Value, violations: &[String]) -> bool {
    for violation in violations.iter().take(SHOWN) {
        crate::say(&format!("violation: {violation}"));
    }
    line["violations"] = violations.len().into();
    println!("{line}");
    violations.is_empty()
}
