//! Query parameters: read one by one, so that one answer names everything that is wrong with them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chatstore::{Cursor, FieldCode, FieldError, Limit, Order};
use utoipa::{IntoParams, ToSchema};

use crate::error::Problem;
use crate::state::AppState;

/// Characters of a cursor at most.
const CURSOR_LENGTH: usize = 512;

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
        parameters.finish()?;
        Ok(Self(query))
    }
}

/// The parameters of a query that nobody took yet.
#[derive(Debug)]
pub(crate) struct Parameters {
    values: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Parameters {
    fn parse(query: &str) -> Self {
        let values = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut parameters = Self { values, errors: Vec::new() };
        parameters.refuse_nul();
        parameters
    }

    fn refuse_nul(&mut self) {
        let has_nul = |(name, value): &(String, String)| name.contains('\0') || value.contains('\0');
        let (with_nul, values) = std::mem::take(&mut self.values).into_iter().partition(has_nul);
        self.values = values;
        let with_nul: Vec<(String, String)> = with_nul;
        for (name, _) in with_nul {
            self.wrong(&name, FieldCode::NulCharacter, "must not contain the NUL character (U+0000)");
        }
    }

    /// Notes a wrong parameter.
    pub(crate) fn wrong(&mut self, name: &str, code: FieldCode, message: impl Into<String>) {
        self.errors.push(FieldError { field: name.to_owned(), code, message: message.into() });
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

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, FieldCode::NotAllowed, format!("must be one of {}", words.join(", ")));
        }
        found
    }

    /// How many rows a page has at most.
    pub(crate) fn limit(&mut self) -> Limit {
        let most = i64::from(u16::try_from(Limit::MAX.rows()).unwrap_or(u16::MAX));
        let rows = self.number("limit", 1, most).and_then(|rows| u16::try_from(rows).ok());
        rows.and_then(Limit::new).unwrap_or_default()
    }

    /// In which direction a list goes.
    pub(crate) fn order(&mut self) -> Option<Order> {
        self.word("order", &[("asc", Order::Ascending), ("desc", Order::Descending)])
    }

    fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.values) {
            self.wrong(&name, FieldCode::UnknownField, "is not a parameter of this request");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::validation(self.errors)) }
    }
}

/// Which page of a list that has no other parameters.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many at most.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    pub(crate) limit: Limit,
    /// Where the page begins: the `next_cursor` of the page before.
    #[param(max_length = 512)]
    pub(crate) cursor: Option<String>,
}

impl FromParameters for PageQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self { limit: parameters.limit(), cursor: parameters.text("cursor") }
    }
}

/// Opens a cursor of the list that `scope` describes.
pub(crate) fn open_cursor<P: Cursor>(cursor: Option<&str>, scope: &str) -> Result<Option<P>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    if cursor.len() > CURSOR_LENGTH {
        let message = format!("must have at most {CURSOR_LENGTH} characters");
        return Err(Problem::wrong("cursor", FieldCode::TooLong, message));
    }
    match P::open(cursor, scope) {
        Ok(position) => Ok(Some(position)),
        Err(error) => Err(Problem::wrong("cursor", FieldCode::InvalidFormat, error.to_string())),
    }
}

/// The direction of a list.
#[derive(Debug, ToSchema)]
#[schema(as = Order, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of the parameter")]
pub(crate) enum OrderWord {
    Asc,
    Desc,
}

/// The word for an order, as in the query.
pub(crate) const fn order_word(order: Order) -> &'static str {
    match order {
        Order::Ascending => "asc",
        Order::Descending => "desc",
    }
}
