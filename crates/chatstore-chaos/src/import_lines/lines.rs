//! JSON lines with many conversations.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use chatstore_bench::data::content;
use chatstore_bench::error::Error;
use serde_json::{Value, json};

/// Messages of a synthetic conversation.
const TURNS: usize = 12;

/// Writes lines until they have so many messages; how many they have.
pub(super) fn write(file: &Path, messages: usize, dialogs: Option<&Path>) -> Result<usize, Error> {
    let dialogs = match dialogs {
        Some(path) => {
            fs::read_to_string(path)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?
        }
        None => vec![synthetic()],
    };
    let mut output = BufWriter::new(File::create(file)?);
    let (mut written, mut number) = (0, 0);
    while written < messages {
        let mut dialog: Value = dialogs[number % dialogs.len()].clone();
        let turns = dialog["turns"].as_array().map_or(0, Vec::len);
        if turns == 0 {
            return Err("a dialog has no turns".into());
        }
        dialog["id"] = format!("dialog-{number}").into();
        serde_json::to_writer(&mut output, &dialog)?;
        output.write_all(b"\n")?;
        (written, number) = (written + turns, number + 1);
    }
    output.flush()?;
    Ok(written)
}

fn synthetic() -> Value {
    let turn = |number: usize| {
        let role = if number.is_multiple_of(2) { "user" } else { "assistant" };
        json!({ "role": role, "content": format!("{number} {}", content()) })
    };
    json!({ "turns": (0..TURNS).map(turn).collect::<Vec<_>>() })
}
