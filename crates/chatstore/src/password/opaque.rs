//! One form for all spellings of a password: the profile OpaqueString of RFC 8265.
//!
//! A keyboard types `é` as one character, another as two; both are one password. Blanks of other widths become U+0020,
//! then everything is NFC; case and width stay. Control characters are refused in new passwords. The other characters
//! that the profile excludes are taken as they are: unassigned ones, of which each version of Unicode has others, and the
//! invisible ones inside of emoji.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// The form that is hashed.
pub(super) fn opaque_string(text: &str) -> Cow<'_, str> {
    let normalizer = ComposingNormalizerBorrowed::new_nfc();
    if text.contains(is_other_blank) {
        let blanks = text.replace(is_other_blank, " ");
        return Cow::Owned(normalizer.normalize(&blanks).into_owned());
    }
    normalizer.normalize(text)
}

/// The white space of the category Zs but U+0020.
fn is_other_blank(character: char) -> bool {
    matches!(
        character,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_password_have_one_form() {
        for (typed, form) in [
            ("cafe\u{301} au lait", "café au lait"),
            ("caf\u{e9} au lait", "café au lait"),
            ("café\u{a0}au\u{3000}lait", "café au lait"),
            ("\u{1100}\u{1161}\u{11a8}", "각"),
            ("Straße", "Straße"),
            ("ＷＩＤＥ", "ＷＩＤＥ"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("tab\there", "tab\there"),
        ] {
            assert_eq!(opaque_string(typed), form, "{typed:?}");
            assert_eq!(opaque_string(form), form, "{form:?}");
        }
    }
}
