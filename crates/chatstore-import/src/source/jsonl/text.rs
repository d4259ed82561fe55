//! Lines as they are read. A short one is in memory; of a long one the turns are kept in a temporary file and
//! read one by one, so that memory does not grow with a conversation.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::rc::Rc;

use serde::Deserialize as _;

use super::measure::{ITEM_MEBIBYTES, Measure, Measured};
use super::turn::Turn;
use super::visit::{self, Head};

/// A longer line is read piece by piece.
const IN_MEMORY_BYTES: usize = 1024 * 1024;

/// What a line says.
pub(super) struct Line {
    pub(super) head: Head,
    pub(super) turns: Turns,
}

/// The turns of a line, from the first to the last each time they are read.
pub(super) enum Turns {
    Memory(Vec<Turn>),
    Spooled {
        file: File,
        /// Where the first turn is.
        start: u64,
        count: usize,
    },
}

/// What comes of reading a line.
pub(super) enum ReadLine {
    /// There is none any more.
    End,
    Blank,
    Line(Box<Line>),
    /// A document, with its fields.
    Document(Head),
    /// Why it is neither.
    Bad(String),
}

/// Reads the next line; also its size in bytes.
pub(super) fn read_line(input: &mut impl BufRead) -> io::Result<(ReadLine, u64)> {
    let mut text = Vec::new();
    let read = Read::take(&mut *input, IN_MEMORY_BYTES as u64).read_until(b'\n', &mut text)?;
    if read == 0 {
        return Ok((ReadLine::End, 0));
    }
    if read == IN_MEMORY_BYTES && text.last() != Some(&b'\n') {
        return read_long_line(input, text);
    }
    if text.trim_ascii().is_empty() {
        return Ok((ReadLine::Blank, read as u64));
    }
    let line = match visit::parse_short(&text) {
        Ok((head, turns)) => line_of(head, turns.map(Turns::Memory)),
        Err(error) => ReadLine::Bad(not_a_conversation(&error)),
    };
    Ok((line, read as u64))
}

fn line_of(head: Head, turns: Option<Turns>) -> ReadLine {
    match turns {
        Some(turns) => ReadLine::Line(Box::new(Line { head, turns })),
        None if head.is_document() => ReadLine::Document(head),
        None => ReadLine::Bad("not a conversation: missing field `turns`".to_owned()),
    }
}

fn not_a_conversation(error: &serde_json::Error) -> String {
    format!("not a conversation: {error}")
}

/// Reads a line of which `beginning` was read already.
fn read_long_line(input: &mut impl BufRead, beginning: Vec<u8>) -> io::Result<(ReadLine, u64)> {
    let mut rest = RestOfLine { input, is_ended: false, bytes: beginning.len() as u64 };
    let mut file = tempfile::tempfile().map_err(|error| in_temporary_folder(&error))?;
    let copied = Copied { input: io::Cursor::new(beginning).chain(&mut rest), file: &mut file };
    let measure = Rc::new(Measure::default());
    let measured = Measured { input: BufReader::new(copied), measure: Rc::clone(&measure) };
    let line = match visit::parse(measured, &measure) {
        Ok((head, turns)) => line_of(head, turns.map(|(start, count)| Turns::Spooled { file, start, count })),
        Err(_) if measure.is_exceeded.get() => ReadLine::Bad(format!(
            "{} is longer than {ITEM_MEBIBYTES} MiB; shorten it, or leave it out",
            measure.item()
        )),
        Err(error) if error.is_io() => return Err(error.into()),
        Err(error) => ReadLine::Bad(not_a_conversation(&error)),
    };
    rest.skip()?;
    Ok((line, rest.bytes))
}

fn in_temporary_folder(error: &io::Error) -> io::Error {
    let folder = std::env::temp_dir();
    io::Error::new(error.kind(), format!("cannot keep the line in {}: {error}", folder.display()))
}

/// The rest of a line, without its end.
struct RestOfLine<'r, R> {
    input: &'r mut R,
    is_ended: bool,
    bytes: u64,
}

impl<R: BufRead> RestOfLine<'_, R> {
    /// Passes over what was not read.
    fn skip(&mut self) -> io::Result<()> {
        let mut passed_over = [0; 64 * 1024];
        while self.read(&mut passed_over)? > 0 {}
        Ok(())
    }
}

impl<R: BufRead> Read for RestOfLine<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_ended {
            return Ok(0);
        }
        let available = self.input.fill_buf()?;
        let wanted = &available[..available.len().min(buffer.len())];
        let end = wanted.iter().position(|byte| *byte == b'\n');
        let count = end.unwrap_or(wanted.len());
        buffer[..count].copy_from_slice(&wanted[..count]);
        self.is_ended = end.is_some() || available.is_empty();
        let consumed = count + usize::from(end.is_some());
        self.input.consume(consumed);
        self.bytes += consumed as u64;
        Ok(count)
    }
}

/// Copies everything that is read into a file.
struct Copied<'f, R> {
    input: R,
    file: &'f mut File,
}

impl<R: Read> Read for Copied<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.file.write_all(&buffer[..count]).map_err(|error| in_temporary_folder(&error))?;
        Ok(count)
    }
}

impl Turns {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(turns) => turns.len(),
            Self::Spooled { count, .. } => *count,
        }
    }

    /// Reads the turns.
    pub(super) fn read(self) -> io::Result<Box<dyn Iterator<Item = io::Result<Turn>> + Send>> {
        match self {
            Self::Memory(turns) => Ok(Box::new(turns.into_iter().map(Ok))),
            Self::Spooled { file, start, count } => {
                let mut input = spooled(file, start)?;
                Ok(Box::new((0..count).map(move |_| next_turn(&mut input))))
            }
        }
    }

    /// Shows each turn with its index.
    pub(super) fn inspect(&self, mut look: impl FnMut(usize, &Turn)) -> io::Result<()> {
        match self {
            Self::Memory(turns) => turns.iter().enumerate().for_each(|(index, turn)| look(index, turn)),
            Self::Spooled { file, start, count } => {
                let mut input = spooled(file.try_clone()?, *start)?;
                for index in 0..*count {
                    look(index, &next_turn(&mut input)?);
                }
            }
        }
        Ok(())
    }
}

fn spooled(mut file: File, start: u64) -> io::Result<BufReader<File>> {
    file.seek(SeekFrom::Start(start))?;
    Ok(BufReader::new(file))
}

/// The next turn of a text that is known to be right.
fn next_turn(input: &mut BufReader<File>) -> io::Result<Turn> {
    loop {
        match input.fill_buf()?.first() {
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(b'{') => break,
            Some(_) => input.consume(1),
        }
    }
    // The parser reads no further than the brace that ends the turn.
    Ok(Turn::deserialize(&mut serde_json::Deserializer::from_reader(input))?)
}
