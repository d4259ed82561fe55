//! Lists the folders below `migrations/`, so that a new one is embedded without being named anywhere.

#![allow(clippy::disallowed_methods, reason = "cargo tells a build script by environment where it is")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FILES: [(&str, &str); 4] = [
    ("up_sqlite", "up.sqlite.sql"),
    ("up_postgres", "up.pg.sql"),
    ("down_sqlite", "down.sqlite.sql"),
    ("down_postgres", "down.pg.sql"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let package = std::env::var("CARGO_MANIFEST_DIR")?;
    let directory = Path::new(&package).join("migrations");
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort_unstable();

    let mut list = "[\n".to_owned();
    let mut snapshots = "&[\n".to_owned();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().display();
        let include = |file: &str| format!("include_str!({:?}).into()", folder.join(file));
        writeln!(list, "    chatstore_migrate::RevisionFiles {{ folder: {:?}.into(),", name.to_string())?;
        writeln!(list, "        description: {},", include("revision.toml"))?;
        for (field, file) in FILES {
            if folder.join(file).is_file() {
                writeln!(list, "        {field}: Some({}),", include(file))?;
            } else {
                writeln!(list, "        {field}: None,")?;
            }
        }
        list += "    },\n";
        if folder.join("schema.json").is_file() {
            let folder_name = name.to_string();
            let (id, _) = folder_name.split_once('_').unwrap_or((&folder_name, ""));
            writeln!(snapshots, "    ({id:?}, include_str!({:?})),", folder.join("schema.json"))?;
        }
    }
    snapshots += "]\n";
    list += "]\n";
    let generated = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(generated.join("revisions.rs"), list)?;
    std::fs::write(generated.join("snapshots.rs"), snapshots)?;
    Ok(())
}
