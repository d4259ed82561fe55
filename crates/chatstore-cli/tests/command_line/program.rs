//! Runs the binary in an empty folder with an environment of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// The binary, ready for arguments.
pub fn chatstore(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatstore"));
    command.current_dir(folder).stdin(Stdio::null());
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name == "DATABASE_URL" || name.starts_with("POSTGRES_") || name.starts_with("CHATSTORE_") {
            command.env_remove(&variable);
        }
    }
    command
}

/// What a finished command printed and answered.
#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(folder: &Path, arguments: &[&str]) -> Finished {
    finish(chatstore(folder).args(arguments))
}

pub fn finish(command: &mut Command) -> Finished {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    Finished {
        code: status.code().expect("the binary ends by itself"),
        stdout: String::from_utf8(stdout).expect("output is UTF-8"),
        stderr: String::from_utf8(stderr).expect("messages are UTF-8"),
    }
}

impl Finished {
    /// Fails the case unless the command succeeded; what it printed, without the last line end.
    pub fn data(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.trim_end()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.data()).expect("the output is JSON")
    }

    /// All of it, for a snapshot.
    pub fn transcript(&self) -> String {
        let Self { code, stdout, stderr } = self;
        format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }

    /// Fails the case unless the command failed with this code and said this.
    pub fn assert_failed(&self, code: i32, message: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(message), "{message:?} is not in {:?}", self.stderr);
        assert_eq!(self.stdout, "", "a failure prints no data");
    }
}

/// A running server; killed when the case ends.
pub struct Server {
    child: Child,
    _messages: BufReader<ChildStderr>,
    pub stdout: Vec<String>,
}

impl Server {
    /// Starts `arguments`, which must end up serving, and waits until it says where.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = chatstore(folder)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut messages = BufReader::new(child.stderr.take().expect("messages are piped"));
        let mut serves = false;
        let mut said = Vec::new();
        for line in messages.by_ref().lines().map_while(Result::ok) {
            said.push(line);
            if said.last().is_some_and(|line| line.contains("address=")) {
                serves = true;
                break;
            }
        }
        assert!(serves, "the server did not start: {said:?}");
        let stdout = match arguments.first() {
            Some(&"demo") => {
                let data = BufReader::new(child.stdout.take().expect("data is piped"));
                data.lines().take(8).map_while(Result::ok).collect()
            }
            _ => Vec::new(),
        };
        Self { child, _messages: messages, stdout }
    }

    /// Asks it to stop and waits; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.expect("kill runs").success());
        self.child.wait().expect("the server ends").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
