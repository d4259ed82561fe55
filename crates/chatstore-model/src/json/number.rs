//! Which numbers 64 bits hold exactly, and which are the same.

/// The maximum number of characters of a fraction that every 64-bit float tells apart from all others.
const CERTAIN: usize = 15;

/// 2^64: smaller whole floats are whole numbers of 64 bits, all digits of which are kept.
const WHOLE: f64 = 18_446_744_073_709_551_616.0;

/// Whether a number in JSON, as it is spelled, is one that 64 bits hold: a whole number from -2^63 to 2^64 - 1, or a
/// float in its shortest spelling, in that of 17 digits, or as the whole number that it is. Other spellings would come back as another number.
///
/// What is no number at all is for the parser to refuse.
pub(super) fn is_exact(number: &str) -> bool {
    let Ok(float) = number.parse::<f64>() else { return true };
    let is_exponential = number.contains(['e', 'E']);
    if !is_exponential && !number.contains('.') {
        return number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    }
    if number.len() <= CERTAIN && !is_exponential {
        return true;
    }
    if !float.is_finite() {
        return false;
    }
    let given = Decimal::of(number);
    let is_whole = float.fract() == 0.0 && float.abs() < WHOLE;
    given == Decimal::of(&format!("{float:e}"))
        || given == Decimal::of(&format!("{float:.16e}"))
        || is_whole && given == Decimal::of(&format!("{float:.0}"))
}

/// One spelling of a number, the same for all spellings of its value.
pub(super) fn normal_form(number: &str) -> String {
    let Decimal { is_negative, digits, exponent } = Decimal::of(number);
    let sign = if is_negative { "-" } else { "" };
    match digits.as_str() {
        "" => "0".to_owned(),
        digits => format!("{sign}{digits}e{exponent}"),
    }
}

/// A number as its significant digits and the power of ten behind the last of them.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(number: &str) -> Self {
        let (is_negative, number) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Self { is_negative: false, digits: String::new(), exponent: 0 };
        }
        let zeros_behind = all.len() - all.trim_end_matches('0').len();
        // An exponent that no `i64` holds is one that no float has.
        let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
        let moved = i64::try_from(zeros_behind).unwrap_or(i64::MAX);
        let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        let exponent = exponent.saturating_add(moved).saturating_sub(places);
        Self { is_negative, digits: digits.to_owned(), exponent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_64_bits_are_exact() {
        for number in ["0", "-0", "9007199254740993", "-9223372036854775808", "18446744073709551615"] {
            assert!(is_exact(number), "{number}");
        }
        for number in ["18446744073709551616", "-9223372036854775809", "12345678901234567890123"] {
            assert!(!is_exact(number), "{number}");
        }
        assert!(!is_exact(&"9".repeat(400)));
    }

    #[test]
    fn floats_are_exact_in_their_shortest_spelling_and_in_that_of_17_digits() {
        for number in [
            "0.1",
            "-0.0",
            "0.30000000000000004",
            "0.10000000000000001",
            "1.00000000000000000000",
            "1e22",
            "1E+22",
            "10e21",
            "5e-324",
            "-1.7976931348623157e308",
            "9.9999999999999992e+22",
            "0e99999999999999999999",
            "9007199254740992.0",
            "9.223372036854775808e18",
        ] {
            assert!(is_exact(number), "{number}");
        }
        for number in [
            "3.14159265358979323846",
            "9007199254740993.0",
            "1e400",
            "1e-400",
            "1e99999999999999999999",
            "0.12345678901234567890",
        ] {
            assert!(!is_exact(number), "{number}");
        }
    }
}
