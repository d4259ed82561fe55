//! Query parameters: read one by one, so that one answer names everything that is wrong with them.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chatstore::{
    Cursor, FieldCode, FieldError, Invalid, InvalidFilter, InvalidJson, JsonFilter, Keyword, Limit,
    TextField, Timestamp, Validator,
};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::SchemaFormat;
use utoipa::openapi::{KnownFormat, ObjectBuilder, Type};

use crate::error::Problem;
use crate::position;
use crate::schema::{parameter, text_parameter};
use crate::state::AppState;

/// Where a page begins.
const CURSOR: TextField = TextField::new("cursor").at_most(2048);

/// Maximum ids that a parameter names.
const MAX_IDS: usize = 200;

/// The parameters of a route.
pub(crate) trait FromParameters: Sized {
    /// Takes the parameters out, noting those that are wrong.
    fn from_parameters(parameters: &mut Parameters) -> Self;
}

/// A route without parameters refuses every one.
#[derive(Debug)]
pub(crate) struct NoParameters;

impl FromParameters for NoParameters {
    fn from_parameters(_parameters: &mut Parameters) -> Self {
        Self
    }
}

/// The query of a request.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: FromParameters> FromRequestParts<AppState> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        let mut parameters = Parameters::parse(parts.uri.query().unwrap_or_default());
        let query = T::from_parameters(&mut parameters);
        if let Err(wrong) = position::least(&parts.headers) {
            parameters.wrong(position::NAME, FieldCode::InvalidFormat, wrong.to_string());
        }
        parameters.finish()?;
        Ok(Self(query))
    }
}

/// The parameters of a query that have not been read yet.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    values: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Parameters {
    fn parse(query: &str) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if name.contains('\0') || value.contains('\0') {
                let message = "must not contain the NUL character (U+0000)";
                parameters.wrong(&name, FieldCode::NulCharacter, message);
            } else {
                parameters.values.push((name, value));
            }
        }
        parameters
    }

    /// Notes a wrong parameter.
    pub(crate) fn wrong(&mut self, name: &str, code: FieldCode, message: impl Into<String>) {
        self.errors.push(FieldError { field: name.to_owned(), code, message: message.into() });
    }

    /// Takes over what a check of a parameter found.
    pub(crate) fn note(&mut self, Invalid(errors): Invalid) {
        self.errors.extend(errors);
    }

    /// Whether a parameter is given that was not read yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(given, _)| given == name)
    }

    /// A parameter that may be given once.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let index = self.values.iter().position(|(given, _)| given == name)?;
        let (_, value) = self.values.remove(index);
        if self.values.iter().any(|(given, _)| given == name) {
            self.values.retain(|(given, _)| given != name);
            self.wrong(name, FieldCode::NotAllowed, "must not be given more than once");
            return None;
        }
        Some(value)
    }

    /// A text that may be given once, as the field says.
    pub(crate) fn text_of(&mut self, field: &TextField) -> Option<String> {
        let text = self.text(field.name)?;
        let mut validator = Validator::default();
        field.check(&mut validator, Some(text.as_str()));
        match validator.finish() {
            Ok(()) => Some(text),
            Err(invalid) => {
                self.note(invalid);
                None
            }
        }
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn number(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let text = self.text(name)?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.wrong(name, FieldCode::InvalidFormat, "must be a whole number");
            return None;
        }
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(name, FieldCode::OutOfRange, format!("must be from {least} to {most}"));
        }
        number
    }

    /// How many of something, from 0 to 2^31 - 1.
    pub(crate) fn count(&mut self, name: &str) -> Option<u32> {
        self.number(name, 0, i64::from(i32::MAX)).and_then(|number| u32::try_from(number).ok())
    }

    /// One of a few words.
    pub(crate) fn word<K: Keyword>(&mut self, name: &str) -> Option<K> {
        self.parsed(name, K::parse, FieldCode::NotAllowed, &format!("must be one of {}", K::words()))
    }

    /// Some of a few words, separated by commas; none when it is left out.
    pub(crate) fn words<K: Keyword>(&mut self, name: &str) -> Vec<K> {
        let rule = format!("must be of {}, separated by commas", K::words());
        let parse = |text: &str| text.split(',').map(K::parse).collect::<Option<Vec<K>>>();
        self.parsed(name, parse, FieldCode::NotAllowed, &rule).unwrap_or_default()
    }

    /// True or false.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.value(name, FieldCode::NotAllowed, "must be one of true, false")
    }

    /// What a text stands for; `rule` says what it must be.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str, code: FieldCode, rule: &str) -> Option<T> {
        self.parsed(name, |text| text.parse().ok(), code, rule)
    }

    /// A time.
    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let rule = "must be a time like 2026-03-01T12:00:00Z (RFC 3339)";
        self.value(name, FieldCode::InvalidFormat, rule)
    }

    /// JSON that something contains.
    pub(crate) fn json_filter(&mut self, name: &str) -> Option<JsonFilter> {
        let error = match JsonFilter::parse(&self.text(name)?) {
            Ok(filter) => return Some(filter),
            Err(error) => error,
        };
        let code = match error {
            InvalidFilter::Json(InvalidJson::Nul) => FieldCode::NulCharacter,
            InvalidFilter::Json(InvalidJson::Number(_)) => FieldCode::OutOfRange,
            InvalidFilter::Json(InvalidJson::Malformed(_)) => FieldCode::InvalidFormat,
            InvalidFilter::TooLarge => FieldCode::TooLong,
        };
        self.wrong(name, code, error.to_string());
        None
    }

    /// Ids with commas between them, a maximum of 200.
    pub(crate) fn ids<T: FromStr>(&mut self, name: &str) -> Option<Vec<T>> {
        let text = self.text(name)?;
        let ids: Vec<&str> = text.split(',').collect();
        if ids.len() > MAX_IDS {
            self.wrong(name, FieldCode::TooLong, format!("must have at most {MAX_IDS} items"));
            return None;
        }
        let ids: Option<Vec<T>> = ids.into_iter().map(|id| id.parse().ok()).collect();
        if ids.is_none() {
            let rule = "must be UUIDs or short ids with commas between them";
            self.wrong(name, FieldCode::InvalidFormat, rule);
        }
        ids
    }

    /// Notes those of the parameters that are given although another one excludes them.
    pub(crate) fn refuse_beside<const COUNT: usize>(&mut self, name: &str, others: [(&str, bool); COUNT]) {
        for (other, _) in others.into_iter().filter(|(_, is_given)| *is_given) {
            self.wrong(other, FieldCode::NotAllowed, format!("must not be given together with {name}"));
        }
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        code: FieldCode,
        rule: &str,
    ) -> Option<T> {
        let found = parse(&self.text(name)?);
        if found.is_none() {
            self.wrong(name, code, rule);
        }
        found
    }

    fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.values) {
            self.wrong(&name, FieldCode::UnknownField, "is not a parameter of this request");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::validation(self.errors)) }
    }
}

/// Which page of a list.
#[derive(Debug)]
pub(crate) struct PageQuery {
    pub(crate) limit: Limit,
    pub(crate) cursor: Option<String>,
}

impl FromParameters for PageQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let rows = parameters.number("limit", 1, Limit::MAX.with_lookahead() - 1);
        let limit = rows.and_then(|rows| u16::try_from(rows).ok()).and_then(Limit::new);
        Self { limit: limit.unwrap_or_default(), cursor: parameters.text("cursor") }
    }
}

impl IntoParams for PageQuery {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(1))
            .maximum(Some(Limit::MAX.rows()))
            .default(Some(Limit::default().rows().into()));
        let about = "The maximum number of items.";
        let cursor =
            "Where the page begins: the `next_cursor` of the page before, with the same other parameters.";
        vec![
            parameter("limit", ParameterIn::Query, about, limit).build(),
            text_parameter(&CURSOR, ParameterIn::Query, cursor, None),
        ]
    }
}

impl PageQuery {
    /// The position in the list that `scope` describes from which the page goes on.
    pub(crate) fn position<P: Cursor>(&self, scope: &str) -> Result<Option<P>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let mut validator = Validator::default();
        CURSOR.check(&mut validator, Some(cursor.as_str()));
        validator.finish().map_err(|Invalid(errors)| Problem::validation(errors))?;
        match P::open(cursor, scope) {
            Ok(position) => Ok(Some(position)),
            Err(error) => Err(Problem::wrong(CURSOR.name, FieldCode::InvalidFormat, error.to_string())),
        }
    }
}
