//! Lists users.

use chatstore::{Order, User, UserFilter};
use clap::{Args, ValueEnum};

use super::{Role, Shown};
use crate::commands::listing::Rows;
use crate::commands::print_json;
use crate::commands::table::print_table;
use crate::config::Config;
use crate::database;
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those with this role
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// The newest first
    #[arg(long)]
    newest: bool,
    #[command(flatten)]
    rows: Rows,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    Active,
    Disabled,
}

pub(super) async fn list(config: &Config, arguments: &List) -> Result<(), CliError> {
    let filter = UserFilter {
        role: arguments.role.map(Role::of_users),
        is_active: arguments.state.map(|state| state == State::Active),
    };
    let order = if arguments.newest { Order::Descending } else { Order::Ascending };
    let store = database::open_existing(config).await?;
    let page = async |from, limit| store.users().page(filter, order, from, limit).await;
    let listed = arguments.rows.read(page).await?;
    store.close().await;
    listed.tell_of_more();
    if arguments.json {
        return print_json(&listed.rows.into_iter().map(Shown::from).collect::<Vec<Shown>>());
    }
    let rows: Vec<[String; 6]> = listed.rows.into_iter().map(row).collect();
    print_table(["ID", "NAME", "E-MAIL", "ROLE", "ACTIVE", "CREATED"], &rows);
    Ok(())
}

fn row(user: User) -> [String; 6] {
    [
        user.id.to_string(),
        user.username.unwrap_or_default(),
        user.email.unwrap_or_default(),
        user.role.as_str().to_owned(),
        if user.is_active { "yes" } else { "no" }.to_owned(),
        user.created_at.to_string(),
    ]
}
