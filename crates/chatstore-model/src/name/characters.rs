//! Characters of names and addresses.

use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{CanonicalCombiningClass, JoiningType};

use super::invalid::InvalidName;

/// The zero-width non-joiner and joiner, which some scripts are not written without.
const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';

/// The text without white space around it, when it obeys the rules that names and addresses share: no NUL, a maximum of
/// `max` characters, none of them invisible.
pub(super) fn trimmed(text: &str, max: usize) -> Result<&str, InvalidName> {
    let trimmed = python_strip(text);
    if trimmed.contains('\0') {
        return Err(InvalidName::Nul);
    }
    if trimmed.chars().count() > max {
        return Err(InvalidName::TooLong { max });
    }
    Ok(trimmed)
}

/// Fails for a character that cannot be seen, unless it is a joiner that its script wants.
pub(super) fn refuse_forbidden(text: &str) -> Result<(), InvalidName> {
    let is_refused =
        |(place, character): (usize, char)| is_forbidden(character) && !is_wanted_joiner(text, place);
    if text.char_indices().any(is_refused) { Err(InvalidName::ForbiddenCharacter) } else { Ok(()) }
}

/// Bytes of the longest text that is looked up: however it is composed, a longer one is nobody's name or address.
const LOOKED_UP_BYTES: usize = 1_024;

/// A text without the white space around it, if it may be a name or an address at all. Folding takes time in proportion to
/// the length, so that it is looked at first.
pub(super) fn to_look_up(typed: &str) -> Option<&str> {
    let typed = python_strip(typed);
    (typed.len() <= LOOKED_UP_BYTES).then_some(typed)
}

/// Python's `str.strip`.
pub(super) fn python_strip(text: &str) -> &str {
    text.trim_matches(is_python_space)
}

/// Python's `str.isspace`: white space, and the separators U+001C to U+001F, which are none to Rust.
pub(super) fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{e0000}'..='\u{e0fff}'
                | '\u{f0000}'..='\u{ffffd}'
                | '\u{100000}'..='\u{10fffd}'
        )
}

/// Whether there is a joiner at this place that its script wants: the rules CONTEXTJ of RFC 5892 (appendix A.1 and A.2),
/// which PRECIS takes over. Both follow a virama; the non-joiner also separates letters that would join.
fn is_wanted_joiner(text: &str, place: usize) -> bool {
    let (before, rest) = text.split_at(place);
    let mut after = rest.chars();
    let joiner = after.next();
    if !matches!(joiner, Some(NON_JOINER | JOINER)) {
        return false;
    }
    let classes = CanonicalCombiningClassMapBorrowed::new();
    if before
        .chars()
        .next_back()
        .is_some_and(|last| classes.get_u8(last) == CanonicalCombiningClass::Virama.0)
    {
        return true;
    }
    joiner == Some(NON_JOINER)
        && nearest_joining_type(before.chars().rev())
            .is_some_and(|kind| matches!(kind, JoiningType::LeftJoining | JoiningType::DualJoining))
        && nearest_joining_type(after)
            .is_some_and(|kind| matches!(kind, JoiningType::RightJoining | JoiningType::DualJoining))
}

/// How the next letter joins, past marks that have no part in it.
fn nearest_joining_type(mut characters: impl Iterator<Item = char>) -> Option<JoiningType> {
    let types = CodePointMapData::<JoiningType>::new();
    characters.find_map(|character| {
        let kind = types.get(character);
        (kind != JoiningType::Transparent).then_some(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character for which Python's `str.isspace` is true.
    const PYTHON_SPACES: [char; 29] = [
        '\u{9}', '\u{a}', '\u{b}', '\u{c}', '\u{d}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{1f}', '\u{20}',
        '\u{85}', '\u{a0}', '\u{1680}', '\u{2000}', '\u{2001}', '\u{2002}', '\u{2003}', '\u{2004}',
        '\u{2005}', '\u{2006}', '\u{2007}', '\u{2008}', '\u{2009}', '\u{200a}', '\u{2028}', '\u{2029}',
        '\u{202f}', '\u{205f}', '\u{3000}',
    ];

    #[test]
    fn white_space_is_what_python_calls_so() {
        let spaces: Vec<char> = ('\0'..=char::MAX).filter(|character| is_python_space(*character)).collect();
        assert_eq!(spaces, PYTHON_SPACES);
    }

    #[test]
    fn joiners_are_taken_where_their_script_wants_them_and_nowhere_else() {
        for name in ["نامه\u{200c}ای", "می\u{64e}\u{200c}خواهم", "क्\u{200d}ष", "क्\u{200c}ष", "ශ්\u{200d}රී"]
        {
            assert_eq!(refuse_forbidden(name), Ok(()), "{name:?}");
        }
        for name in [
            "ada\u{200c}b",
            "ada\u{200d}b",
            "\u{200c}نامه",
            "نامه\u{200c}",
            "نامه\u{200d}ای",
            "دا\u{200c}د",
            "क\u{200d}ष",
            "نامه\u{200b}ای",
            "👩\u{200d}👩",
        ] {
            assert_eq!(refuse_forbidden(name), Err(InvalidName::ForbiddenCharacter), "{name:?}");
        }
    }
}
