//! Database URLs: composed from their parts, and masked for display.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub(crate) const MASK: &str = "***";

/// The characters of a host name or an address; slashes of a socket's folder are encoded.
const HOST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// The parameters of a connection whose values are secret.
const SECRET_PARAMETERS: [&str; 2] = ["password", "sslpassword"];

/// A server in parts.
#[derive(Debug)]
pub(crate) struct Server<'s> {
    pub(crate) user: &'s str,
    pub(crate) password: Option<&'s str>,
    pub(crate) database: Option<&'s str>,
    pub(crate) host: &'s str,
    pub(crate) port: u16,
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
        format!("postgresql://{}{password}@{host}:{}/{database}", encode(self.user), self.port)
    }
}

/// A URL with every password masked. A malformed URL may lose more, never less.
pub(crate) fn masked(url: &str) -> String {
    if url.starts_with("sqlite") {
        return url.to_owned();
    }
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    // A password may contain the delimiters of other parts, so it ends at the last @ of all.
    let (credentials, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, rest),
    };
    let credentials = credentials.map(|credentials| match credentials.split_once(':') {
        Some((user, _)) => format!("{user}:{MASK}@"),
        None => format!("{credentials}@"),
    });
    format!("{scheme}{}{}", credentials.unwrap_or_default(), masked_parameters(place))
}

fn masked_parameters(place: &str) -> String {
    let Some((place, parameters)) = place.split_once('?') else { return place.to_owned() };
    let parameters: Vec<String> = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if SECRET_PARAMETERS.contains(&name) => format!("{name}={MASK}"),
            _ => parameter.to_owned(),
        })
        .collect();
    format!("{place}?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(user: &'static str, password: Option<&'static str>, host: &'static str) -> String {
        Server { user, password, database: None, host, port: 5432 }.url()
    }

    #[test]
    fn the_parts_of_a_url_are_encoded() {
        assert_eq!(
            server("ada", Some("p@ss:w/rd?#%"), "db.example.org"),
            "postgresql://ada:p%40ss%3Aw%2Frd%3F%23%25@db.example.org:5432/ada"
        );
        assert_eq!(server("ada", None, "::1"), "postgresql://ada@[::1]:5432/ada");
        assert_eq!(server("ada", None, "/run/pg"), "postgresql://ada@%2Frun%2Fpg:5432/ada");
    }

    #[test]
    fn a_masked_url_contains_no_password() {
        for (url, shown) in [
            ("sqlite://chat@home:1.db", "sqlite://chat@home:1.db"),
            ("postgresql://ada:secret@host:1/chat", "postgresql://ada:***@host:1/chat"),
            ("postgresql://ada:sec/re?t@x@host/chat", "postgresql://ada:***@host/chat"),
            ("postgresql://ada@host/chat", "postgresql://ada@host/chat"),
            ("postgresql://host/chat?user=a&password=secret", "postgresql://host/chat?user=a&password=***"),
            ("ada:secret@host/chat", "ada:***@host/chat"),
            ("postgresql://ada:secret@host/chat?name=a@b", "postgresql://ada:***@b"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
