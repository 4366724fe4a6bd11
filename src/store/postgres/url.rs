//! The store's URL, as libpq writes it, with `schema` beside.
//!
//! What follows is never shown: it holds the password. `Settings::server` is what errors may say.

use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{self, Tls};
use crate::query_string;
use crate::store::StoreError;

/// Where tables without a schema go.
const SCHEMA_DEFAULT: &str = "public";

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that acknowledges nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What ends by itself on the server: statements, waits for locks, transactions that their client forgot. An index on a
/// large table has a limit of its own.
const LIMITS: &str = "-c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s";

/// How values are read and written, whatever the server's settings are.
const NOTATION: &str = "-c timezone=UTC -c datestyle=ISO,MDY -c intervalstyle=postgres -c bytea_output=hex \
                        -c extra_float_digits=1 -c standard_conforming_strings=on -c jit=off";

/// The parameters that a URL may have.
const KNOWN: &[&str] = &[
    "schema",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "options",
    "application_name",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];

/// How to connect, and where the tables are.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) connector: MakeRustlsConnect,
    pub(super) schema: String,
    /// Host and database, for errors.
    pub(super) server: String,
}

impl Settings {
    /// Reads a URL.
    pub(super) fn parse(url: &str) -> Result<Settings, StoreError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut schema = SCHEMA_DEFAULT.to_owned();
        let mut tls = Tls::default();
        let mut theirs = Vec::new();
        for (name, value) in query_string::pairs(query) {
            let decoded = query_string::decode_percent(value);
            let decoded = decoded.ok_or_else(|| wrong(&format!("the value of {name} is not UTF-8")))?;
            match name {
                "schema" if decoded.is_empty() => return Err(wrong("schema names nothing")),
                "schema" => schema = decoded,
                "sslmode" => tls.mode = decoded.parse().map_err(|words: String| wrong(&words))?,
                "sslrootcert" => tls.root = Some(decoded),
                "sslcert" => tls.certificate = Some(decoded),
                "sslkey" => tls.key = Some(decoded),
                _ if KNOWN.contains(&name) => theirs.push(format!("{name}={value}")),
                // A `?` in a password begins what looks like a parameter.
                _ if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
                    return Err(wrong("a parameter's name is no word; in a password, `?` is written %3F and `@` %40"));
                }
                _ => return Err(wrong(&format!("it knows no parameter {name:?}; it knows {}", KNOWN.join(", ")))),
            }
        }
        let plain = format!("{base}?{}", theirs.join("&"));
        let mut config = Config::from_str(&plain).map_err(|error| wrong(&reason(&error)))?;
        if config.get_user().is_none() {
            return Err(wrong("it names no user: postgres://USER:PASSWORD@HOST/DATABASE"));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("it names no host; a socket's folder is written ?host=/var/run/postgresql"));
        }
        if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@'))) {
            return Err(wrong("a host's name holds `@`; in a password it is written %40"));
        }
        limit(&mut config);
        config.ssl_mode(tls.mode.wire());
        let server = server(&config);
        Ok(Settings { connector: tls::connector(&tls)?, config, schema, server })
    }
}

/// Sets what keeps a connection from waiting for ever, unless the URL says otherwise.
fn limit(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE_MAX);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_idle(SILENCE_MAX / 2).keepalives_interval(SILENCE_MAX / 8).keepalives_retries(4);
    }
    if config.get_application_name().is_none() {
        config.application_name("sluicegate");
    }
    // What the URL says comes last, and holds.
    let theirs = config.get_options().unwrap_or_default().to_owned();
    config.options(format!("{LIMITS} {theirs} {NOTATION}"));
}

fn server(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let mut hosts: Vec<_> = hosts.collect();
    hosts.extend(config.get_hostaddrs().iter().map(ToString::to_string));
    let ports: Vec<_> = config.get_ports().iter().map(u16::to_string).collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    let port = if ports.is_empty() { String::new() } else { format!(":{}", ports.join(",")) };
    format!("{}{port}/{database}", hosts.join(","))
}

fn wrong(why: &str) -> StoreError {
    StoreError::stop(format!("the store's URL cannot be used: {why}"))
}

fn reason(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::chain;

    #[test]
    fn urls_are_read_as_libpq_writes_them() {
        for (url, server, schema) in [
            ("postgres://u:p@db/x", "db:5432/x", "public"),
            ("postgresql://u@db:5433/x?schema=My%20Tables", "db:5433/x", "My Tables"),
            ("postgres://u@a:1,b:2/x?target_session_attrs=read-write", "a,b:1,2/x", "public"),
            ("postgres:///x?user=u&host=/run/postgresql", "/run/postgresql/x", "public"),
            ("postgres://u@db/x?sslmode=require&connect_timeout=3&application_name=me", "db:5432/x", "public"),
        ] {
            let settings = Settings::parse(url).map_err(|error| error.to_string()).unwrap();
            assert_eq!((&*settings.server, &*settings.schema), (server, schema), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        for (url, word) in [
            ("postgres://u:s3cret@db/x?color=red", "color"),
            ("postgres://u:s3cret@db/x?sslmode=allow", "verify-full"),
            ("postgres://u:s3cret@db/x?sslmode=verify-full&sslrootcert=/nowhere.pem", "/nowhere.pem"),
            ("postgres://u:s3cret@db:port/x", "port"),
            ("postgres://u:s3cret@db/x?connect_timeout=soon", "connect_timeout"),
            ("postgres://u:aaa?s3cret@db/x", "%3F"),
            ("postgres://u:aaa@s3cret@db/x", "%40"),
            ("postgres://db/x", "user"),
            ("postgres:///x?user=u&password=s3cret", "host"),
            ("postgres://u:s3cret@db/x?schema=", "schema"),
        ] {
            let said = match Settings::parse(url) {
                Err(StoreError::Stop(said)) => chain(&said),
                _ => panic!("{url}"),
            };
            assert!(said.contains(word) && !said.contains("s3cret"), "{url}: {said}");
        }
    }
}
