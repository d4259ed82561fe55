//! Requests as what they consist of, so that each part can be wrong by itself.

use chatstore_bench::random::Random;

/// A request before it becomes bytes.
#[derive(Debug, Clone)]
pub(super) struct RawRequest {
    pub(super) method: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) version: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// What lines end with.
    pub(super) line_end: Vec<u8>,
    /// The body as it is sent, in whatever pieces the headers announce.
    pub(super) body: Vec<u8>,
}

impl RawRequest {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.method[..], b" ", &self.target, b" ", &self.version, &self.line_end].concat();
        for (name, value) in &self.headers {
            bytes.extend([&name[..], b": ", value, &self.line_end].concat());
        }
        bytes.extend_from_slice(&self.line_end);
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The value of the first header of this name.
    pub(super) fn header_mut(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        let found = self.headers.iter_mut().find(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value)
    }

    pub(super) fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.headers.push((name.as_bytes().to_vec(), value.into()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name.as_bytes()));
    }
}

/// What valid requests are made of.
#[derive(Debug)]
pub(super) struct Scene {
    /// The key of a user.
    pub(super) key: String,
    /// The path of a conversation of that user, with messages.
    pub(super) conversation: String,
}

const MESSAGE: &str = r#"{"content": "Where is it warm in March?", "metadata": {"a": [1, 2.5, null]}}"#;
const MESSAGES: &str = r#"{"messages": [{"content": "a"}, {"content": "b", "role": "assistant"}]}"#;
const REPLY: &str = r#"{"content": "In Seville.", "response": {"model_used": "m", "tokens_prompt": 3}}"#;
const THREAD: &str = r#"{"title": "Trip", "metadata": {}}"#;
const LOGIN: &str = r#"{"username": "experiment", "password": "wrong horse battery"}"#;
const REFRESH: &str = r#"{"refresh_token": "cs_refresh_none"}"#;
const PERSON: &str = r#"{"full_name": "Ada"}"#;

/// One in how many is a request that costs the server much.
const DEAR: usize = 200;

/// A valid request. Most are answered by what is stored, some by a refusal.
pub(super) fn valid(scene: &Scene, random: &mut Random) -> RawRequest {
    let here = &scene.conversation;
    let api = "/api/v1";
    if random.below(DEAR) == 0 {
        return match random.below(4) {
            0 => with_body(scene, "POST", "/api/v1/auth/login", LOGIN),
            1 => without_body(scene, "GET", "/openapi.json"),
            2 => without_body(scene, "GET", "/docs/swagger-ui-bundle.js"),
            _ => without_body(scene, "GET", "/api/v1/users/me/export"),
        };
    }
    let number = random.below(1_000);
    match random.below(24) {
        0 => without_body(scene, "GET", "/healthz"),
        1 => without_body(scene, "GET", "/readyz"),
        2 => without_body(scene, "GET", "/docs/"),
        3 => without_body(scene, "GET", &format!("{api}/conversations?limit=5&order=asc")),
        4 => without_body(scene, "GET", &format!("{api}/conversations/count")),
        5 => without_body(scene, "GET", here),
        6 => without_body(scene, "HEAD", here),
        7 => without_body(scene, "GET", &format!("{here}/messages?limit=3&include=response")),
        8 => without_body(scene, "GET", &format!("{here}/messages/{}", number % 5)),
        9 => without_body(scene, "GET", &format!("{api}/threads/t-{number}")),
        10 => without_body(scene, "DELETE", &format!("{api}/threads/t-{number}")),
        11 => without_body(scene, "GET", &format!("{api}/users/me")),
        12 => without_body(scene, "GET", &format!("{api}/usage?group_by=model")),
        13 => without_body(scene, "GET", &format!("{api}/auth/sessions")),
        14 => without_body(scene, "OPTIONS", here),
        15 => without_body(scene, "GET", &format!("{api}/nothing/{number}")),
        16 => with_body(scene, "POST", &format!("{api}/conversations"), "{}"),
        17 => with_body(scene, "POST", &format!("{here}/messages"), MESSAGES),
        18 => with_body(scene, "POST", &format!("{here}/replies"), REPLY),
        19 => with_body(scene, "PUT", &format!("{api}/threads/t-{number}"), THREAD),
        20 => with_body(scene, "PATCH", here, r#"{"title": "again"}"#),
        21 => with_body(scene, "PATCH", &format!("{api}/users/me"), PERSON),
        22 => with_body(scene, "POST", &format!("{api}/auth/refresh"), REFRESH),
        _ => with_body(scene, "POST", &format!("{here}/messages"), MESSAGE),
    }
}

fn without_body(scene: &Scene, method: &str, target: &str) -> RawRequest {
    let mut request = RawRequest {
        method: method.into(),
        target: target.into(),
        version: b"HTTP/1.1".to_vec(),
        headers: Vec::new(),
        line_end: b"\r\n".to_vec(),
        body: Vec::new(),
    };
    request.push("Host", "localhost");
    request.push("Authorization", format!("Bearer {}", scene.key));
    request.push("Accept", "application/json");
    request
}

fn with_body(scene: &Scene, method: &str, target: &str, body: &str) -> RawRequest {
    let mut request = without_body(scene, method, target);
    request.push("Content-Type", "application/json");
    request.push("Content-Length", body.len().to_string());
    request.body = body.into();
    request
}
