//! The commands of docs/operations.md that back up and restore PostgreSQL, run as they are written there.

use std::path::PathBuf;
use std::process::Command;

use chatstore_testkit::server::{PostgresServer, Settings, database_url, ensure_postgres_installed};
use chatstore_testkit::shell_blocks;

use crate::program::{Finished, chatstore, finish};

const PAGE: &str = include_str!("../../../../docs/operations.md");

/// A server of its own, which the commands stop and start, and a folder for commands of chatstore.
struct Rehearsal {
    server: PostgresServer,
    folder: tempfile::TempDir,
    database: String,
    restored: String,
    moment: String,
}

impl Rehearsal {
    fn start() -> Self {
        ensure_postgres_installed().unwrap();
        let server = PostgresServer::start(Settings { durable: false }).unwrap();
        let (database, restored) =
            (database_url(&server.url(), "chatstore"), database_url(&server.url(), "chatstore_restored"));
        let folder = tempfile::tempdir().unwrap();
        let rehearsal = Self { server, folder, database, restored, moment: String::new() };
        // A start by the page does not know the port, and a base backup must not contain a socket in use.
        let prepare = format!(
            "printf \"port = %s\\nunix_socket_directories = ''\\n\" {} >> data/postgresql.conf\n\
             mkdir backups\n\
             psql '{}' --command='create database chatstore'",
            rehearsal.server.port(),
            rehearsal.server.url()
        );
        rehearsal.run(&prepare);
        rehearsal
    }

    /// Runs a block: the commands of chatstore as the user of the test, others as the user of the server.
    fn run(&self, block: &str) -> String {
        let is_ours = block.lines().all(|line| line.starts_with("chatstore "));
        let mut command = if is_ours { self.script_of_ours(block) } else { self.server.script(block) };
        let backups = self.server.data_dir().with_file_name("backups");
        command.env("DATABASE_URL", &self.database).env("RESTORED_URL", &self.restored);
        command.env("PGDATA", self.server.data_dir()).env("BACKUPS", backups).env("MOMENT", &self.moment);
        // A server that was started would hold a pipe open.
        let output = self.folder.path().join("output");
        let file = std::fs::File::create(&output).unwrap();
        let status = command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        let printed = std::fs::read_to_string(output).unwrap();
        let log = std::fs::read_to_string(self.server.data_dir().with_extension("log")).unwrap_or_default();
        assert!(status.success(), "{block}\n{status}: {printed}\n{log}");
        printed
    }

    fn script_of_ours(&self, block: &str) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_chatstore"));
        let mut command = Command::new("sh");
        let aliased = block.replace("chatstore ", &format!("'{}' ", program.display()));
        command.args(["-eu", "-c", &aliased]).current_dir(self.folder.path());
        command
    }

    fn command(&self, arguments: &[&str]) -> Finished {
        finish(chatstore(self.folder.path()).env("DATABASE_URL", &self.database).args(arguments))
    }

    /// The digest of each table.
    fn digests(&self) -> Vec<String> {
        let stats = self.command(&["stats", "--digest", "--json"]).json();
        let tables = stats["digests"].as_array().expect("a digest of each table");
        tables.iter().map(|table| table["sha256"].as_str().unwrap().to_owned()).collect()
    }

    fn create_user(&self, name: &str) {
        self.command(&["user", "create", "--username", name]).data();
    }
}

/// Fails unless what `stats` printed has each of these digests.
fn assert_has(printed: &str, digests: &[String]) {
    assert!(digests.len() > 5, "{digests:?}");
    for digest in digests {
        assert!(printed.contains(digest), "{digest} is not in\n{printed}");
    }
}

#[test]
fn the_commands_of_the_page_restore_a_dump_and_a_moment_of_postgresql() {
    let blocks = shell_blocks(PAGE, "### PostgreSQL");
    let [dump, restore_dump, check_dump, archive, base_backup, recover, check_moment] = blocks[..] else {
        panic!("{} blocks", blocks.len());
    };
    let mut rehearsal = Rehearsal::start();
    rehearsal.command(&["migrate", "upgrade"]).data();
    rehearsal.create_user("before");
    let at_dump = rehearsal.digests();

    rehearsal.run(dump);
    rehearsal.create_user("after-the-dump");
    assert_ne!(rehearsal.digests(), at_dump);
    rehearsal.run(restore_dump);
    assert_has(&rehearsal.run(check_dump), &at_dump);

    rehearsal.run(archive);
    rehearsal.run(base_backup);
    rehearsal.create_user("after-the-base-backup");
    let at_moment = rehearsal.digests();
    let now = "psql \"$DATABASE_URL\" --tuples-only --no-align --command='select clock_timestamp()'";
    rehearsal.moment = rehearsal.run(now).trim().to_owned();
    rehearsal.create_user("by-mistake");
    assert_ne!(rehearsal.digests(), at_moment);
    rehearsal.run(recover);
    assert_has(&rehearsal.run(check_moment), &at_moment);
    rehearsal.create_user("after-the-recovery");
}
