//! Responses of models that are cached, and the requests that they answer.

use crate::field::grouped;
use crate::keyword::keywords;
use crate::message::MODEL;
use crate::{CanonicalJson, CountField, FieldCode, JsonField, JsonShape, Validate, Validator, limits};

/// The cached response.
pub const CACHED_VALUE: JsonField = JsonField {
    name: "value",
    about: "What the model answered: any JSON, a maximum of 256 KiB.",
    shape: JsonShape::Any,
};

/// How long a response is cached.
pub const CACHED_SECONDS: CountField = CountField::new("ttl_seconds")
    .at_least(1)
    .at_most(limits::CACHED_SECONDS)
    .about("After how many seconds it is no longer found.");

/// What a model is asked.
pub const REQUEST_MESSAGES: JsonField = JsonField {
    name: "messages",
    about: "The messages, in the form of any provider.",
    shape: JsonShape::Any,
};

/// How a model is asked.
pub const REQUEST_PARAMETERS: JsonField = JsonField {
    name: "parameters",
    about: "Everything else that the response depends on, like temperature and tools; `{}` when left out.",
    shape: JsonShape::Any,
};

keywords! {
    /// Who finds a cached response.
    pub enum ResponseScope {
        /// The user for whom it was cached.
        Own = "own",
        /// Every user.
        Shared = "shared",
    }
}

/// A response to be cached.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCachedResponse {
    /// Any JSON, a maximum of [`limits::CACHED_RESPONSE_BYTES`].
    pub value: CanonicalJson,
    /// How long, from 1 to [`limits::CACHED_SECONDS`].
    pub ttl_seconds: i64,
}

impl NewCachedResponse {
    /// The seconds that a response is cached when nothing else is said.
    pub const TTL_SECONDS: i64 = 60 * 60;

    /// A response to be cached for an hour.
    #[must_use]
    pub const fn new(value: CanonicalJson) -> Self {
        Self { value, ttl_seconds: Self::TTL_SECONDS }
    }
}

impl Validate for NewCachedResponse {
    fn check(&self, validator: &mut Validator) {
        CACHED_VALUE.check(validator, Some(&self.value));
        if self.value.as_str().len() > limits::CACHED_RESPONSE_BYTES {
            let message =
                format!("must have at most {} bytes as JSON", grouped(limits::CACHED_RESPONSE_BYTES));
            validator.wrong(CACHED_VALUE.name, FieldCode::TooLong, message);
        }
        CACHED_SECONDS.check(validator, Some(self.ttl_seconds));
    }
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The model.
    pub model: String,
    /// The messages, in the form of any provider.
    pub messages: CanonicalJson,
    /// Everything else that the response depends on.
    pub parameters: CanonicalJson,
}

impl ModelRequest {
    /// The request as one text, by which two requests are equal exactly if they mean the same: the object
    /// `{"messages":…,"model":…,"parameters":…}` without blanks, with the names of every object in the order of their code
    /// points, and integral numbers as integers.
    #[must_use]
    pub fn canonical(&self) -> String {
        let model = serde_json::Value::from(self.model.as_str());
        let Self { model: _, messages, parameters } = self;
        format!(r#"{{"messages":{messages},"model":{model},"parameters":{parameters}}}"#)
    }
}

impl Validate for ModelRequest {
    fn check(&self, validator: &mut Validator) {
        MODEL.check(validator, Some(self.model.as_str()));
        REQUEST_MESSAGES.check(validator, Some(&self.messages));
        REQUEST_PARAMETERS.check(validator, Some(&self.parameters));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IntoValid as _, Invalid};

    fn wrong(new: NewCachedResponse) -> Vec<(String, FieldCode)> {
        let Invalid(errors) = new.into_valid().unwrap_err();
        errors.into_iter().map(|error| (error.field, error.code)).collect()
    }

    #[test]
    fn a_response_and_its_time_are_bounded() {
        let text = |bytes: usize| CanonicalJson::parse(&format!("\"{}\"", "x".repeat(bytes - 2))).unwrap();
        assert!(NewCachedResponse::new(text(262_144)).into_valid().is_ok());
        assert_eq!(wrong(NewCachedResponse::new(text(262_145))), [("value".to_owned(), FieldCode::TooLong)]);
        for ttl_seconds in [1, 86_400] {
            let new = NewCachedResponse { ttl_seconds, ..NewCachedResponse::new(text(2)) };
            assert!(new.into_valid().is_ok(), "{ttl_seconds}");
        }
        for ttl_seconds in [i64::MIN, 0, 86_401] {
            let new = NewCachedResponse { ttl_seconds, ..NewCachedResponse::new(text(2)) };
            assert_eq!(wrong(new), [("ttl_seconds".to_owned(), FieldCode::OutOfRange)], "{ttl_seconds}");
        }
    }

    #[test]
    fn requests_that_mean_the_same_have_one_text() {
        let json = |text: &str| CanonicalJson::parse(text).unwrap();
        let request = ModelRequest {
            model: "a \"b\" ü".to_owned(),
            messages: json(r#"[{"role": "user", "content": "hi"}]"#),
            parameters: json(r#"{"temperature": 1.0, "seed": 7}"#),
        };
        assert_eq!(
            request.canonical(),
            r#"{"messages":[{"content":"hi","role":"user"}],"model":"a \"b\" ü","parameters":{"seed":7,"temperature":1}}"#
        );
    }
}
