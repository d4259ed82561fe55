//! Users, page by page.

use axum::extract::State;
use chatstore::{Order, Page, User, UserFilter, UserPosition, UserRole};
use utoipa::IntoParams;

use crate::caller::Admin;
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::query::{FromParameters, PageQuery, Parameters, Query};
use crate::routes::responses::{ListResponse, UserResponse};
use crate::schema::UserRoleWord;
use crate::state::AppState;

/// Which users.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[param(ignore)]
    page: PageQuery,
    /// Only the one with this name, however it is spelled.
    username: Option<String>,
    /// Only the one whose verified e-mail address this is, however it is spelled.
    email: Option<String>,
    /// Only the one who claims this e-mail address, however it is spelled. It may belong to someone else.
    claimed_email: Option<String>,
    /// Only those with this role.
    #[param(value_type = Option<UserRoleWord>, inline)]
    role: Option<UserRole>,
    /// Only active, or only disabled ones.
    is_active: Option<bool>,
}

impl FromParameters for ListQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self {
            page: PageQuery::from_parameters(parameters),
            username: parameters.text("username"),
            email: parameters.text("email"),
            claimed_email: parameters.text("claimed_email"),
            role: parameters.word("role"),
            is_active: parameters.flag("is_active"),
        }
    }
}

impl ListQuery {
    /// What a cursor of this list is bound to.
    fn scope(&self, admin: &Admin) -> String {
        let holder = admin.holder();
        format!(
            "users for {holder} {:?} {:?} {:?} {:?} {:?}",
            self.username, self.email, self.claimed_email, self.role, self.is_active
        )
    }

    /// Whether at most one user has what is asked for.
    fn names_one(&self) -> bool {
        self.username.is_some() || self.email.is_some() || self.claimed_email.is_some()
    }

    /// Whether the role or the state of a user decides, which is not taken from a cache.
    const fn decides_by_role(&self) -> bool {
        self.role.is_some() || self.is_active.is_some()
    }

    fn takes(&self, user: &User) -> bool {
        self.role.is_none_or(|role| user.role == role)
            && self.is_active.is_none_or(|is_active| user.is_active == is_active)
    }
}

/// List users
///
/// The oldest first. For administrators and service keys.
#[utoipa::path(
    get,
    path = "/users",
    operation_id = "list_users",
    tag = "users",
    params(PageQuery, ListQuery),
    responses((status = 200, description = "A page of users", body = ListResponse<UserResponse>), ReadProblems)
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Query(query): Query<ListQuery>,
) -> Result<ListResponse<UserResponse>, Problem> {
    admin.over_all_users()?;
    let scope = query.scope(&admin);
    let from = query.page.position(&scope)?;
    let page = if query.names_one() {
        Page { items: find(&state, &query).await?.into_iter().collect(), next: None }
    } else {
        let filter = UserFilter { role: query.role, is_active: query.is_active };
        state.store().users().page(filter, Order::Ascending, from, query.page.limit).await?
    };
    let page: Page<User, UserPosition> = page;
    Ok(ListResponse::new(page, &scope, |user| UserResponse::from(admin.seen(user))))
}

/// The one user that has the name and the addresses asked for.
async fn find(state: &AppState, query: &ListQuery) -> Result<Option<User>, Problem> {
    let users = state.store().users();
    let mut each = Vec::with_capacity(1);
    if let Some(username) = &query.username {
        each.push(match query.decides_by_role() {
            true => users.find_by_username(username).await?,
            false => users.look_up(username).await?,
        });
    }
    if let Some(email) = &query.email {
        each.push(users.find_by_email(email).await?);
    }
    if let Some(email) = &query.claimed_email {
        each.push(users.find_by_claimed_email(email).await?);
    }
    let found = each.pop().flatten().filter(|last| each.iter().flatten().all(|user| user.id == last.id));
    let found = found.filter(|_| each.iter().all(Option::is_some));
    Ok(found.filter(|user| user.id != chatstore::UserId::ANONYMOUS && query.takes(user)))
}
