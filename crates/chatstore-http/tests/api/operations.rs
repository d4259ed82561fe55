//! The operations that the description names, so that a test of all of them forgets none.

use serde_json::Value;

/// An operation under `/api`.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// In capitals.
    pub(crate) method: String,
    /// With the names of its parts in braces.
    pub(crate) path: String,
    pub(crate) takes_body: bool,
    /// Whether it is for clients without credentials.
    pub(crate) is_open: bool,
    /// The names of its parameters, headers included.
    pub(crate) parameters: Vec<String>,
    /// What it can be answered with.
    pub(crate) statuses: Vec<u16>,
}

/// All operations under `/api`.
pub(crate) fn operations() -> Vec<Operation> {
    let description = serde_json::to_value(chatstore_http::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        if !path.starts_with("/api/") {
            continue;
        }
        for method in ["get", "put", "post", "patch", "delete"] {
            if let Some(described) = item.get(method) {
                operations.push(operation(method, path, described, &description));
            }
        }
    }
    operations
}

fn operation(method: &str, path: &str, described: &Value, description: &Value) -> Operation {
    let parameters = described["parameters"].as_array().cloned().unwrap_or_default();
    let name = |parameter: &Value| {
        let shared =
            parameter["$ref"].as_str().and_then(|place| description.pointer(place.strip_prefix('#')?));
        shared.unwrap_or(parameter)["name"].as_str().unwrap().to_owned()
    };
    let statuses = described["responses"].as_object().unwrap();
    Operation {
        method: method.to_uppercase(),
        path: path.to_owned(),
        takes_body: described.get("requestBody").is_some(),
        is_open: described["security"] == serde_json::json!([{}]),
        parameters: parameters.iter().map(name).collect(),
        statuses: statuses.keys().map(|status| status.parse().unwrap()).collect(),
    }
}

impl Operation {
    /// For logs and lists.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it is only for administrators.
    pub(crate) fn is_for_admins(&self) -> bool {
        self.is_above_services()
            || (self.path.starts_with("/api/v1/users") && !self.path.starts_with("/api/v1/users/me"))
    }

    /// Whether it is for administrators and not for services.
    pub(crate) fn is_above_services(&self) -> bool {
        self.path.starts_with("/api/v1/admin/")
    }

    /// Whether it creates the secret of a key, for which keys are refused.
    pub(crate) fn needs_session(&self) -> bool {
        self.method == "POST"
            && (self.path.ends_with("/api-keys") || self.path.ends_with("/api-keys/{id}/rotate"))
    }

    /// The path with something for each of its parts; a part that is not named is an absent id.
    pub(crate) fn target(&self, parts: &[(&str, &str)]) -> String {
        let mut target = String::new();
        for part in self.path.split('/').skip(1) {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let given = name.map(|name| parts.iter().find(|(given, _)| *given == name));
            let part = match given {
                None => part,
                Some(None) => "00000000-0000-7000-8000-000000000001",
                // A message is stored under an id of the application's alone.
                Some(Some(_)) if self.method == "PUT" && name == Some("message_id") => "ext:m1",
                Some(Some((_, value))) => value,
            };
            target.push('/');
            target.push_str(part);
        }
        target
    }

    /// A body that it accepts, `{}` where that is enough.
    pub(crate) fn body(&self) -> &'static str {
        let has_content = ["/documents", "/messages", "/messages/{message_id}", "/replies"];
        match self.method.as_str() {
            "GET" | "DELETE" => "",
            "PUT" if self.path.ends_with("/messages") => r#"{"messages": [{"content": "hello"}]}"#,
            _ if has_content.iter().any(|end| self.path.ends_with(end)) => r#"{"content": "a"}"#,
            "POST" if self.path.ends_with("/messages/replace-suffix") => {
                r#"{"expected_seqs": [1], "messages": [{"content": "a"}]}"#
            }
            "POST" if self.path == "/api/v1/ai-cache/hash" => r#"{"model": "echo", "messages": []}"#,
            "PUT" if self.path == "/api/v1/ai-cache/{hash}" => r#"{"value": "a"}"#,
            "POST" if self.path == "/api/v1/logs" => r#"{"event": "a"}"#,
            "POST" if self.path == "/api/v1/users" => r#"{"username": "somebody"}"#,
            _ => "{}",
        }
    }
}
