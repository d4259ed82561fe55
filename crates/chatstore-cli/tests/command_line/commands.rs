//! Commands and servers on the database of a case.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use chatstore::auth::TokenKeys;
use chatstore_testkit::TestDatabase;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::program::{Finished, Server, chatstore, finish, finish_with_input, refuse};

/// A key that tokens are signed with, and another.
pub const TOKEN_KEY: &str = "bdb+t4ym4+/NJrOjT4PNQ4F0IbwK0X5Mks/IttktZng=";
pub const OTHER_TOKEN_KEY: &str = "0sVAPURGIRoce3E8XW9+IIwcMW3ZRaKNiDrsvmUFFZk=";

/// A key that is published nowhere.
pub fn fresh_key() -> String {
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    TokenKeys::generate(|bytes| random.read_exact(bytes).unwrap()).1
}

/// Runs commands on the database of a case.
pub struct Commands {
    pub folder: tempfile::TempDir,
    pub case: TestDatabase,
}

impl Commands {
    pub fn on(case: TestDatabase) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), case }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = chatstore(self.folder.path());
        command.env("DATABASE_URL", &self.case.url).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments))
    }

    pub fn run_with(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Finished {
        finish(self.command(arguments).envs(settings.iter().copied()))
    }

    pub fn run_with_input(&self, input: &str, arguments: &[&str]) -> Finished {
        finish_with_input(&mut self.command(arguments), input)
    }

    /// Runs a command at a terminal, which `script` makes, and answers each prompt when it comes; the exit code
    /// and all that the terminal showed.
    pub fn run_at_terminal(&self, arguments: &[&str], answers: &[(&str, &str)]) -> (Option<i32>, String) {
        let command = self.command(arguments);
        let line = format!("{} {}", command.get_program().display(), arguments.join(" "));
        let mut script = Command::new("script");
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => script.env(variable, value),
                None => script.env_remove(variable),
            };
        }
        let mut child = script
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script runs");
        let mut keyboard = child.stdin.take().expect("input is piped");
        let mut screen = child.stdout.take().expect("output is piped");
        let mut shown = Vec::new();
        for (prompt, answer) in answers {
            while !String::from_utf8_lossy(&shown).contains(prompt) {
                let mut piece = [0; 1_024];
                let read = screen.read(&mut piece).expect("the screen can be read");
                assert!(read > 0, "no {prompt:?} in {:?}", String::from_utf8_lossy(&shown));
                shown.extend_from_slice(&piece[..read]);
            }
            writeln!(keyboard, "{answer}").expect("the command reads");
        }
        screen.read_to_end(&mut shown).expect("the screen can be read");
        let code = child.wait().expect("script ends").code();
        (code, String::from_utf8_lossy(&shown).into_owned())
    }

    /// Starts a command and does not wait for it.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
    }

    /// Starts a server with a token key and these settings.
    pub fn serve(&self, settings: &[(&str, &str)]) -> Server {
        let mut command = self.command(&["serve", "--bind", "127.0.0.1:0"]);
        command.env("CHATSTORE_TOKEN_KEY", TOKEN_KEY).env("CHATSTORE_METRICS_BIND", "off");
        Server::start_command(command.envs(settings.iter().copied()))
    }

    /// Starts a server that must refuse to serve.
    pub fn refused(&self, settings: &[(&str, &str)]) -> Finished {
        refuse(self.command(&["serve", "--bind", "127.0.0.1:0"]).envs(settings.iter().copied()))
    }

    /// Makes a user with a password.
    pub fn person(&self, name: &str, password: &str) {
        let create = ["user", "create", "--username", name, "--password-stdin"];
        self.run_with_input(&format!("{password}\n"), &create).data();
    }
}

/// Status and JSON of an answer; null where it has no body.
pub async fn call(
    server: &Server,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Value,
) -> (u16, Value) {
    call_from(server, None, method, path, token, body).await
}

/// The same through a proxy that says who the client is.
pub async fn call_from(
    server: &Server,
    client: Option<&str>,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Value,
) -> (u16, Value) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = Client::new().request(method, format!("{}/api/v1/{path}", server.origin));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(client) = client {
        request = request.header("X-Forwarded-For", client);
    }
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// The answer to a login.
pub async fn login(server: &Server, name: &str, password: &str) -> (u16, Value) {
    call(server, "POST", "auth/login", None, json!({"username": name, "password": password})).await
}

/// The tokens of a login that must succeed.
pub async fn tokens(server: &Server, name: &str, password: &str) -> (String, String) {
    let (status, tokens) = login(server, name, password).await;
    assert_eq!(status, 200, "{tokens}");
    let text = |field: &str| tokens[field].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// The status of a request with an access token.
pub async fn visit(server: &Server, access_token: &str) -> u16 {
    call(server, "GET", "users/me", Some(access_token), Value::Null).await.0
}

/// The status of a refresh.
pub async fn refresh(server: &Server, refresh_token: &str) -> u16 {
    call(server, "POST", "auth/refresh", None, json!({"refresh_token": refresh_token})).await.0
}
