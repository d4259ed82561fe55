//! What a server has too little of.

/// Of what there is not enough for a request that is refused as too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Permits to use the database.
    Permits,
    /// Time for passwords.
    Passwords,
    /// Memory for bodies or answers.
    Memory,
    /// Turns of those that change the same thing.
    Turns,
    /// What the store itself limits: long reads, passwords that wait.
    Store,
}

impl Shortage {
    /// What metrics call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Permits => "permits",
            Self::Passwords => "passwords",
            Self::Memory => "memory",
            Self::Turns => "turns",
            Self::Store => "store",
        }
    }
}
