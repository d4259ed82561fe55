//! Database URLs: composed from their parts, and masked for display.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub(crate) const MASK: &str = "***";

/// The characters of a host name or an address; slashes of a socket's folder are encoded.
const HOST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// The parameters of a connection whose values may be shown: those of libpq that hold no secret. Others may.
const SHOWN_PARAMETERS: [&str; 16] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "load_balance_hosts",
    "port",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// A server in parts.
#[derive(Debug)]
pub(crate) struct Server<'s> {
    pub(crate) user: &'s str,
    pub(crate) password: Option<&'s str>,
    pub(crate) database: Option<&'s str>,
    pub(crate) host: &'s str,
    pub(crate) port: u16,
    pub(crate) sslmode: Option<&'s str>,
    pub(crate) sslrootcert: Option<&'s str>,
}

impl Server<'_> {
    pub(crate) fn url(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let password = self.password.map(|password| format!(":{}", encode(password))).unwrap_or_default();
        let host = if self.host.contains(':') && !self.host.starts_with('[') {
            format!("[{}]", self.host)
        } else if self.host.starts_with('[') {
            self.host.to_owned()
        } else {
            utf8_percent_encode(self.host, HOST).to_string()
        };
        let database = encode(self.database.unwrap_or(self.user));
        let parameters = [("sslmode", self.sslmode), ("sslrootcert", self.sslrootcert)];
        let parameters: Vec<String> = parameters
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", utf8_percent_encode(value?, HOST))))
            .collect();
        let separator = if parameters.is_empty() { "" } else { "?" };
        let (user, port, parameters) = (encode(self.user), self.port, parameters.join("&"));
        format!("postgresql://{user}{password}@{host}:{port}/{database}{separator}{parameters}")
    }
}

/// URLs that are separated by commas, each of which may name several hosts that are as well.
pub(crate) fn separate(urls: &str) -> Vec<String> {
    let mut separate: Vec<String> = Vec::new();
    for piece in urls.split(',') {
        match separate.last_mut() {
            Some(url) if !piece.contains("://") => {
                url.push(',');
                url.push_str(piece);
            }
            _ => separate.push(piece.trim().to_owned()),
        }
    }
    separate
}

/// A URL with every password masked; whole, unless its form is understood: a key=value list may have a password too.
pub(crate) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return MASK.to_owned() };
    // SQLAlchemy names its driver behind a plus sign.
    let masked = match scheme.split('+').next() {
        Some("sqlite") => masked_file(rest),
        Some("postgres" | "postgresql" | "redis" | "rediss") => masked_server(rest),
        _ => return MASK.to_owned(),
    };
    format!("{scheme}://{masked}")
}

/// A path. It has no parameters; what stands there all the same may be the key of an encrypted file.
fn masked_file(rest: &str) -> String {
    match rest.split_once('?') {
        Some((path, _)) => format!("{path}?{MASK}"),
        None => rest.to_owned(),
    }
}

fn masked_server(rest: &str) -> String {
    // A password may contain the delimiters of other parts, so it ends at the last @ of all.
    let (credentials, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, rest),
    };
    let credentials = credentials.map(|credentials| match credentials.split_once(':') {
        Some((user, _)) => format!("{user}:{MASK}@"),
        None => format!("{credentials}@"),
    });
    format!("{}{}", credentials.unwrap_or_default(), masked_parameters(place))
}

fn masked_parameters(place: &str) -> String {
    let Some((place, parameters)) = place.split_once('?') else { return place.to_owned() };
    let parameters: Vec<String> = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if SHOWN_PARAMETERS.contains(&name) => parameter.to_owned(),
            Some((name, _)) => format!("{name}={MASK}"),
            None => MASK.to_owned(),
        })
        .collect();
    format!("{place}?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(user: &'static str, password: Option<&'static str>, host: &'static str) -> String {
        let server =
            Server { user, password, database: None, host, port: 5432, sslmode: None, sslrootcert: None };
        server.url()
    }

    #[test]
    fn urls_are_separate_however_many_hosts_each_names() {
        let urls = "postgresql://a:p@h1:1,h2:2/x, postgres://b@h3/y?host=h4,h5";
        assert_eq!(separate(urls), ["postgresql://a:p@h1:1,h2:2/x", "postgres://b@h3/y?host=h4,h5"]);
        assert_eq!(separate("chat"), ["chat"]);
    }

    #[test]
    fn the_parts_of_a_url_are_encoded() {
        assert_eq!(
            server("ada", Some("p@ss:w/rd?#%"), "db.example.org"),
            "postgresql://ada:p%40ss%3Aw%2Frd%3F%23%25@db.example.org:5432/ada"
        );
        assert_eq!(server("ada", None, "::1"), "postgresql://ada@[::1]:5432/ada");
        assert_eq!(server("ada", None, "/run/pg"), "postgresql://ada@%2Frun%2Fpg:5432/ada");
        let encrypted = Server {
            user: "ada",
            password: None,
            database: Some("chat"),
            host: "db",
            port: 5432,
            sslmode: Some("verify-full"),
            sslrootcert: Some("/etc/my ca.pem"),
        };
        let expected = "postgresql://ada@db:5432/chat?sslmode=verify-full&sslrootcert=%2Fetc%2Fmy%20ca.pem";
        assert_eq!(encrypted.url(), expected);
    }

    #[test]
    fn a_masked_url_contains_no_password() {
        for (url, shown) in [
            ("sqlite://chat@home:1.db", "sqlite://chat@home:1.db"),
            ("postgresql://ada:secret@host:1/chat", "postgresql://ada:***@host:1/chat"),
            ("postgresql://ada:sec/re?t@x@host/chat", "postgresql://ada:***@host/chat"),
            ("postgresql://ada@host/chat", "postgresql://ada@host/chat"),
            ("postgresql://host/chat?user=a&password=secret", "postgresql://host/chat?user=a&password=***"),
            (
                "postgresql://host/chat?sslmode=require&sslpassword=secret",
                "postgresql://host/chat?sslmode=require&sslpassword=***",
            ),
            ("postgresql://host/chat?pass=secret&secret", "postgresql://host/chat?pass=***&***"),
            ("postgresql+asyncpg://ada:secret@host/chat", "postgresql+asyncpg://ada:***@host/chat"),
            ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
            ("rediss://ada:se/cr@et@host", "rediss://ada:***@host"),
            ("ada:secret@host/chat", "***"),
            ("host=db user=ada password=secret dbname=chat", "***"),
            ("host=db password='se://cret'", "***"),
            ("mysql://ada:secret@host/chat", "***"),
            ("sqlite:chat.db?key=secret", "***"),
            ("sqlite://chat.db?key=secret", "sqlite://chat.db?***"),
            ("postgresql://ada:secret@host/chat?name=a@b", "postgresql://ada:***@b"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
