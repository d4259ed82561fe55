//! What a new password must be.

use chatstore_model::{FieldCode, Invalid, UserName, limits};

use super::{MOST_BYTES, Password};

/// A piece of up to this many characters, repeated, is no password.
const PIECE: usize = 8;

/// The name of the product, which a user of it would try first.
const PRODUCT: &str = "chatstore";

/// Words of the context with fewer characters are parts of many other words.
const WORD: usize = 3;

/// Characters, and letters among them, that must be there beside words of the context.
const OTHERS: usize = 8;
const OTHER_LETTERS: usize = 4;

/// Common passwords of twelve characters and more, one a line, folded; lines that begin with `# ` say where
/// they come from.
const COMMON: &str = include_str!("common.txt");

impl Password {
    /// Checks a new password in the form that is hashed: 12 to 256 characters and at most 1,024 bytes, none of them a
    /// control character; not a common one, a repeated piece or a plain sequence; not the name of the product or of
    /// `names`, the user's own name and address, or a part of these, with little else, whatever the case.
    ///
    /// # Errors
    /// [`Invalid`] for the field, with the rule it breaks.
    pub fn check(&self, field: &str, names: &[&str]) -> Result<(), Invalid> {
        let too_long = || {
            let message = format!("must have at most {} characters and 1,024 bytes", limits::PASSWORD);
            Err(Invalid::field(field, FieldCode::TooLong, message))
        };
        if self.expose().chars().count() > limits::PASSWORD {
            return too_long();
        }
        let text = &*self.to_hash();
        if text.chars().count() > limits::PASSWORD || text.len() > MOST_BYTES {
            return too_long();
        }
        if text.chars().count() < limits::PASSWORD_MIN {
            let message = format!("must have at least {} characters", limits::PASSWORD_MIN);
            return Err(Invalid::field(field, FieldCode::TooShort, message));
        }
        if text.contains('\0') {
            return Err(Invalid::field(
                field,
                FieldCode::NulCharacter,
                "must not contain the NUL character (U+0000)",
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid::field(
                field,
                FieldCode::InvalidFormat,
                "must not contain control characters",
            ));
        }
        match guess(&UserName::key_of(text), names) {
            Some(message) => Err(Invalid::field(field, FieldCode::NotAllowed, message)),
            None => Ok(()),
        }
    }
}

/// Why the password would be guessed early.
fn guess(folded: &str, names: &[&str]) -> Option<&'static str> {
    let is_name = |name: &&str| {
        let local = name.split('@').next().unwrap_or(name);
        UserName::key_of(name) == folded || UserName::key_of(local) == folded
    };
    if names.iter().any(is_name) {
        return Some("must not be one's own name or address");
    }
    if COMMON.lines().any(|common| common == folded) {
        return Some("is one of the most common passwords");
    }
    if is_of_context(folded, names) {
        return Some(
            "must not be the name of the product, or a part of one's own name or address, with little else",
        );
    }
    let characters: Vec<char> = folded.chars().collect();
    if is_repeated(&characters) || is_sequence(&characters) {
        return Some("must not be one short piece repeated, or a plain sequence");
    }
    None
}

/// Whether little is left of the password without the words of its context, like the digits of a year.
fn is_of_context(folded: &str, names: &[&str]) -> bool {
    let mut words: Vec<String> = vec![PRODUCT.to_owned()];
    for name in names {
        let name = UserName::key_of(name);
        words.extend(name.split(|character: char| !character.is_alphanumeric()).map(str::to_owned));
        words.push(name);
    }
    words.retain(|word| word.chars().count() >= WORD);
    // A longer word may contain a shorter one.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = folded.to_owned();
    for word in &words {
        rest = rest.replace(word.as_str(), "");
    }
    let letters = rest.chars().filter(|character| character.is_alphabetic()).count();
    rest.len() < folded.len() && (rest.chars().count() < OTHERS || letters < OTHER_LETTERS)
}

fn is_repeated(characters: &[char]) -> bool {
    let longest = PIECE.min(characters.len() / 2);
    (1..=longest).any(|piece| characters[piece..] == characters[..characters.len() - piece])
}

/// Whether each character follows the one before it, or each precedes it: `abcdef`, `3210987`.
fn is_sequence(characters: &[char]) -> bool {
    let ascends = characters.windows(2).all(|pair| follower(pair[0]) == Some(pair[1]));
    let descends = characters.windows(2).all(|pair| follower(pair[1]) == Some(pair[0]));
    ascends || descends
}

fn follower(character: char) -> Option<char> {
    match character {
        '9' => Some('0'),
        'z' => Some('a'),
        other => char::from_u32(u32::from(other) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str, names: &[&str]) -> Option<FieldCode> {
        Password::new(text).check("password", names).err().map(|invalid| invalid.0[0].code)
    }

    #[test]
    fn a_password_has_12_to_256_characters_and_at_most_1024_bytes() {
        assert_eq!(code("tr0ub4dor&3", &[]), Some(FieldCode::TooShort));
        assert_eq!(code("tr0ub4dor&3!", &[]), None);
        let words = "correct horse battery staple ".repeat(9);
        assert_eq!(code(&words[..256], &[]), None);
        assert_eq!(code(&words[..257], &[]), Some(FieldCode::TooLong));
        let wide: String = ('\u{10300}'..).take(256).collect();
        assert_eq!((wide.len(), code(&wide[..], &[])), (1_024, Some(FieldCode::NotAllowed)), "a sequence");
        let shuffled: String = wide.chars().skip(1).step_by(2).chain(wide.chars().step_by(2)).collect();
        assert_eq!(code(&shuffled, &[]), None);
        assert_eq!(code(&shuffled.replacen('\u{10300}', "ab", 1), &[]), Some(FieldCode::TooLong));
    }

    #[test]
    fn a_password_holds_no_nul_character() {
        assert_eq!(code("tr0ub4dor&3\0!", &[]), Some(FieldCode::NulCharacter));
    }

    #[test]
    fn a_password_is_counted_in_the_form_that_is_hashed() {
        assert_eq!(code("e\u{301}a\u{301}o\u{301}u\u{301}i\u{301}y\u{301}", &[]), Some(FieldCode::TooShort));
        assert_eq!(code(&"\u{1d160}x\u{1d15e}y".repeat(60), &[]), Some(FieldCode::TooLong));
        assert_eq!(code("correct\thorse battery", &[]), Some(FieldCode::InvalidFormat));
    }

    #[test]
    fn common_passwords_are_refused_in_any_case_and_width() {
        for text in ["passwordpassword", "1QAZ2wsx3edc", "ｑｗｅｒｔｙｕｉｏｐ１２３"] {
            assert_eq!(code(text, &[]), Some(FieldCode::NotAllowed), "{text}");
        }
    }

    #[test]
    fn repeated_pieces_and_sequences_are_refused() {
        for text in ["aaaaaaaaaaaa", "abcabcabcabca", "x7k2x7k2x7k2", "890123456789", "lkjihgfedcba"] {
            assert_eq!(code(text, &[]), Some(FieldCode::NotAllowed), "{text}");
        }
        assert_eq!(code("abcabcabcabd", &[]), None);
    }

    #[test]
    fn ones_own_name_and_address_are_refused_in_any_case() {
        let names = ["Ada Augusta King", "countess.of.lovelace@example.org"];
        for text in ["ada augusta KING", "Countess.of.Lovelace@Example.org", "COUNTESS.of.lovelace"] {
            assert_eq!(code(text, &names), Some(FieldCode::NotAllowed), "{text}");
        }
        assert_eq!(code("ada augusta king", &["somebody else"]), None);
    }

    #[test]
    fn words_of_the_context_are_refused_with_little_else() {
        let names = ["ada.king", "countess.of.lovelace@mail.example.org"];
        for text in [
            "chatstore1234",
            "ChatStore-2026",
            "chatstorechatstore!",
            "my-chatstore-1",
            "adaking123456",
            "King!Ada!1815!",
            "lovelace-18151815",
            "example.org12345678",
            "12345678lovelace",
        ] {
            assert_eq!(code(text, &names), Some(FieldCode::NotAllowed), "{text}");
        }
        for text in
            ["correct horse chatstore", "lovelace plays chess", "kingfisher over water", "xq7!chatstore-uwz9"]
        {
            assert_eq!(code(text, &names), None, "{text}");
        }
        assert_eq!(code("lovelace-18151815", &[]), None, "another user's name");
    }

    #[test]
    fn an_error_names_the_field_and_not_the_password() {
        let invalid = Password::new("hunter2").check("new_password", &[]).unwrap_err();
        assert_eq!(invalid.to_string(), "new_password: must have at least 12 characters");
        assert_eq!(format!("{:?}", Password::new("hunter2")), "Password(***)");
    }

    #[test]
    fn the_common_passwords_are_folded_and_long_enough_to_matter() {
        let common: Vec<&str> = COMMON.lines().filter(|line| !line.starts_with("# ")).collect();
        assert_eq!(common.len(), 10_000);
        for text in common {
            assert!(text.len() >= limits::PASSWORD_MIN && UserName::key_of(text) == text, "{text}");
        }
    }
}
