//! This program again, with a hidden command, several times at the same moment.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use chatstore_bench::error::Error;

/// What a process says when it is about to wait for the others.
const READY: &str = "ready";

/// One of the processes.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
}

impl Process {
    /// Starts this program with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let errors = child.stderr.take().ok_or("no standard error")?;
        Ok(Self { child, input, output, errors })
    }

    /// Waits until it waits for [`go`](Self::go).
    pub(crate) fn wait_until_ready(&mut self) -> Result<(), Error> {
        let line = self.hear()?;
        if line == READY { Ok(()) } else { Err(format!("a process said {line:?}").into()) }
    }

    /// Lets it begin.
    pub(crate) fn go(&mut self) -> Result<(), Error> {
        self.say("")
    }

    /// Tells it a line.
    pub(crate) fn say(&mut self, line: &str) -> Result<(), Error> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// Waits for its next line.
    pub(crate) fn hear(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Its number for the system.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, unless it has ended; whether it had not.
    pub(crate) fn kill(mut self) -> Result<bool, Error> {
        let was_running = self.child.try_wait()?.is_none();
        self.child.kill()?;
        self.child.wait()?;
        Ok(was_running)
    }

    /// Sends nothing more and waits for its end; what it said when it failed.
    pub(crate) fn failure(mut self) -> Result<Option<String>, Error> {
        drop(self.input);
        let mut text = String::new();
        self.errors.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        Ok(if status.success() { None } else { Some(format!("{status}: {}", text.trim())) })
    }
}

/// Lets processes begin at the same moment; what those said that failed.
pub(crate) fn run_at_once(mut processes: Vec<Process>) -> Result<Vec<String>, Error> {
    for process in &mut processes {
        process.wait_until_ready()?;
    }
    for process in &mut processes {
        process.go()?;
    }
    processes.into_iter().filter_map(|process| process.failure().transpose()).collect()
}

/// Waits, in one of the processes, until all of them may begin.
pub(crate) fn wait_for_the_others() -> Result<(), Error> {
    println!("{READY}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(())
}
