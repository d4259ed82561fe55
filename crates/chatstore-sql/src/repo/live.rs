//! What is being deleted in pieces: every statement leaves it out with these conditions.
//!
//! A conversation is live while neither it nor its owner is marked; what belongs to it is reached through it. The test
//! `tests/schema/live_conditions` finds a statement without them.

/// That a user is not being deleted.
macro_rules! live_user {
    ($id:expr) => {
        constcat::concat!(
            "not exists (select 1 from users gone where gone.id = ",
            $id,
            " and gone.deleted_at is not null)"
        )
    };
}

/// That there is a conversation with this owner and id, and that neither is being deleted.
macro_rules! live_conversation {
    ($owner:expr, $id:expr) => {
        constcat::concat!(
            "exists (select 1 from conversations live where live.owner_id = ",
            $owner,
            " and live.id = ",
            $id,
            " and live.deleted_at is null) and ",
            $crate::repo::live::live_user!($owner)
        )
    };
}

/// The same of a row that may belong to no conversation; that its owner is live is a condition of its own.
macro_rules! live_conversation_if_any {
    ($owner:expr, $id:expr) => {
        constcat::concat!(
            "(",
            $id,
            " is null or exists (select 1 from conversations live where live.owner_id = ",
            $owner,
            " and live.id = ",
            $id,
            " and live.deleted_at is null))"
        )
    };
}

/// That a message was not sent by a member who is being deleted. Messages of the owner have no sender.
macro_rules! live_sender {
    ($sender:expr) => {
        constcat::concat!("(", $sender, " is null or ", $crate::repo::live::live_user!($sender), ")")
    };
}

pub(super) use {live_conversation, live_conversation_if_any, live_sender, live_user};
