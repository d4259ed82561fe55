//! What is wrong with a name or an address.

use crate::FieldCode;

/// A name or an address that breaks a rule; the text says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Fewer characters than [`limits::USERNAME_MIN`](crate::limits::USERNAME_MIN), or no character of an imported name.
    #[error("must have at least {min} character{}", if *.min == 1 { "" } else { "s" })]
    TooShort {
        /// The minimum.
        min: usize,
    },
    /// More characters than [`limits::USERNAME`](crate::limits::USERNAME), or [`limits::EMAIL`](crate::limits::EMAIL) of an e-mail address.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The maximum.
        max: usize,
    },
    /// U+0000.
    #[error("must not contain the NUL character")]
    Nul,
    /// A control, bidirectional-control, zero-width or private-use character.
    #[error("must not contain control, zero-width or private-use characters")]
    ForbiddenCharacter,
    /// Not one `@` with something on both sides and no blanks.
    #[error("must have one @ with text on both sides and no blanks")]
    NotAnAddress,
}

impl InvalidName {
    /// The rule as a code for programs.
    #[must_use]
    pub const fn code(self) -> FieldCode {
        match self {
            Self::TooShort { .. } => FieldCode::TooShort,
            Self::TooLong { .. } => FieldCode::TooLong,
            Self::Nul => FieldCode::NulCharacter,
            Self::ForbiddenCharacter | Self::NotAnAddress => FieldCode::InvalidFormat,
        }
    }
}
