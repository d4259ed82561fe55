//! The messages of a conversation, page by page or all of them.

use axum::response::Response;
use chatstore::fields::FORMAT;
use chatstore::{
    Branch, ConversationId, FieldCode, Keyword, MessageFilter, MessageRange, MessageRole, Order, PageRequest,
    SeenRevision, Timestamp,
};
use utoipa::IntoParams;

use crate::accept::{ListForm, OfPages};
use crate::answer::NDJSON;
use crate::caller::{Caller, OptionalUser};
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::path::{ConversationPath, Path};
use crate::query::{FromParameters, PageQuery, Parameters, Query};
use crate::routes::messages::include::IncludeQuery;
use crate::routes::messages::lines::{self, LineForm};
use crate::routes::responses::{MessageListResponse, with_seen};
use crate::schema::{MessageRoleWord, OrderWord, Word};

/// What a branch must be.
const BRANCH_RULE: &str = "must be `head`, `all`, or name a message";

/// Which messages, in which order.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[param(ignore)]
    page: PageQuery,
    #[param(ignore)]
    include: IncludeQuery,
    /// `asc` from the first, or `desc` from the newest; when left out, `desc` with only `before`, else `asc`.
    #[param(value_type = Option<OrderWord>, inline)]
    order: Order,
    /// Only smaller numbers than this one.
    #[param(minimum = 0)]
    before: Option<i64>,
    /// Only larger numbers than this one.
    #[param(minimum = 0)]
    after: Option<i64>,
    /// The newest messages instead of a page, this number of them, ascending; `before` and `after` bound them. Excludes
    /// `limit`, `cursor`, `order` and `around`. When they would be larger than 2 MiB, or are more than 10,000, the oldest
    /// are left out: the answer has `truncated` and `before`.
    #[param(value_type = Option<u32>, maximum = 2147483647)]
    last: Option<u32>,
    /// Half of the page from below this number, the rest from this number on, ascending. Excludes `before`, `after`,
    /// `cursor` and `order`; the page's `next_cursor` goes on upward, without other parameters.
    #[param(minimum = 0)]
    around: Option<i64>,
    /// `head`, the default, for the path from the root to the head of the conversation; a message (its UUID, short id or
    /// number, or the application's own id after `ext:`) for the path to it; `all` for all messages, by number.
    /// In a conversation that never branched `head` and `all` are the same.
    #[param(value_type = Option<String>)]
    branch: Branch,
    /// Only messages whose parts have this format.
    #[param(value_type = Option<String>, min_length = 1, max_length = 64)]
    format: Option<String>,
    /// Only messages of this role. Messages are compared one after the other, as with `since` and `until`.
    #[param(value_type = Option<MessageRoleWord>, inline)]
    role: Option<MessageRole>,
    /// Only messages created at this time or later. The order is that of their numbers nevertheless.
    #[param(value_type = Option<String>, format = "date-time")]
    since: Option<Timestamp>,
    /// Only messages created before this time.
    #[param(value_type = Option<String>, format = "date-time")]
    until: Option<Timestamp>,
    /// `parts` for lines that are the parts of a message alone, or `null`. Only for `application/x-ndjson`.
    #[param(value_type = Option<ViewWord>, inline)]
    view: Option<View>,
    #[param(ignore)]
    of_pages: OfPages,
}

/// What a line shows of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Parts,
}

impl Keyword for View {
    const NAME: &'static str = "MessageView";
    const ABOUT: &'static str = "What a line shows of a message.";
    const ALL: &'static [Self] = &[Self::Parts];

    fn as_str(self) -> &'static str {
        "parts"
    }
}

type ViewWord = Word<View>;

impl FromParameters for ListQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let order = parameters.word("order");
        let has_limit = parameters.has("limit");
        let query = Self {
            last: parameters.count("last"),
            page: PageQuery::from_parameters(parameters),
            include: IncludeQuery::from_parameters(parameters),
            order: Order::Ascending,
            before: parameters.number("before", 0, i64::MAX),
            after: parameters.number("after", 0, i64::MAX),
            around: parameters.number("around", 0, i64::MAX),
            format: parameters.text_of(&FORMAT),
            role: parameters.word("role"),
            since: parameters.time("since"),
            until: parameters.time("until"),
            view: parameters.word("view"),
            of_pages: OfPages::default(),
            branch: parameters.value("branch", FieldCode::InvalidFormat, BRANCH_RULE).unwrap_or_default(),
        };
        let of_pages = [
            ("limit", has_limit),
            ("cursor", query.page.cursor.is_some()),
            ("order", order.is_some()),
            ("around", query.around.is_some()),
        ];
        let of_ranges = [
            ("cursor", query.page.cursor.is_some()),
            ("order", order.is_some()),
            ("before", query.before.is_some()),
            ("after", query.after.is_some()),
        ];
        if query.last.is_some() {
            parameters.refuse_beside("last", of_pages);
        } else if query.around.is_some() {
            parameters.refuse_beside("around", of_ranges);
        }
        if query.view.is_some() {
            parameters.refuse_beside("view", [("include", query.include.is_given())]);
        }
        let of_pages = OfPages::of([
            ("limit", has_limit),
            ("cursor", query.page.cursor.is_some()),
            ("around", query.around.is_some()),
            ("last", query.last.is_some()),
        ]);
        let is_backward = query.before.is_some() && query.after.is_none();
        let usual = if is_backward { Order::Descending } else { Order::Ascending };
        Self { order: order.unwrap_or(usual), of_pages, ..query }
    }
}

impl ListQuery {
    /// Which messages, on whichever page.
    fn filter(&self) -> MessageFilter {
        let MessageRange { after, before } = MessageRange::ALL;
        let range =
            MessageRange { after: self.after.unwrap_or(after), before: self.before.unwrap_or(before) };
        let Self { role, since, until, .. } = *self;
        MessageFilter { range, format: self.format.clone(), role, since, until }
    }

    /// Fails for a parameter that the form of the answer does not have.
    fn check(&self, form: ListForm) -> Result<(), Problem> {
        if form == ListForm::Page && self.view.is_some() {
            return Err(Problem::wrong("view", FieldCode::NotAllowed, format!("is for {NDJSON} alone")));
        }
        self.of_pages.check(form)
    }

    /// What a cursor of this list is bound to. A page around a message goes on in the plain list.
    fn scope(&self, caller: &Caller, conversation: Option<ConversationId>) -> String {
        let (user, order) = (caller.user(), self.order.as_str());
        let conversation = conversation.map(|id| id.to_string()).unwrap_or_default();
        let (before, after, format) = (self.before, self.after, &self.format);
        let compared = (self.role, self.since, self.until);
        let branch = match &self.branch {
            Branch::Head => String::new(),
            branch => format!(" {branch:?}"),
        };
        format!(
            "messages of {user} in {conversation} {order} before {before:?} after {after:?} {format:?} \
             {compared:?}{branch}"
        )
    }

    /// What the service is asked for.
    fn request(&self) -> PageRequest {
        let limit = u16::try_from(self.page.limit.rows()).unwrap_or(u16::MAX);
        let filter = self.filter();
        if let Some(seq) = self.around {
            return PageRequest::around(seq, limit).filter(filter);
        }
        match self.order {
            Order::Ascending => PageRequest::oldest(limit).filter(filter),
            Order::Descending => PageRequest::newest(limit).filter(filter),
        }
    }
}

/// List messages
///
/// Of the path from the root to the head, unless `branch` says otherwise. A cursor belongs to the path of its first page,
/// whatever becomes of the head. With `Accept: application/x-ndjson` all messages that had been appended when the answer began,
/// a JSON object a line, without a limit: `limit`, `cursor`, `around` and `last` are refused. The last line is
/// `{"end": {"count", "first_seq", "last_seq", "revision_at_start", "revision_at_end"}}`; an answer without it was cut off. The
/// conversation was changed meanwhile when the two revisions differ.
#[utoipa::path(
    get,
    path = "/conversations/{id}/messages",
    operation_id = "list_messages",
    tag = "messages",
    params(ConversationPath, PageQuery, IncludeQuery, ListQuery),
    responses(
        (
            status = 200,
            description = "A page of messages, or all of them as lines",
            body = MessageListResponse,
            headers(("ETag" = String, description = "The revision of the conversation")),
        ),
        ReadProblems,
    )
)]
pub(crate) async fn list(
    OptionalUser(caller): OptionalUser,
    Path(path): Path<ConversationPath>,
    Query(query): Query<ListQuery>,
    form: ListForm,
) -> Result<Response, Problem> {
    query.check(form)?;
    let seen = SeenRevision::default();
    let chat = caller.store().noting(&seen);
    // A wrong cursor is reported before an absent conversation.
    let conversation = path.conversation().id(chat).await;
    if form == ListForm::Lines {
        let form = match query.view {
            Some(View::Parts) => LineForm::Parts,
            None => LineForm::Messages(query.include.with_messages()),
        };
        let listed = (query.branch.clone(), query.filter(), query.order);
        return lines::all(chat, conversation?, listed, form).await;
    }
    let scope = query.scope(&caller, conversation.as_ref().ok().copied());
    let from = query.page.position(&scope)?;
    if let Some(count) = query.last {
        let (filter, branch) = (query.filter(), query.branch.clone());
        let newest = chat.messages().newest_of_branch(conversation?, branch, filter, count).await?;
        let included = query.include.read(chat, &newest.items).await?;
        return Ok(with_seen(MessageListResponse::newest(newest).including(included), &seen));
    }
    let (branch, request) = (query.branch.clone(), query.request());
    let page = chat.messages().page_of_branch(conversation?, branch, request, from).await?;
    let included = query.include.read(chat, &page.items).await?;
    Ok(with_seen(MessageListResponse::page(page, &scope).including(included), &seen))
}
