//! JSON lines, or the file of a TinyDB, with many conversations.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use chatstore_bench::data::content;
use chatstore_bench::error::Error;
use serde_json::{Value, json};

/// Messages of a synthetic conversation.
const TURNS: usize = 12;

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// JSON lines
    Jsonl,
    /// The file of a TinyDB, the messages before their conversations
    Tinydb,
}

impl Format {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Tinydb => "tinydb",
        }
    }
}

/// Writes conversations until they have so many messages; how many they have.
pub(super) fn write(
    format: Format,
    file: &Path,
    messages: usize,
    dialogs: Option<&Path>,
) -> Result<usize, Error> {
    let dialogs: Vec<Value> = match dialogs {
        Some(path) => {
            fs::read_to_string(path)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?
        }
        None => vec![synthetic()],
    };
    if dialogs.iter().any(|dialog| turns(dialog).is_empty()) {
        return Err("a dialog has no turns".into());
    }
    let mut output = BufWriter::new(File::create(file)?);
    let written = match format {
        Format::Jsonl => write_lines(&mut output, messages, &dialogs)?,
        Format::Tinydb => write_tables(&mut output, messages, &dialogs)?,
    };
    output.flush()?;
    Ok(written)
}

fn turns(dialog: &Value) -> &[Value] {
    dialog["turns"].as_array().map_or(&[], Vec::as_slice)
}

fn id(number: usize) -> String {
    format!("dialog-{number}")
}

fn write_lines(output: &mut impl Write, messages: usize, dialogs: &[Value]) -> Result<usize, Error> {
    let (mut written, mut number) = (0, 0);
    while written < messages {
        let mut dialog = dialogs[number % dialogs.len()].clone();
        dialog["id"] = id(number).into();
        serde_json::to_writer(&mut *output, &dialog)?;
        output.write_all(b"\n")?;
        (written, number) = (written + turns(&dialog).len(), number + 1);
    }
    Ok(written)
}

fn write_tables(output: &mut impl Write, messages: usize, dialogs: &[Value]) -> Result<usize, Error> {
    let (mut written, mut number) = (0, 0);
    output.write_all(br#"{"messages": {"#)?;
    while written < messages {
        for turn in turns(&dialogs[number % dialogs.len()]) {
            written += 1;
            write_row(
                output,
                written,
                &json!({
                    "message_id": format!("00000000-0000-4000-8000-{written:012x}"),
                    "conversation_id": id(number),
                    "role": turn["role"],
                    "content": turn["content"],
                    "created_at": 1_767_225_600 + written,
                }),
            )?;
        }
        number += 1;
    }
    output.write_all(br#"}, "conversations": {"#)?;
    for number in 0..number {
        let row = json!({ "conversation_id": id(number), "created_at": 1_767_225_600 });
        write_row(output, number + 1, &row)?;
    }
    output.write_all(b"}}")?;
    Ok(written)
}

/// A row of a table, whose first one has the number 1.
fn write_row(output: &mut impl Write, number: usize, row: &Value) -> Result<(), Error> {
    let comma = if number == 1 { "" } else { ", " };
    write!(output, "{comma}\"{number}\": ")?;
    Ok(serde_json::to_writer(output, row)?)
}

fn synthetic() -> Value {
    let turn = |number: usize| {
        let role = if number.is_multiple_of(2) { "user" } else { "assistant" };
        json!({ "role": role, "content": format!("{number} {}", content()) })
    };
    json!({ "turns": (0..TURNS).map(turn).collect::<Vec<_>>() })
}
