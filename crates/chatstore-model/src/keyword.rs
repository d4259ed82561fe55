//! Closed lists of words: one definition for the type, its stored form and its description.

/// A value that is written as one of a few words.
pub trait Keyword: Copy + Eq + 'static {
    /// The name of the list.
    const NAME: &'static str;

    /// What its words say.
    const ABOUT: &'static str;

    /// Every value, in the order in which messages list them.
    const ALL: &'static [Self];

    /// The word, as stored and shown.
    fn as_str(self) -> &'static str;

    /// Reads a word.
    #[must_use]
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.as_str() == text)
    }

    /// Every word, for messages: `a, b, c`.
    #[must_use]
    fn words() -> String {
        let words: Vec<&str> = Self::ALL.iter().map(|value| value.as_str()).collect();
        words.join(", ")
    }
}

/// Defines an enum with one word for each value. The first line of its documentation describes it in
/// the HTTP API as well.
macro_rules! keywords {
    (
        #[doc = $about:literal]
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$value_meta:meta])* $value:ident = $word:literal,)+
        }
    ) => {
        #[doc = $about]
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_meta])* $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$value),+];

            /// The word, as stored and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// Reads the word.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                <Self as $crate::Keyword>::parse(text)
            }
        }

        impl std::fmt::Display for $name {
            /// The word.
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::Keyword for $name {
            const NAME: &'static str = stringify!($name);
            const ABOUT: &'static str = $about.trim_ascii_start();
            const ALL: &'static [Self] = &Self::ALL;

            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }
    };
}

pub(crate) use keywords;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{
        ApiKeyScope, ConversationRole, ConversationSort, EndReason, FieldCode, Keyword, LogLevel, MemberRole,
        Membership, MessageRole, OnConflict, Order, ResponseScope, RouteGroup, UsageDimension, UserRole,
    };

    fn each_word_is_read_back<K: Keyword + std::fmt::Debug + std::fmt::Display>() {
        for value in K::ALL {
            assert_eq!(value.to_string(), value.as_str());
            assert_eq!(K::parse(value.as_str()), Some(*value), "{}", K::NAME);
        }
        let words: BTreeSet<&str> = K::ALL.iter().map(|value| value.as_str()).collect();
        assert_eq!(words.len(), K::ALL.len(), "{}", K::NAME);
        assert_eq!(K::parse("unknown word"), None);
        assert!(K::ABOUT.ends_with('.') && !K::ABOUT.starts_with(' '), "{}", K::ABOUT);
    }

    #[test]
    fn every_word_of_every_list_is_read_back() {
        each_word_is_read_back::<ApiKeyScope>();
        each_word_is_read_back::<ConversationRole>();
        each_word_is_read_back::<ConversationSort>();
        each_word_is_read_back::<EndReason>();
        each_word_is_read_back::<FieldCode>();
        each_word_is_read_back::<LogLevel>();
        each_word_is_read_back::<MemberRole>();
        each_word_is_read_back::<Membership>();
        each_word_is_read_back::<MessageRole>();
        each_word_is_read_back::<OnConflict>();
        each_word_is_read_back::<Order>();
        each_word_is_read_back::<ResponseScope>();
        each_word_is_read_back::<RouteGroup>();
        each_word_is_read_back::<UsageDimension>();
        each_word_is_read_back::<UserRole>();
    }

    #[test]
    fn the_roles_of_members_are_roles_in_a_conversation() {
        for role in MemberRole::ALL {
            assert_eq!(ConversationRole::from(role).as_str(), role.as_str());
        }
    }
}
