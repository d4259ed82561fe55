//! Which value of a setting is in force, and how a wrong one is refused.

use std::path::Path;

use insta::assert_snapshot;

use crate::commands::TOKEN_KEY;
use crate::program::{Finished, chatstore, finish, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::write(folder.join(file), text).unwrap();
}

fn show(folder: &Path, variables: &[(&str, &str)], flags: &[&str]) -> Finished {
    finish(chatstore(folder).envs(variables.iter().copied()).args(["config", "show"]).args(flags))
}

#[test]
fn without_any_setting_the_defaults_are_in_force() {
    assert_snapshot!(show(folder().path(), &[], &[]).transcript(), @r"
    exit code 0
    --- stdout
    SETTING                       VALUE                  SOURCE
    DATABASE_URL                  sqlite://chatstore.db  default
    DATABASE_READ_URL                                    not set
    DATABASE_DIRECT_URL                                  not set
    POSTGRES_USER                                        not set
    POSTGRES_PASSWORD                                    not set
    POSTGRES_DB                                          not set
    POSTGRES_HOST                                        not set
    POSTGRES_PORT                                        not set
    POSTGRES_SSLMODE                                     not set
    POSTGRES_SSLROOTCERT                                 not set
    REDIS_URL                                            not set
    CHATSTORE_REDIS_PREFIX                               not set
    CHATSTORE_REDIS_SSLROOTCERT                          not set
    CHATSTORE_POOL                16                     default
    CHATSTORE_MIGRATE                                    not set
    CHATSTORE_BIND                127.0.0.1:8080         default
    CHATSTORE_IDLE_SECONDS        75                     default
    CHATSTORE_ANONYMOUS           off                    default
    CHATSTORE_TOKEN_KEY                                  not set
    CHATSTORE_TOKEN_KEY_FILE                             not set
    CHATSTORE_OPEN_REGISTRATION   off                    default
    CHATSTORE_LOCAL_PASSWORDS     on                     default
    CHATSTORE_OIDC_ISSUER                                not set
    CHATSTORE_OIDC_AUDIENCE                              not set
    CHATSTORE_OIDC_CREATE_USERS   off                    default
    CHATSTORE_OIDC_ROLES                                 not set
    CHATSTORE_LOGIN_RATE_LIMIT    10                     default
    CHATSTORE_RATE_LIMIT          0                      default
    CHATSTORE_TRUSTED_PROXIES                            not set
    CHATSTORE_ALLOWED_ORIGINS                            not set
    CHATSTORE_DOCS                on                     default
    CHATSTORE_ENV                 development            default
    CHATSTORE_METRICS_BIND        127.0.0.1:9464         default
    CHATSTORE_DEFAULT_MODEL       echo                   default
    CHATSTORE_DOCUMENT_LIMIT      1048576                default
    CHATSTORE_MAX_BODY            16777216               default
    CHATSTORE_LOG_STORE           on                     default
    CHATSTORE_LOG_RETENTION_DAYS  90                     default
    CHATSTORE_LOG                 info                   default
    CHATSTORE_LOG_FORMAT          text                   default
    CHATSTORE_SLOW_STATEMENT_MS   500                    default
    --- stderr
    ");
}

#[test]
fn flags_win_over_environment_over_env_file_over_file_over_defaults() {
    let folder = folder();
    write(
        folder.path(),
        "chatstore.toml",
        "default_model = 'in-file'\nlog = 'warn'\npool = 3\nanonymous = 'on'\n",
    );
    write(
        folder.path(),
        ".env",
        "CHATSTORE_DEFAULT_MODEL=in-env-file\nCHATSTORE_LOG=error\nCHATSTORE_POOL=4\n",
    );
    let environment = [("CHATSTORE_DEFAULT_MODEL", "in-environment"), ("CHATSTORE_LOG", "debug")];
    let shown = show(folder.path(), &environment, &["--default-model", "in-flag"]);
    assert_snapshot!(shown.transcript(), @r"
    exit code 0
    --- stdout
    SETTING                       VALUE                  SOURCE
    DATABASE_URL                  sqlite://chatstore.db  default
    DATABASE_READ_URL                                    not set
    DATABASE_DIRECT_URL                                  not set
    POSTGRES_USER                                        not set
    POSTGRES_PASSWORD                                    not set
    POSTGRES_DB                                          not set
    POSTGRES_HOST                                        not set
    POSTGRES_PORT                                        not set
    POSTGRES_SSLMODE                                     not set
    POSTGRES_SSLROOTCERT                                 not set
    REDIS_URL                                            not set
    CHATSTORE_REDIS_PREFIX                               not set
    CHATSTORE_REDIS_SSLROOTCERT                          not set
    CHATSTORE_POOL                4                      .env:3
    CHATSTORE_MIGRATE                                    not set
    CHATSTORE_BIND                127.0.0.1:8080         default
    CHATSTORE_IDLE_SECONDS        75                     default
    CHATSTORE_ANONYMOUS           on                     chatstore.toml:4
    CHATSTORE_TOKEN_KEY                                  not set
    CHATSTORE_TOKEN_KEY_FILE                             not set
    CHATSTORE_OPEN_REGISTRATION   off                    default
    CHATSTORE_LOCAL_PASSWORDS     on                     default
    CHATSTORE_OIDC_ISSUER                                not set
    CHATSTORE_OIDC_AUDIENCE                              not set
    CHATSTORE_OIDC_CREATE_USERS   off                    default
    CHATSTORE_OIDC_ROLES                                 not set
    CHATSTORE_LOGIN_RATE_LIMIT    10                     default
    CHATSTORE_RATE_LIMIT          0                      default
    CHATSTORE_TRUSTED_PROXIES                            not set
    CHATSTORE_ALLOWED_ORIGINS                            not set
    CHATSTORE_DOCS                on                     default
    CHATSTORE_ENV                 development            default
    CHATSTORE_METRICS_BIND        127.0.0.1:9464         default
    CHATSTORE_DEFAULT_MODEL       in-flag                flag --default-model
    CHATSTORE_DOCUMENT_LIMIT      1048576                default
    CHATSTORE_MAX_BODY            16777216               default
    CHATSTORE_LOG_STORE           on                     default
    CHATSTORE_LOG_RETENTION_DAYS  90                     default
    CHATSTORE_LOG                 debug                  environment
    CHATSTORE_LOG_FORMAT          text                   default
    CHATSTORE_SLOW_STATEMENT_MS   500                    default
    --- stderr
    ");
}

#[test]
fn an_env_file_above_is_not_read_and_an_empty_variable_is_ignored() {
    let folder = folder();
    write(folder.path(), ".env", "CHATSTORE_POOL=5\n");
    let below = folder.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let value =
        |folder: &Path| show(folder, &[("CHATSTORE_POOL", "")], &["--json"]).json()["CHATSTORE_POOL"].clone();
    assert_eq!(value(&below), serde_json::json!({"value": "16", "source": "default"}));
    assert_eq!(value(folder.path()), serde_json::json!({"value": "5", "source": ".env:1"}));
}

#[test]
fn an_env_file_may_have_a_byte_order_mark_and_lines_of_other_programs() {
    let folder = folder();
    let others = "APP_NAME=My Chat App\nKEY=\"-----BEGIN KEY\nabc= def\n-----END KEY\"\nurl: x y\nQUOTE='\n";
    write(folder.path(), ".env", &format!("\u{feff}CHATSTORE_POOL=5\r\n{others}CHATSTORE_LOG=warn\n"));
    let settings = show(folder.path(), &[], &["--json"]).json();
    assert_eq!(settings["CHATSTORE_POOL"]["source"], ".env:1");
    assert_eq!(settings["CHATSTORE_LOG"]["source"], ".env:8");
    write(folder.path(), ".env", &format!("{others}CHATSTORE_POOL = many words\n"));
    show(folder.path(), &[], &[]).assert_failed(78, "cannot read .env:7: ");
    std::fs::remove_file(folder.path().join(".env")).unwrap();
    std::fs::create_dir(folder.path().join(".env")).unwrap();
    show(folder.path(), &[], &[]).data();
    write(folder.path(), "chatstore.toml", "\u{feff}pool = 6\n");
    let settings = show(folder.path(), &[], &["--json"]).json();
    assert_eq!(settings["CHATSTORE_POOL"]["source"], "chatstore.toml:1");
}

#[test]
fn the_parts_of_a_server_form_a_url_and_no_password_is_shown() {
    let parts = [("POSTGRES_USER", "ada"), ("POSTGRES_PASSWORD", "s/e@cret"), ("POSTGRES_HOST", "db")];
    let shown = show(folder().path(), &parts, &["--json"]);
    assert!(!shown.stdout.contains("cret"), "{shown:?}");
    let settings = shown.json();
    assert_eq!(settings["DATABASE_URL"]["value"], "postgresql://ada:***@db:5432/ada");
    assert_eq!(settings["DATABASE_URL"]["source"], "the POSTGRES_ settings");
    assert_eq!(settings["POSTGRES_PASSWORD"]["value"], "***");
    assert_eq!(settings["POSTGRES_PASSWORD"]["source"], "environment");
}

#[test]
fn a_url_overrules_the_parts_of_a_server_wherever_it_is_set() {
    let folder = folder();
    write(folder.path(), "chatstore.toml", "database_url = 'postgresql://ada:secret@db/chat'\n");
    let shown = show(folder.path(), &[("POSTGRES_USER", "other")], &["--json"]);
    assert!(!shown.stdout.contains("secret"), "{shown:?}");
    let settings = shown.json();
    assert_eq!(settings["DATABASE_URL"]["value"], "postgresql://ada:***@db/chat");
    assert_eq!(settings["DATABASE_URL"]["source"], "chatstore.toml:1");
    assert_eq!(
        settings["POSTGRES_USER"],
        serde_json::json!({"value": "other", "source": "environment, ignored"})
    );
}

#[test]
fn the_encryption_of_a_server_is_one_of_its_parts() {
    let parts = [
        ("POSTGRES_USER", "ada"),
        ("POSTGRES_HOST", "db"),
        ("POSTGRES_SSLMODE", "verify-full"),
        ("POSTGRES_SSLROOTCERT", "/etc/ca.pem"),
    ];
    let settings = show(folder().path(), &parts, &["--json"]).json();
    let url = "postgresql://ada@db:5432/ada?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem";
    assert_eq!(settings["DATABASE_URL"]["value"], url);
    let wrong = [parts[0], ("POSTGRES_SSLMODE", "on")];
    show(folder().path(), &wrong, &[])
        .assert_failed(78, "POSTGRES_SSLMODE is \"on\" (environment), but must be");
}

#[test]
fn parts_of_a_server_without_a_user_are_ignored_with_a_warning() {
    let folder = folder();
    write(folder.path(), ".env", "POSTGRES_PASSWORD=secret\nPOSTGRES_HOST=db\n");
    assert_eq!(show(folder.path(), &[], &["--json"]).json()["DATABASE_URL"]["source"], "default");
    let upgraded = run(folder.path(), &["migrate", "upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    for part in [
        "POSTGRES_PASSWORD",
        "POSTGRES_HOST",
        ".env:2",
        "ignored: neither POSTGRES_USER nor DATABASE_URL is set",
    ] {
        assert!(upgraded.stderr.contains(part), "{part}: {upgraded:?}");
    }
    assert!(!upgraded.stderr.contains("secret"), "{upgraded:?}");
    let checks = run(folder.path(), &["doctor", "--json"]).json();
    assert_eq!((&checks[0]["check"], &checks[0]["status"]), (&"configuration".into(), &"warning".into()));
    assert_eq!(
        checks[0]["found"],
        "the database is a SQLite file; ignored without POSTGRES_USER: POSTGRES_PASSWORD (.env:1), POSTGRES_HOST (.env:2)"
    );
}

#[test]
fn a_database_in_a_form_that_is_not_understood_is_shown_masked_whole() {
    for url in [
        "host=db user=ada password=secret dbname=chat",
        "mysql://ada:secret@db/chat",
        "ada:secret@db/chat",
        "sqlite:chat.db?key=secret",
    ] {
        let shown = show(folder().path(), &[("DATABASE_URL", url)], &["--json"]);
        assert_eq!(shown.json()["DATABASE_URL"]["value"], "***", "{url}");
        let refused = run(folder().path(), &["stats", "--database-url", url]);
        assert!(refused.code != 0 && !refused.stderr.contains("secret"), "{url}: {refused:?}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_known_one() {
    let folder = folder();
    assert_snapshot!(show(folder.path(), &[("CHATSTORE_BNID", "x")], &[]).transcript(), @r"
    exit code 78
    --- stdout
    --- stderr
    error: CHATSTORE_BNID in the environment is not a setting of chatstore
    hint: did you mean CHATSTORE_BIND? `chatstore config default --env` prints all of them
    ");
    write(folder.path(), ".env", "OTHER=1\nCHATSTORE_POOLS=1\n");
    assert_snapshot!(run(folder.path(), &["stats"]).transcript(), @r"
    exit code 78
    --- stdout
    --- stderr
    error: CHATSTORE_POOLS in .env:2 is not a setting of chatstore
    hint: did you mean CHATSTORE_POOL? `chatstore config default --env` prints all of them
    ");
    std::fs::remove_file(folder.path().join(".env")).unwrap();
    write(folder.path(), "chatstore.toml", "# mine\nlog_from = 'json'\n");
    assert_snapshot!(run(folder.path(), &["stats"]).transcript(), @r"
    exit code 78
    --- stdout
    --- stderr
    error: log_from in chatstore.toml:2 is not a setting of chatstore
    hint: did you mean log_format? `chatstore config default` prints all of them
    ");
}

#[test]
fn addresses_of_a_service_named_chatstore_are_not_settings() {
    let links = [
        ("CHATSTORE_SERVICE_HOST", "10.0.0.1"),
        ("CHATSTORE_SERVICE_PORT", "8080"),
        ("CHATSTORE_PORT", "tcp://10.0.0.1:8080"),
        ("CHATSTORE_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    show(folder().path(), &links, &[]).data();
    show(folder().path(), &[("CHATSTORE_PORT", "8080")], &[]).assert_failed(78, "CHATSTORE_PORT");
}

#[test]
fn an_invalid_value_is_refused_with_its_place_and_the_allowed_values() {
    let folder = folder();
    let wrong = [
        ("CHATSTORE_POOL", "0", "a whole number from 1 to 65535"),
        (
            "REDIS_URL",
            "redis://localhost/one",
            "redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS",
        ),
        (
            "REDIS_URL",
            "rediss://localhost#insecure",
            "redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS",
        ),
        ("CHATSTORE_REDIS_PREFIX", "*", "at most 64 characters, letters, digits"),
        ("CHATSTORE_BIND", "localhost", "an address and port, like 127.0.0.1:8080"),
        ("CHATSTORE_ANONYMOUS", "true", "on or off"),
        ("CHATSTORE_OPEN_REGISTRATION", "yes", "on or off"),
        ("CHATSTORE_LOGIN_RATE_LIMIT", "-1", "a whole number, or 0 for no limit"),
        ("CHATSTORE_RATE_LIMIT", "many", "a whole number, or 0 for no limit"),
        ("CHATSTORE_TRUSTED_PROXIES", "10.0.0.0/8,proxy", "addresses and networks separated by commas"),
        ("CHATSTORE_ALLOWED_ORIGINS", "*", "origins separated by commas"),
        ("CHATSTORE_ALLOWED_ORIGINS", "https://example.org/", "origins separated by commas"),
        ("CHATSTORE_DOCS", "no", "on or off"),
        ("CHATSTORE_ENV", "staging", "development or production"),
        ("CHATSTORE_METRICS_BIND", "on", "an address and port, like 127.0.0.1:9464, or off"),
        ("CHATSTORE_LOG", "inof", "error, warn, info, debug, trace or off"),
        ("CHATSTORE_LOG_FORMAT", "xml", "text or json"),
        (
            "CHATSTORE_SLOW_STATEMENT_MS",
            "fast",
            "a whole number of milliseconds up to 3600000, or 0 for none",
        ),
    ];
    for (name, value, allowed) in wrong {
        let message = format!("{name} is {value:?} (environment), but must be {allowed}");
        show(folder.path(), &[(name, value)], &[]).assert_failed(78, &message);
    }
    write(folder.path(), "chatstore.toml", "pool = 3\nlog_format = ['json']\n");
    show(folder.path(), &[], &[])
        .assert_failed(78, "log_format is of type array (chatstore.toml:2), but must be text or json");
}

#[test]
fn a_malformed_file_is_named_with_its_line_but_not_quoted() {
    let folder = folder();
    write(folder.path(), "chatstore.toml", "pool = 3\ndatabase_url = \"postgresql://ada:secret@db/chat\n");
    let refused = show(folder.path(), &[], &[]);
    refused.assert_failed(78, "cannot read chatstore.toml:2: ");
    assert!(!refused.stderr.contains("secret"), "{refused:?}");

    std::fs::remove_file(folder.path().join("chatstore.toml")).unwrap();
    write(folder.path(), ".env", "OTHER=1\nPOSTGRES_PASSWORD secret\n");
    let refused = show(folder.path(), &[], &[]);
    refused.assert_failed(78, "cannot read .env:2: the line does not have the form KEY=value");
    assert!(!refused.stderr.contains("secret"), "{refused:?}");
}

#[test]
fn a_wrong_url_is_refused_with_its_source() {
    let folder = folder();
    write(folder.path(), "chatstore.toml", "\ndatabase_url = \"mysql://db/chat\"\n");
    let refused = run(folder.path(), &["stats"]);
    refused.assert_failed(78, "DATABASE_URL comes from: chatstore.toml:2");
}

#[test]
fn logs_are_written_as_json_if_the_settings_say_so() {
    let folder = folder();
    let mut command = chatstore(folder.path());
    command.env("CHATSTORE_TOKEN_KEY", TOKEN_KEY);
    command.env("CHATSTORE_LOG", "info,chatstore_http=debug").env("CHATSTORE_METRICS_BIND", "off");
    command.env("CHATSTORE_LOG_FORMAT", "json").args(["serve", "--bind", "127.0.0.1:0"]);
    command.stderr(std::process::Stdio::piped());
    let mut server = command.spawn().expect("the binary runs");
    let messages = std::io::BufReader::new(server.stderr.take().expect("messages are piped"));
    let mut events = std::io::BufRead::lines(messages)
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).expect("a log line is JSON"));
    let event = events.next().expect("the server says that it serves");
    let mut client = std::net::TcpStream::connect(event["address"].as_str().unwrap()).unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx-request-id: r-1\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
    );
    std::io::Write::write_all(&mut client, head.as_bytes()).unwrap();
    let answered =
        events.find(|event| event["message"] == "request answered").expect("the request is logged");
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(answered["span"]["request.id"], "r-1");
    assert_eq!(answered["span"]["trace.id"], trace);
    assert_eq!(event["message"], "serving");
    assert_eq!(event["level"], "INFO");
    assert_eq!(event["target"], "chatstore::commands::serve");
    assert_eq!(event["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn settings_of_an_identity_provider_are_checked_together() {
    let issuer = ("CHATSTORE_OIDC_ISSUER", "https://id.example.org, http://127.0.0.1:9000");
    let audience = ("CHATSTORE_OIDC_AUDIENCE", "chatstore");
    let rules = ("CHATSTORE_OIDC_ROLES", "admin:groups=chat-admins");
    let shown = show(folder().path(), &[issuer, audience, rules], &["--json"]).json();
    for (variable, value) in [issuer, audience, rules] {
        assert_eq!(shown[variable]["value"], value);
    }
    for (variables, message) in [
        (&[issuer][..], "CHATSTORE_OIDC_ISSUER is set, but CHATSTORE_OIDC_AUDIENCE is not"),
        (&[audience][..], "CHATSTORE_OIDC_AUDIENCE is set, but CHATSTORE_OIDC_ISSUER is not"),
        (
            &[("CHATSTORE_OIDC_ISSUER", "http://id.example.org"), audience][..],
            "but must be URLs separated by commas",
        ),
        (
            &[issuer, audience, ("CHATSTORE_OIDC_ROLES", "groups=x")][..],
            "but must be rules separated by semicolons",
        ),
    ] {
        show(folder().path(), variables, &[]).assert_failed(78, message);
    }
}
