//! Requests that were checked, as a type: what takes a [`Valid`] needs no check of its own.

use std::ops::Deref;

use crate::{
    ConversationId, ConversationPatch, DocumentId, ExpectedSuffix, Invalid, MessageBatch, MessageId,
    MessageReplacement, NewConversation, NewDocument, NewMessage, NewReply, NewUser, OnConflict, Parent,
    PasswordHash, SuffixReplacement, UserRole, Validate, Validator,
};

/// A request that breaks no limit; only [`IntoValid`] creates one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valid<T>(T);

impl<T> Valid<T> {
    /// The request itself.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T, Rest> Valid<(T, Rest)> {
    /// The request, and what came with it.
    #[must_use]
    pub fn split(self) -> (Valid<T>, Rest) {
        let (request, rest) = self.0;
        (Valid(request), rest)
    }
}

impl<T> Deref for Valid<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A request that may have been checked before: the argument of what needs a valid one. It is checked once.
///
/// A request itself, a reference to one, and a [`Valid`] of either are all taken.
pub trait IntoValid<T> {
    /// The request, checked now unless it was before.
    ///
    /// # Errors
    /// [`Invalid`] with every field that breaks a limit.
    fn into_valid(self) -> Result<Valid<T>, Invalid>;
}

impl<T: Validate> IntoValid<T> for T {
    fn into_valid(self) -> Result<Valid<T>, Invalid> {
        let mut validator = Validator::default();
        self.check(&mut validator);
        validator.finish().map(|()| Valid(self))
    }
}

impl<T> IntoValid<T> for Valid<T> {
    fn into_valid(self) -> Result<Self, Invalid> {
        Ok(self)
    }
}

impl<'a, T> IntoValid<&'a T> for &'a Valid<T> {
    fn into_valid(self) -> Result<Valid<&'a T>, Invalid> {
        Ok(Valid(&self.0))
    }
}

impl<'a, T> IntoValid<&'a [T]> for &'a Valid<Vec<T>> {
    fn into_valid(self) -> Result<Valid<&'a [T]>, Invalid> {
        Ok(Valid(&self.0))
    }
}

impl<'a, T> IntoValid<&'a [T]> for &'a Vec<T>
where
    &'a [T]: Validate,
{
    fn into_valid(self) -> Result<Valid<&'a [T]>, Invalid> {
        self.as_slice().into_valid()
    }
}

impl<'a, T, const COUNT: usize> IntoValid<&'a [T]> for &'a [T; COUNT]
where
    &'a [T]: Validate,
{
    fn into_valid(self) -> Result<Valid<&'a [T]>, Invalid> {
        self.as_slice().into_valid()
    }
}

impl Valid<NewConversation> {
    /// The id, which is set to `new` when there is none.
    pub fn id_or(&mut self, new: impl FnOnce() -> ConversationId) -> ConversationId {
        *self.0.id.get_or_insert_with(new)
    }
}

impl Valid<NewDocument> {
    /// The document as a batch of one.
    #[must_use]
    pub fn alone(self) -> Valid<Vec<NewDocument>> {
        Valid(vec![self.0])
    }
}

impl Valid<Vec<NewDocument>> {
    /// The ids, each set to `new` where there is none.
    pub fn ids_or(&mut self, mut new: impl FnMut() -> DocumentId) -> Vec<DocumentId> {
        self.0.iter_mut().map(|document| *document.id.get_or_insert_with(&mut new)).collect()
    }
}

impl Valid<NewMessage> {
    /// The message as a batch of one.
    #[must_use]
    pub fn alone(self) -> Valid<MessageBatch> {
        Valid(MessageBatch::from(vec![self.0]))
    }
}

impl From<Valid<Vec<NewMessage>>> for Valid<MessageBatch> {
    fn from(Valid(messages): Valid<Vec<NewMessage>>) -> Self {
        Self(MessageBatch::from(messages))
    }
}

impl Valid<MessageBatch> {
    /// The messages.
    #[must_use]
    pub fn messages(&self) -> Valid<&[NewMessage]> {
        Valid(&self.0.messages)
    }

    /// The changes of their conversation.
    #[must_use]
    pub const fn conversation(&self) -> Valid<&ConversationPatch> {
        Valid(&self.0.conversation)
    }

    /// The only message, unless there are others, it brings a time or a parent, or more than appending it is asked
    /// for.
    ///
    /// # Errors
    /// The batch itself.
    #[expect(clippy::result_large_err, reason = "the other value is given back, no error")]
    pub fn into_single(self) -> Result<Valid<NewMessage>, Self> {
        let Self(MessageBatch { mut messages, conversation, on_conflict }) = self;
        let is_plain = conversation.is_empty() && on_conflict == OnConflict::Error;
        match messages.pop() {
            Some(message)
                if messages.is_empty()
                    && is_plain
                    && message.created_at.is_none()
                    && message.parent.is_none() =>
            {
                Ok(Valid(message))
            }
            last => {
                messages.extend(last);
                Err(Self(MessageBatch { messages, conversation, on_conflict }))
            }
        }
    }

    /// The batch with a rule for ids that the conversation has already.
    #[must_use]
    pub fn on_conflict(self, on_conflict: OnConflict) -> Self {
        Self(MessageBatch { on_conflict, ..self.0 })
    }

    /// The messages behind the first ones, as a batch of their own: they follow each other, and the first of them what
    /// is given.
    #[must_use]
    pub fn behind(&self, first: usize, parent: Option<Parent>) -> Self {
        let mut messages = self.0.messages.get(first..).unwrap_or_default().to_vec();
        for message in &mut messages {
            message.parent = None;
        }
        if let Some(message) = messages.first_mut() {
            message.parent = parent;
        }
        Self(MessageBatch { messages, ..MessageBatch::default() })
    }

    /// The same, of which the first message follows none unless it says what.
    #[must_use]
    pub fn at_root(&self) -> Self {
        let mut batch = self.0.clone();
        if let Some(message) = batch.messages.first_mut() {
            message.parent.get_or_insert(Parent::Root);
        }
        Self(batch)
    }

    /// Whether a message brings an id.
    #[must_use]
    pub fn has_ids(&self) -> bool {
        self.0.messages.iter().any(|message| message.id.is_some() || message.external_id.is_some())
    }
}

impl Valid<SuffixReplacement> {
    /// What is appended, which may be nothing, and what is expected.
    #[must_use]
    pub fn into_batch(self) -> (Valid<MessageBatch>, ExpectedSuffix) {
        let Self(SuffixReplacement { expected, messages, conversation }) = self;
        (Valid(MessageBatch { messages, conversation, ..MessageBatch::default() }), expected)
    }
}

impl Valid<MessageReplacement> {
    /// The messages, of which there may be none.
    #[must_use]
    pub fn into_batch(self) -> Valid<MessageBatch> {
        let Self(MessageReplacement { messages, conversation }) = self;
        Valid(MessageBatch { messages, conversation, ..MessageBatch::default() })
    }
}

impl Valid<NewReply> {
    /// The id of its message, which is set to `new` when there is none.
    pub fn id_or(&mut self, new: impl FnOnce() -> MessageId) -> MessageId {
        *self.0.message.id.get_or_insert_with(new)
    }
}

impl Valid<NewUser> {
    /// The user with the hash of a password.
    #[must_use]
    pub fn with_password(self, hash: PasswordHash) -> Self {
        Self(NewUser { password_hash: Some(hash), ..self.0 })
    }

    /// The user as anyone may register: no administrator, active, created now, and with an address that is only
    /// claimed.
    #[must_use]
    pub fn as_registration(self) -> Self {
        Self(NewUser {
            role: UserRole::User,
            is_email_verified: false,
            is_active: true,
            must_change_password: false,
            id: None,
            created_at: None,
            updated_at: None,
            external_id: None,
            ..self.0
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::FieldCode;

    /// Counts how often it is checked.
    #[derive(Debug, Default)]
    struct Request {
        checks: Cell<usize>,
        is_wrong: bool,
    }

    impl Validate for Request {
        fn check(&self, validator: &mut Validator) {
            self.checks.set(self.checks.get() + 1);
            if self.is_wrong {
                validator.wrong("field", FieldCode::NotAllowed, "is wrong");
            }
        }
    }

    fn stored<'a>(new: impl IntoValid<&'a Request>) -> Result<usize, Invalid> {
        Ok(new.into_valid()?.checks.get())
    }

    fn served(new: impl IntoValid<Request>) -> Result<usize, Invalid> {
        let new = new.into_valid()?;
        stored(&new)
    }

    #[test]
    fn a_request_is_checked_once_on_its_way() {
        assert_eq!(stored(&Request::default()), Ok(1));
        assert_eq!(served(Request::default()), Ok(1));
        assert_eq!(served(Request::default().into_valid().unwrap()), Ok(1));
    }

    #[test]
    fn an_invalid_request_goes_no_further() {
        let wrong = Request { is_wrong: true, ..Request::default() };
        assert_eq!(stored(&wrong), Err(Invalid::field("field", FieldCode::NotAllowed, "is wrong")));
        assert!(served(wrong).is_err());
    }
}
