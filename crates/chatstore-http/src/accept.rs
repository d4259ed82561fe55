//! Which form of a list a client wants.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use chatstore::{FieldCode, FieldError};

use crate::answer::NDJSON;
use crate::error::Problem;
use crate::state::AppState;

/// The form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListForm {
    /// A page as an object.
    Page,
    /// The whole list as lines of JSON.
    Lines,
}

impl FromRequestParts<AppState> for ListForm {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

impl ListForm {
    /// Lines where they are named and preferred to a page, or of the same rank and named before it.
    fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = accepted.flat_map(|list| list.split(',')).map(media_range);
        let (mut lines, mut page) = (0.0, 0.0);
        for (media_type, quality) in ranges {
            if media_type.eq_ignore_ascii_case(NDJSON) && quality > page {
                lines = quality;
            } else if media_type.eq_ignore_ascii_case("application/json") {
                page = quality;
            }
        }
        if lines > 0.0 && lines >= page { Self::Lines } else { Self::Page }
    }
}

/// The parameters of a list that only its pages have, as far as they are given.
#[derive(Debug, Default)]
pub(crate) struct OfPages(Vec<&'static str>);

impl OfPages {
    /// Those that are given.
    pub(crate) fn of(parameters: impl IntoIterator<Item = (&'static str, bool)>) -> Self {
        let given = parameters.into_iter().filter(|(_, is_given)| *is_given);
        Self(given.map(|(name, _)| name).collect())
    }

    /// Fails for those that the form of the answer excludes.
    pub(crate) fn check(&self, form: ListForm) -> Result<(), Problem> {
        if form == ListForm::Page || self.0.is_empty() {
            return Ok(());
        }
        let wrong = |name: &&'static str| FieldError {
            field: (*name).to_owned(),
            code: FieldCode::NotAllowed,
            message: format!("must not be given together with {NDJSON}"),
        };
        Err(Problem::validation(self.0.iter().map(wrong).collect()))
    }
}

/// A media type and its quality (RFC 9110, 12.5.1).
fn media_range(text: &str) -> (&str, f32) {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (media_type, quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &'static str) -> ListForm {
        ListForm::of(&[(header::ACCEPT, accept.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn lines_are_answered_to_clients_that_name_them_first() {
        for accept in [
            "application/x-ndjson",
            "Application/X-NDJSON; charset=utf-8",
            "*/*, application/x-ndjson",
            "application/x-ndjson, application/json",
            "application/json;q=0.5, application/x-ndjson; q=0.9",
        ] {
            assert_eq!(form(accept), ListForm::Lines, "{accept}");
        }
        for accept in [
            "*/*",
            "application/json",
            "application/json, application/x-ndjson",
            "application/x-ndjson;q=0.5, application/json",
            "application/x-ndjson;q=0",
            "application/*",
        ] {
            assert_eq!(form(accept), ListForm::Page, "{accept}");
        }
        assert_eq!(ListForm::of(&HeaderMap::new()), ListForm::Page);
    }
}
