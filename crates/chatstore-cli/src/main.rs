//! The chatstore server and command line: the only crate that reads arguments, the environment and
//! files.
//!
//! Data goes to standard output, messages to standard error. Every command is a file under
//! `commands/`; a new one is added there and to [`Command`].

mod commands;
mod config;
mod database;
mod error;
mod escape;
mod identity_provider;
mod interrupt;
mod new_password;
mod private_file;
mod progress;
mod telemetry;
mod token_key;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use config::{Alone, Config, Flags, NoFlags};
use error::CliError;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stores the conversations of chat and AI-assistant applications, in SQLite or PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "chatstore", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with rows skipped, 65 bad data, \
    66 no such file, 69 database unreachable, 73 cannot create, 74 damaged or input/output, 75 try again, \
    77 no permission, 78 configuration (also: pending migrations, missing token key).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a database with sample conversations and serve it
    Demo(commands::demo::Arguments),
    /// Serve the HTTP API
    Serve(commands::serve::Arguments),
    /// Create, upgrade or downgrade the tables
    #[command(subcommand)]
    Migrate(commands::migrate::Command),
    /// Create the first users: admin, user2 and user3
    Seed(commands::seed::Arguments),
    /// Manage users
    #[command(subcommand)]
    User(commands::user::Command),
    /// Manage API keys
    #[command(subcommand)]
    Key(commands::key::Command),
    /// Manage the sessions of users
    #[command(subcommand)]
    Session(commands::session::Command),
    /// Look at conversations, delete and export them
    #[command(subcommand)]
    Conversation(commands::conversation::Command),
    /// Read and delete the events that are kept in the database
    #[command(subcommand)]
    Logs(commands::logs::Command),
    /// Import conversations
    #[command(subcommand)]
    Import(commands::import::Command),
    /// Back up a SQLite database, beside a running server or without one
    Backup(commands::backup::Arguments),
    /// Restore a backup as the SQLite database in the settings, which must not exist
    Restore(commands::restore::Arguments),
    /// Show how much is stored
    Stats(commands::stats::Arguments),
    /// Check the settings and the database for problems
    Doctor(commands::doctor::Arguments),
    /// Show the settings
    #[command(subcommand)]
    Config(commands::config::Command),
    /// Print the tables, with their columns and relations, as Markdown
    Schema(Alone<commands::schema::Arguments>),
    /// Print the OpenAPI description of the HTTP API
    Openapi {
        #[command(flatten)]
        _flags: NoFlags,
    },
    /// Generate shell completions
    Completions(Alone<commands::completions::Arguments>),
    /// Write the manual pages of every command into a directory
    Man(Alone<commands::man::Arguments>),
}

/// How long work on other threads, which nothing waits for any more, may delay the end of the process.
const SHUTDOWN_TIME: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(arguments));
            runtime.shutdown_timeout(SHUTDOWN_TIME);
            outcome
        }
        Err(error) => Err(CliError::new(1, format!("the runtime did not start: {error}"))),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let flags = &arguments.flags;
    match arguments.command {
        Command::Demo(arguments) => commands::demo::run(&start_server(flags)?, arguments).await?,
        Command::Serve(arguments) => commands::serve::run(&start_server(flags)?, arguments).await?,
        Command::Migrate(command) => return commands::migrate::run(&start(flags)?, command).await,
        Command::Seed(arguments) => commands::seed::run(&start(flags)?, arguments).await?,
        Command::User(command) => commands::user::run(&start(flags)?, command).await?,
        Command::Key(command) => commands::key::run(&start(flags)?, command).await?,
        Command::Session(command) => commands::session::run(&start(flags)?, command).await?,
        Command::Conversation(command) => commands::conversation::run(&start(flags)?, command).await?,
        Command::Logs(command) => commands::logs::run(&start(flags)?, command).await?,
        Command::Import(command) => return commands::import::run(start(flags)?, command).await,
        Command::Backup(arguments) => commands::backup::run(|| start(flags), arguments).await?,
        Command::Restore(arguments) => commands::restore::run(&start(flags)?, arguments).await?,
        Command::Stats(arguments) => commands::stats::run(&start(flags)?, arguments).await?,
        // These also work with invalid settings.
        Command::Doctor(arguments) => return commands::doctor::run(Config::load(flags), arguments).await,
        Command::Config(command) => commands::config::run(flags, command)?,
        Command::Schema(alone) => commands::schema::run(alone.arguments),
        Command::Openapi { .. } => commands::openapi::run()?,
        Command::Completions(alone) => commands::completions::run(alone.arguments)?,
        Command::Man(alone) => commands::man::run(&alone.arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Loads the settings and starts the log, for commands that use a database. They say themselves what they do: unless the
/// settings say otherwise, only warnings are logged.
fn start(flags: &Flags) -> Result<Config, CliError> {
    let mut config = Config::load(flags)?;
    config.log_warnings_by_default();
    start_log(&config);
    Ok(config)
}

/// The same for commands that serve.
fn start_server(flags: &Flags) -> Result<Config, CliError> {
    let config = Config::load(flags)?;
    start_log(&config);
    Ok(config)
}

fn start_log(config: &Config) {
    telemetry::start(config);
    for found in config.half_an_address() {
        tracing::warn!(
            setting = found.setting.variable,
            source = %found.source,
            database = config.database_url(),
            "ignored: neither POSTGRES_USER nor DATABASE_URL is set, so that the database is a SQLite file"
        );
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    /// Every command that does something by itself, with its full name.
    fn commands(command: &clap::Command, name: &str) -> Vec<(String, clap::Command)> {
        let mut found = Vec::new();
        if !command.has_subcommands() || command.is_args_conflicts_with_subcommands_set() {
            found.push((name.to_owned(), command.clone()));
        }
        for below in command.get_subcommands() {
            found.extend(commands(below, &format!("{name} {}", below.get_name())));
        }
        found
    }

    #[test]
    fn a_command_that_needs_no_database_has_no_options_for_one() {
        let document = include_str!("../../../docs/command-line.md");
        let commands = commands(&built(), "chatstore");
        for (name, mut command) in commands.into_iter().filter(|(name, _)| !name.contains(" help")) {
            let (_, section) =
                document.split_once(&format!("### `{name}`\n")).expect("every command is documented");
            let section = section.split("\n### ").next().unwrap_or_default();
            let needs_none = section.contains("eeds no\ndatabase") || section.contains("o database.");
            let help = command.render_long_help().to_string();
            assert_eq!(help.contains("--database-url"), !needs_none, "{name}: {help}");
        }
    }

    /// With the options that every command has.
    fn built() -> clap::Command {
        let mut command = Arguments::command();
        command.build();
        command
    }

    #[test]
    fn every_command_and_option_is_documented_and_nothing_else() {
        let document = include_str!("../../../docs/command-line.md");
        let sections: Vec<(&str, &str)> = document
            .split("\n### `")
            .skip(1)
            .map(|section| section.split_once('`').expect("a heading ends"))
            .collect();
        let commands = commands(&Arguments::command(), "chatstore");
        let names: Vec<&str> = commands.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(sections.iter().map(|(name, _)| *name).collect::<Vec<&str>>(), names);
        for ((name, section), (_, command)) in sections.iter().zip(&commands) {
            for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                let of_all_commands = ["database-url", "default-model", "help", "version"];
                let is_there = section.contains(&format!("`--{option}"));
                assert!(is_there || of_all_commands.contains(&option), "{name} --{option} is not documented");
            }
        }
    }
}
