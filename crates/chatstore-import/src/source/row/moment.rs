//! Times as other applications wrote them.

use chatstore_model::Timestamp;
use chatstore_sql::ExternalValue;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// What a value says about a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Moment {
    /// Nothing.
    Missing,
    /// An instant, in the form in which SQLAlchemy or the database writes one with a zone.
    Instant(Timestamp),
    /// Date and time as SQLAlchemy writes them, without a zone: taken as UTC.
    WithoutZone(Timestamp),
    /// An instant in another form; which.
    OtherForm(Timestamp, &'static str),
    /// No time.
    Unusable,
}

/// Reads a time; `has_zone` says that the column's type has one.
pub(in crate::source) fn read(value: &ExternalValue, has_zone: bool) -> Moment {
    match value {
        ExternalValue::Null => Moment::Missing,
        ExternalValue::Int(number) => epoch(i128::from(*number) * 1_000_000),
        #[allow(clippy::cast_possible_truncation, reason = "a float that is no time is refused by its range")]
        ExternalValue::Real(number) => epoch((number * 1_000_000.0).round() as i128),
        ExternalValue::Text(text) => read_text(text.trim(), has_zone),
        ExternalValue::Bool(_) | ExternalValue::Bytes(_) => Moment::Unusable,
    }
}

/// Reads a time of a source that has no types, where a text with a zone and a number are as usual as any other form.
pub(in crate::source) fn read_loose(value: &ExternalValue) -> Moment {
    if let ExternalValue::Text(text) = value {
        let text = text.trim();
        // As tinydb-serialization writes times.
        let text = text.strip_prefix("{TinyDate}:").unwrap_or(text);
        if let Some(instant) = without_zone(text, "%Y-%m-%dT%H:%M:%S%.f") {
            return Moment::WithoutZone(instant);
        }
        return read(&ExternalValue::Text(text.to_owned()), true);
    }
    match read(value, true) {
        Moment::OtherForm(instant, _) => Moment::Instant(instant),
        other => other,
    }
}

impl Moment {
    /// The instant, when there is one.
    pub(in crate::source) const fn instant(self) -> Option<Timestamp> {
        match self {
            Self::Instant(instant) | Self::WithoutZone(instant) | Self::OtherForm(instant, _) => {
                Some(instant)
            }
            Self::Missing | Self::Unusable => None,
        }
    }
}

fn read_text(text: &str, has_zone: bool) -> Moment {
    if let Some(instant) = without_zone(text, "%Y-%m-%d %H:%M:%S%.f") {
        return Moment::WithoutZone(instant);
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return match (timestamp(instant), has_zone) {
            (None, _) => Moment::Unusable,
            (Some(instant), true) => Moment::Instant(instant),
            (Some(instant), false) => Moment::OtherForm(instant, "a text with a zone"),
        };
    }
    if let Ok(date_time) = text.parse::<DateTime>() {
        let form = if text.parse::<Date>().is_ok() && !text.contains(':') {
            "a date alone"
        } else {
            "another form without a zone"
        };
        return in_utc(date_time).map_or(Moment::Unusable, |instant| Moment::OtherForm(instant, form));
    }
    for form in ["%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%Y/%m/%d %H:%M:%S"] {
        if let Some(instant) = without_zone(text, form) {
            return Moment::OtherForm(instant, "another form without a zone");
        }
    }
    if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
        return timestamp(zoned.timestamp())
            .map_or(Moment::Unusable, |instant| Moment::OtherForm(instant, "the form of e-mails"));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => read(&ExternalValue::Real(number), false),
        _ => Moment::Unusable,
    }
}

fn without_zone(text: &str, form: &str) -> Option<Timestamp> {
    let date_time = DateTime::strptime(form, text).or_else(|_| {
        let date = Date::strptime(form, text)?;
        Ok::<_, jiff::Error>(date.at(0, 0, 0, 0))
    });
    in_utc(date_time.ok()?)
}

fn in_utc(date_time: DateTime) -> Option<Timestamp> {
    timestamp(TimeZone::UTC.to_timestamp(date_time).ok()?)
}

fn timestamp(instant: jiff::Timestamp) -> Option<Timestamp> {
    let microseconds = i64::try_from(instant.as_nanosecond().div_euclid(1_000)).ok()?;
    Timestamp::from_microseconds(microseconds).ok()
}

/// A number since 1970: seconds, milliseconds or microseconds, whichever gives a year from 1973 to 5138.
fn epoch(millionths: i128) -> Moment {
    let number = millionths / 1_000_000;
    let (microseconds, unit) = match number.abs() {
        100_000_000..100_000_000_000 => (millionths, "seconds since 1970"),
        100_000_000_000..100_000_000_000_000 => (millionths / 1_000, "milliseconds since 1970"),
        100_000_000_000_000..100_000_000_000_000_000 => (number, "microseconds since 1970"),
        _ => return Moment::Unusable,
    };
    let instant = i64::try_from(microseconds).ok().and_then(|us| Timestamp::from_microseconds(us).ok());
    instant.map_or(Moment::Unusable, |instant| Moment::OtherForm(instant, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Moment {
        read(&ExternalValue::Text(text.to_owned()), false)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_sqlalchemy_writes_is_taken_as_utc() {
        for (written, instant) in [
            ("2024-03-01 10:20:30.123456", "2024-03-01T10:20:30.123456Z"),
            ("2024-03-01 10:20:30", "2024-03-01T10:20:30Z"),
            ("2024-03-01 10:20:30.5", "2024-03-01T10:20:30.5Z"),
        ] {
            assert_eq!(text(written), Moment::WithoutZone(at(instant)), "{written}");
        }
    }

    #[test]
    fn other_forms_are_understood_and_named() {
        let ten = at("2024-03-01T10:00:00Z");
        for (written, form) in [
            ("2024-03-01T10:00:00Z", "a text with a zone"),
            ("2024-03-01T12:00:00+02:00", "a text with a zone"),
            ("2024-03-01 10:00:00+00", "a text with a zone"),
            ("2024-03-01T10:00:00", "another form without a zone"),
            ("01.03.2024 10:00", "another form without a zone"),
            ("Fri, 01 Mar 2024 10:00:00 +0000", "the form of e-mails"),
            ("1709287200", "seconds since 1970"),
            ("1709287200.0", "seconds since 1970"),
            ("1709287200000", "milliseconds since 1970"),
        ] {
            assert_eq!(text(written), Moment::OtherForm(ten, form), "{written}");
        }
        assert_eq!(text("2024-03-01"), Moment::OtherForm(at("2024-03-01T00:00:00Z"), "a date alone"));
        assert_eq!(
            read(&ExternalValue::Int(1_709_287_200), false),
            Moment::OtherForm(ten, "seconds since 1970")
        );
        let with_zone = ExternalValue::Text("2024-03-01 10:00:00+00".to_owned());
        assert_eq!(read(&with_zone, true), Moment::Instant(ten));
    }

    #[test]
    fn what_is_no_time_is_not_guessed() {
        for written in ["", "yesterday", "03/04/2024", "17", "infinity", "-1", "0000-00-00 00:00:00", "NaN"] {
            assert_eq!(text(written), Moment::Unusable, "{written}");
        }
    }
}
