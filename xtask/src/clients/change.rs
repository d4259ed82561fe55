//! Whether the clients have to be generated again.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, Error};

/// What clients and programs are made of.
const INPUTS: [&str; 5] = [
    super::DESCRIPTION,
    super::PAGE,
    "redocly.yaml",
    "xtask/clients/package-lock.json",
    "xtask/src/python.rs",
];

/// The branch that changes are compared with.
const MAIN: [&str; 2] = ["origin/main", "main"];

/// Whether to run, and why.
#[derive(Debug)]
pub(super) enum Need {
    Run(String),
    Skip(String),
}

/// Whether what the clients are made of has passed before, or is that of the main branch.
pub(super) fn need() -> Result<Need, Error> {
    if fs::read_to_string(stamp()).is_ok_and(|passed| passed == fingerprint().unwrap_or_default()) {
        return Ok(Need::Skip("they passed with the same description, page and versions".to_owned()));
    }
    let bases = MAIN.iter().filter_map(|branch| git(&["merge-base", "HEAD", branch]));
    let Some(base) = bases.into_iter().next() else {
        return Ok(Need::Run("there is no main branch to compare the description with".to_owned()));
    };
    if git(&["rev-parse", "HEAD"]).as_ref() == Some(&base) && git(&["status", "--porcelain"]).is_none() {
        return Ok(Need::Run("this is the main branch, and they did not pass here yet".to_owned()));
    }
    let mut arguments = vec!["diff", "--name-only", &base, "--"];
    arguments.extend(INPUTS);
    Ok(match git(&arguments) {
        Some(changed) => Need::Run(format!("changed since {base:.12}: {}", changed.replace('\n', ", "))),
        None => Need::Skip(format!("description, page and versions are those of {base:.12}")),
    })
}

/// Notes that everything passed.
pub(super) fn remember() -> Result<(), Error> {
    Ok(fs::write(stamp(), fingerprint()?)?)
}

fn stamp() -> PathBuf {
    command::root().join("target/tools/clients-passed")
}

fn fingerprint() -> Result<String, Error> {
    let mut hasher = DefaultHasher::new();
    for input in INPUTS {
        fs::read(command::root().join(input))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// What git prints; `None` for nothing, or if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(command::root()).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
