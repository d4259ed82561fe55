//! The statements that read messages, each for the owner of a conversation and for its members.

use chatstore_model::{MessageFilter, MessageRange, MessageRole, Order};
use constcat::concat;

use super::bounds::{SMALL_COLUMNS, bounded_rows};
use super::row::{COLUMNS, WITHIN};
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::Via;
use crate::repo::live::{live_conversation, live_sender, live_user};

/// The owner of the conversation `$2` of which the user `$1` is a member; none when the user has a
/// conversation with this id, which goes first however empty it is.
const OWNER_FOR_MEMBER: &str = concat!(
    "(select m.owner_id from conversation_members m where m.user_id = $1 and m.conversation_id = $2 and ",
    live_conversation!("m.owner_id", "$2"),
    " and ",
    live_user!("$1"),
    " and not exists (select 1 from conversations own \
    where own.owner_id = $1 and own.id = $2 and own.deleted_at is null) order by m.joined_at, m.owner_id limit 1)"
);

const WITHIN_CONVERSATION: &str = WITHIN.names().as_str();
const RANGE: &str = " and conversation_id = $2 and seq > $3 and seq < $4";
const OF_FORMAT: &str = concat!(RANGE, " and format = $5");
const COMPARED: &str = concat!(
    RANGE,
    " and (format = $5 or $5 is null) and (role = $6 or $6 is null) \
     and (created_at >= $7 or $7 is null) and (created_at < $8 or $8 is null)"
);
const UPWARD: &str = " order by owner_id, conversation_id, seq limit ";
const DOWNWARD: &str = " order by owner_id desc, conversation_id desc, seq desc limit ";

/// Revision, head and default model of a conversation, which every message comes with, as one text: a page repeats it in each
/// row, and PostgreSQL takes its time for each column. Both databases look it up once a statement.
macro_rules! head {
    ($conversation:literal) => {
        constcat::concat!(
            $conversation,
            "revision || coalesce('/' || ",
            $conversation,
            "head_seq, '') || coalesce(' ' || ",
            $conversation,
            "default_model, '')"
        )
    };
}

pub(super) use head;

const HEAD: &str = concat!(", (select ", head!(""), " from conversations where owner_id = ");
const OF_OWN: &str = concat!(
    HEAD,
    "$1 and id = $2) as head from messages where owner_id = $1 and ",
    live_conversation!("$1", "$2"),
    LIVE
);
const OF_SHARED: &str = concat!(
    HEAD,
    OWNER_FOR_MEMBER,
    " and id = $2) as head from messages where owner_id = ",
    OWNER_FOR_MEMBER,
    LIVE
);
const LIVE: &str = concat!(" and ", live_sender!("sender_id"));
const SELECT: &str = concat!("select ", COLUMNS);
const OWN: &str = concat!(SELECT, OF_OWN);
const SHARED: &str = concat!(SELECT, OF_SHARED);

/// What a message says of its conversation.
pub(super) struct Head {
    pub(super) revision: i64,
    /// The number of the head, if the conversation branched.
    pub(super) head_seq: Option<i64>,
    pub(super) default_model: Option<String>,
}

impl Head {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let head: &str = row.next()?;
        let (revision, default_model) = match head.split_once(' ') {
            Some((revision, model)) => (revision, Some(model.to_owned())),
            None => (head, None),
        };
        let (revision, head_seq) = match revision.split_once('/') {
            Some((revision, head_seq)) => (revision, Some(head_seq)),
            None => (revision, None),
        };
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| StoreError::Corrupt(format!("no number in: {head}")))
        };
        let head_seq = head_seq.map(number).transpose()?;
        Ok(Self { revision: number(revision)?, head_seq, default_model })
    }
}

const BY_ID: &str = " and conversation_id = $2 and id = $3";
const BY_NUMBER: &str = " and conversation_id = $2 and seq = $3";

const BY_EXTERNAL: &str = " and conversation_id = $2 and external_id is not null and external_id = $3";
pub(super) const GET: Sql = Sql::same("messages.get", concat!(OWN, BY_ID));
pub(super) const GET_SHARED: Sql = Sql::same("messages.get_shared", concat!(SHARED, BY_ID));
pub(super) const EXTERNAL: Sql = Sql::same("messages.by_external_id", concat!(OWN, BY_EXTERNAL));
pub(super) const EXTERNAL_SHARED: Sql =
    Sql::same("messages.by_external_id_shared", concat!(SHARED, BY_EXTERNAL));
pub(super) const BY_SEQ: Sql = Sql::same("messages.by_seq", concat!(OWN, BY_NUMBER));
pub(super) const BY_SEQ_SHARED: Sql = Sql::same("messages.by_seq_shared", concat!(SHARED, BY_NUMBER));

/// The statements of one kind of page. SQLite reads row by row, and none behind the end of a page. PostgreSQL sends
/// every row, so it sends only small ones; when that leaves out a row, `bounded` adds up their sizes.
pub(super) struct PageStatements {
    pub(super) page: Sql,
    pub(super) bounded: Sql,
}

/// The same for the owner and for members.
struct Pages {
    own: PageStatements,
    shared: PageStatements,
}

macro_rules! page_statements {
    ($name:expr, $owner:literal, $rows:expr, $order:literal, $bytes:literal) => {
        PageStatements {
            page: Sql::pair(
                concat!("messages.page_", $name),
                concat!("select ", $owner, WITHIN_CONVERSATION, $rows),
                concat!("select ", $owner, SMALL_COLUMNS, $rows),
            ),
            bounded: Sql::only_postgres(
                concat!("messages.bounded_", $name),
                bounded_rows!(
                    concat!($owner, WITHIN_CONVERSATION, ", head"),
                    concat!("select ", $owner, WITHIN_CONVERSATION, $rows),
                    $order,
                    $bytes
                ),
            ),
        }
    };
}

/// The page of a member begins each row with the owner, who for others is the caller.
macro_rules! pages {
    ($name:literal, $rows:expr, $order:literal, $bytes:literal) => {
        Pages {
            own: page_statements!($name, "", concat!(OF_OWN, $rows), $order, $bytes),
            shared: page_statements!(
                concat!($name, "_shared"),
                "owner_id, ",
                concat!(OF_SHARED, $rows),
                $order,
                $bytes
            ),
        }
    };
}

const ASCENDING: Pages = pages!("ascending", concat!(RANGE, UPWARD, "$5"), "seq", "$6");
const DESCENDING: Pages = pages!("descending", concat!(RANGE, DOWNWARD, "$5"), "seq desc", "$6");
const ASCENDING_OF_FORMAT: Pages =
    pages!("ascending_of_format", concat!(OF_FORMAT, UPWARD, "$6"), "seq", "$7");
const DESCENDING_OF_FORMAT: Pages =
    pages!("descending_of_format", concat!(OF_FORMAT, DOWNWARD, "$6"), "seq desc", "$7");

const ASCENDING_COMPARED: Pages = pages!("ascending_compared", concat!(COMPARED, UPWARD, "$9"), "seq", "$10");
const DESCENDING_COMPARED: Pages =
    pages!("descending_compared", concat!(COMPARED, DOWNWARD, "$9"), "seq desc", "$10");

/// The statements of a page of what a filter takes, and what they are told of the filter, before the number of rows.
pub(super) fn page_statements<'f>(
    by: Via,
    order: Order,
    filter: &'f MessageFilter,
) -> (&'static PageStatements, Vec<Value<'f>>) {
    let MessageFilter { range: MessageRange { after, before }, format, role, since, until } = filter;
    let mut values: Vec<Value<'f>> = vec![(*after).into(), (*before).into()];
    let pages = match (order, format.is_some(), filter.compares()) {
        (Order::Ascending, _, true) => &ASCENDING_COMPARED,
        (Order::Descending, _, true) => &DESCENDING_COMPARED,
        (Order::Ascending, true, false) => &ASCENDING_OF_FORMAT,
        (Order::Descending, true, false) => &DESCENDING_OF_FORMAT,
        (Order::Ascending, false, false) => &ASCENDING,
        (Order::Descending, false, false) => &DESCENDING,
    };
    if filter.compares() {
        let role = role.map(MessageRole::as_str);
        values.extend([format.as_deref().into(), role.into(), (*since).into(), (*until).into()]);
    } else {
        values.extend(format.as_deref().map(Value::from));
    }
    let statements = match by {
        Via::Owner(_) => &pages.own,
        Via::Member(_) => &pages.shared,
    };
    (statements, values)
}

pub(super) const STATEMENTS: &[Sql] = &[
    ASCENDING.own.page,
    ASCENDING.own.bounded,
    ASCENDING.shared.page,
    ASCENDING.shared.bounded,
    DESCENDING.own.page,
    DESCENDING.own.bounded,
    DESCENDING.shared.page,
    DESCENDING.shared.bounded,
    ASCENDING_OF_FORMAT.own.page,
    ASCENDING_OF_FORMAT.own.bounded,
    ASCENDING_OF_FORMAT.shared.page,
    ASCENDING_OF_FORMAT.shared.bounded,
    DESCENDING_OF_FORMAT.own.page,
    DESCENDING_OF_FORMAT.own.bounded,
    DESCENDING_OF_FORMAT.shared.page,
    DESCENDING_OF_FORMAT.shared.bounded,
    ASCENDING_COMPARED.own.page,
    ASCENDING_COMPARED.own.bounded,
    ASCENDING_COMPARED.shared.page,
    ASCENDING_COMPARED.shared.bounded,
    DESCENDING_COMPARED.own.page,
    DESCENDING_COMPARED.own.bounded,
    DESCENDING_COMPARED.shared.page,
    DESCENDING_COMPARED.shared.bounded,
    GET,
    GET_SHARED,
    EXTERNAL,
    EXTERNAL_SHARED,
    BY_SEQ,
    BY_SEQ_SHARED,
];
