//! Runs the binary in an empty folder with an environment of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// After this time a test has failed that waits for a line of a server's log.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The binary, ready for arguments.
pub fn chatstore(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatstore"));
    command.current_dir(folder).stdin(Stdio::null());
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if ["DATABASE_", "REDIS_", "POSTGRES_", "CHATSTORE_"].iter().any(|of_ours| name.starts_with(of_ours))
        {
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
    finished(command.output().expect("the binary runs"))
}

/// Runs a command that finds this on standard input.
pub fn finish_with_input(command: &mut Command, input: &str) -> Finished {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("input is piped");
    // A command that needs no input may have ended already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    finished(child.wait_with_output().expect("the binary ends"))
}

/// Runs a server that must refuse to serve. One that serves after all would never end.
pub fn refuse(command: &mut Command) -> Finished {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stderr = String::new();
    for line in BufReader::new(child.stderr.take().expect("messages are piped")).lines() {
        stderr.push_str(&line.expect("messages are UTF-8"));
        stderr.push('\n');
        if stderr.contains("address=") {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
            panic!("it serves: {stderr}");
        }
    }
    Finished { stderr, ..finished(child.wait_with_output().expect("the binary ends")) }
}

pub fn finished(Output { status, stdout, stderr }: Output) -> Finished {
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
    messages: Receiver<String>,
    said: Vec<String>,
    pub stdout: Vec<String>,
    /// Where it answers, without a slash at the end.
    pub origin: String,
}

impl Server {
    /// Starts `arguments`, which must end up serving, and waits until it says where.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_command(chatstore(folder).args(arguments))
    }

    /// Starts a command that must end up serving, and waits until it says where.
    pub fn start_command(command: &mut Command) -> Self {
        let is_demo = command.get_args().next().is_some_and(|argument| argument == "demo");
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("messages are piped"));
        let (sender, messages) = channel();
        // Read to the end, whether or not the test listens: a server must never wait for its reader.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut server =
            Self { child, messages, said: Vec::new(), stdout: Vec::new(), origin: String::new() };
        let line = server.wait_for("address=");
        let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        server.origin = format!("http://{}", address.expect("the line has the address"));
        if is_demo {
            let data = BufReader::new(server.child.stdout.take().expect("data is piped"));
            server.stdout = data.lines().take(8).map_while(Result::ok).collect();
        }
        server
    }

    /// Waits until it logs a line with this in it.
    pub fn wait_for(&mut self, text: &str) -> String {
        while let Ok(line) = self.messages.recv_timeout(LONGEST_WAIT) {
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("the server did not say {text:?}: {:?}", self.said);
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The arguments of the process as every user of the machine sees them.
    pub fn arguments(&self) -> String {
        let path = format!("/proc/{}/cmdline", self.child.id());
        String::from_utf8(std::fs::read(path).expect("the server runs")).expect("arguments are UTF-8")
    }

    /// Asks it to stop and waits; its exit code.
    pub fn stop(self) -> Option<i32> {
        self.stop_and_tell().0
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let sent = Command::new("kill").args([signal, self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Asks it to stop and waits; its exit code and all that it logged.
    pub fn stop_and_tell(self) -> (Option<i32>, String) {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until it ends; its exit code and all that it logged.
    pub fn ended(mut self) -> (Option<i32>, String) {
        self.said.extend(self.messages.iter());
        let code = self.child.wait().expect("the server ends").code();
        (code, self.said.join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
