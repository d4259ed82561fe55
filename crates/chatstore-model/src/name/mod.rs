//! Names and addresses of users, which must be unique.

mod characters;
mod email;
mod invalid;
mod user_name;

pub use email::Email;
pub use invalid::InvalidName;
pub use user_name::UserName;

#[cfg(test)]
mod tests {
    use super::{Email, UserName};

    #[test]
    fn names_and_addresses_are_trimmed_before_they_are_judged() {
        for space in ['\t', '\n', '\u{1c}', '\u{1f}', ' ', '\u{85}', '\u{a0}', '\u{2007}', '\u{3000}'] {
            let name = UserName::new(format!("{space}Ada L {space}")).unwrap();
            assert_eq!((name.as_typed(), name.key()), ("Ada L", "ada l"), "{space:?}");
            let address = Email::new(format!("{space}Ada@Example.org{space}{space}")).unwrap();
            assert_eq!(
                (address.as_typed(), address.key()),
                ("Ada@Example.org", "ada@example.org"),
                "{space:?}"
            );
        }
        assert_eq!(UserName::new(format!(" {} ", "x".repeat(64))).unwrap().as_typed().len(), 64);
    }
}
