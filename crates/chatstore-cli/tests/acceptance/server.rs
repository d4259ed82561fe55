//! A server that runs as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::program::chatstore;
use crate::support::TOKEN_KEY;

/// A running `chatstore serve`; killed when the case ends.
pub struct Server {
    child: Child,
    messages: Receiver<String>,
    /// Where it answers, without a slash at the end.
    pub origin: String,
}

impl Server {
    /// Starts it with these settings in its environment and no others, and waits until it says where it serves.
    pub fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = chatstore(folder)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("messages are piped"));
        let (sender, messages) = channel();
        // Read to the end, whether or not the test listens: a server must never wait for its reader.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut server = Self { child, messages, origin: String::new() };
        let line = server.wait_for("address=");
        let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        server.origin = format!("http://{}", address.expect("the line has the address"));
        server
    }

    /// Starts it where it must refuse to serve; the exit code and what it says.
    pub fn refused(folder: &Path, url: &str) -> (Option<i32>, String) {
        let mut child = chatstore(folder)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .env("DATABASE_URL", url)
            .env("CHATSTORE_TOKEN_KEY", TOKEN_KEY)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut said = String::new();
        for line in BufReader::new(child.stderr.take().expect("messages are piped")).lines() {
            said.push_str(&line.expect("messages are UTF-8"));
            if said.contains("address=") {
                // One that serves after all would never end.
                child.kill().expect("it runs");
                break;
            }
        }
        (child.wait().expect("it ends").code(), said)
    }

    /// Waits until it logs a line with this in it.
    pub fn wait_for(&self, text: &str) -> String {
        let mut said = Vec::new();
        while let Ok(line) = self.messages.recv() {
            if line.contains(text) {
                return line;
            }
            said.push(line);
        }
        panic!("the server ended without {text:?}: {said:?}");
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.expect("kill runs").success());
    }

    /// Waits for its end; the exit code.
    pub fn wait(mut self) -> Option<i32> {
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
