//! JSON merge patches (RFC 7396), on the text of values: numbers and texts stay as they are written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_json::value::RawValue;

use super::CanonicalJson;

impl CanonicalJson {
    /// This value as a merge patch (RFC 7396) changes it: objects are merged key by key, null removes a key, and
    /// anything else takes the place of what there was.
    #[must_use]
    pub fn merged(&self, patch: &Self) -> Self {
        let mut text = String::with_capacity(self.as_str().len() + patch.as_str().len());
        merge(Some(self.as_str()), patch.as_str(), &mut text);
        Self(Cow::Owned(text))
    }
}

/// Writes what `patch` makes of `target`. It calls itself as often as objects lie inside each other in the patch.
fn merge(target: Option<&str>, patch: &str, text: &mut String) {
    let Some(changes) = members(patch) else {
        text.push_str(patch);
        return;
    };
    let kept = target.and_then(members).unwrap_or_default();
    let keys: BTreeSet<&String> = kept.keys().chain(changes.keys()).collect();
    text.push('{');
    let start = text.len();
    for key in keys {
        let before = kept.get(key).map(|value| value.get());
        let change = changes.get(key).map(|value| value.get());
        if change == Some("null") {
            continue;
        }
        if text.len() > start {
            text.push(',');
        }
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push(':');
        match change {
            Some(change) => merge(before, change, text),
            None => text.push_str(before.unwrap_or_default()),
        }
    }
    text.push('}');
}

/// The members of an object.
fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(target: &str, patch: &str) -> String {
        let [target, patch] = [target, patch].map(|text| CanonicalJson::parse(text).unwrap());
        let merged = target.merged(&patch);
        assert_eq!(CanonicalJson::parse(merged.as_str()).unwrap().as_str(), merged.as_str(), "canonical");
        merged.to_string()
    }

    /// Those of RFC 7396, appendix A, and some of numbers and keys.
    #[test]
    fn a_merge_patch_changes_as_the_standard_says() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (
                r#"{"b":18446744073709551615,"":1.5}"#,
                r#"{"a\n\"é":{"x":[null]}}"#,
                r#"{"":1.5,"a\n\"é":{"x":[null]},"b":18446744073709551615}"#,
            ),
            (r#"{"a":{"b":1}}"#, "{}", r#"{"a":{"b":1}}"#),
        ] {
            assert_eq!(merged(target, patch), result, "{target} {patch}");
        }
    }

    #[test]
    fn a_patch_may_be_as_deep_as_any_json() {
        let deep = |value: &str| format!("{}{value}{}", r#"{"a":"#.repeat(127), "}".repeat(127));
        assert_eq!(merged(&deep("1"), &deep("2")), deep("2"));
    }
}
