//! `cargo xtask circles`: files of one crate that import each other in a circle.
//!
//! A file is a module. It uses another when it imports or names something that is defined there; an import through a
//! module that only re-exports the name counts for the file that defines it. Neither declaring a module nor
//! re-exporting what it defines is a use of it.
//!
//! A module and the files below it may use each other: it calls them, and they use what it defines for all of them.
//! So a circle counts only if it also exists without the uses from a module to a file below it, or without the uses
//! the other way. Intended circles stand in `xtask/circles.toml`, with a reason; one that is listed there and no longer
//! exists is a failure too.

mod graph;
mod source;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;

use crate::command::{self, Error};

use tree::{Tree, Uses};

/// The list of allowed circles, below the root of the repository.
const ALLOWED: &str = "xtask/circles.toml";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The repository to look at [default: the one this program was built in]
    repository: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowList {
    #[serde(default)]
    circle: Vec<Allowed>,
}

/// A circle that is meant: these files of a package's `src` and no others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    package: String,
    files: BTreeSet<PathBuf>,
    reason: String,
}

/// Files of one package that use each other, and what of each other they use.
#[derive(Debug)]
struct Circle {
    package: String,
    files: BTreeSet<PathBuf>,
    uses: Uses,
}

/// Prints every circle with what ties it; fails where one is not allowed.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let is_clean = check(&arguments.repository.unwrap_or_else(command::root))?;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same for a repository: whether all its circles are allowed, and every allowed one exists.
pub(crate) fn check(repository: &Path) -> Result<bool, Error> {
    let mut allowed = allow_list(&repository.join(ALLOWED))?;
    let mut refused = 0;
    for circle in find(repository)? {
        let is_meant = |entry: &Allowed| entry.package == circle.package && entry.files == circle.files;
        if let Some(index) = allowed.iter().position(is_meant) {
            print(&circle, &format!("allowed: {}", allowed.swap_remove(index).reason));
        } else {
            refused += 1;
            print(&circle, "not allowed");
        }
    }
    for entry in &allowed {
        let files: Vec<_> = entry.files.iter().map(|file| file.display().to_string()).collect();
        println!("{}: {} is no circle: remove it from {ALLOWED}", entry.package, files.join(", "));
    }
    println!("circles of imports that {ALLOWED} does not allow: {refused}");
    Ok(refused == 0 && allowed.is_empty())
}

fn allow_list(path: &Path) -> Result<Vec<Allowed>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display()).into()),
    };
    let list: AllowList =
        toml::from_str(&text).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(list.circle)
}

/// The circles of all packages of a repository, the smallest first.
fn find(repository: &Path) -> Result<Vec<Circle>, Error> {
    let mut packages = vec![repository.join("xtask")];
    for entry in fs::read_dir(repository.join("crates"))? {
        packages.push(entry?.path());
    }
    packages.sort();
    let mut circles = Vec::new();
    for package in packages {
        let source_folder = package.join("src");
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for root in tree::roots(&source_folder)? {
            circles.extend(in_crate(&name, &source_folder, &root)?);
        }
    }
    circles.sort_by_key(|circle| circle.files.len());
    Ok(circles)
}

fn in_crate(package: &str, source_folder: &Path, root: &Path) -> Result<Vec<Circle>, Error> {
    let uses = Tree::read(source_folder, root)?.uses();
    let arrows = || uses.keys().map(|(from, to)| (from, to));
    let without_downward = graph::circles(arrows().filter(|(from, to)| !tree::is_below(to, from)));
    let without_upward = graph::circles(arrows().filter(|(from, to)| !tree::is_below(from, to)));
    let groups = graph::largest([without_downward, without_upward].concat());
    let circle = |files: BTreeSet<&PathBuf>| {
        let is_inside = |(from, to): &(PathBuf, PathBuf)| files.contains(from) && files.contains(to);
        Circle {
            package: package.to_owned(),
            uses: uses.clone().into_iter().filter(|(arrow, _)| is_inside(arrow)).collect(),
            files: files.into_iter().cloned().collect(),
        }
    };
    Ok(groups.into_iter().map(circle).collect())
}

fn print(circle: &Circle, judgement: &str) {
    println!("{}: {} files, {judgement}", circle.package, circle.files.len());
    for ((from, to), names) in &circle.uses {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        println!("  {} -> {}: {}", from.display(), to.display(), names.join(", "));
    }
    println!();
}

#[cfg(test)]
mod tests;
