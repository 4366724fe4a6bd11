//! What the URL of a Kafka journal says: `kafka://[user:password@]host:9092,host:9092?partitions=4&…`.
//!
//! A few parameters are ours; every other one is a property of librdkafka, which judges it. A value may be a secret, so
//! no error repeats one.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::journal::JournalError;
use crate::query_string;

/// What Sluicegate promises rests on these, so nobody else sets them.
const OURS: [&str; 25] = [
    "acks",
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "log.queue",
    "log_level",
    "message.max.bytes",
    "metadata.broker.list",
    "offset.store.method",
    "partition.assignment.strategy",
    // Loads any code.
    "plugin.library.paths",
    "request.required.acks",
    "statistics.interval.ms",
    "transactional.id",
];

/// How long an append may take when the URL does not say.
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The limits of `append_timeout`: librdkafka looks for late messages once a second, and a sender waits no longer.
const APPEND_TIMEOUT_MIN: Duration = Duration::from_secs(1);
const APPEND_TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// More partitions than a stream can have use for are a mistake.
const PARTITIONS_MAX: i32 = 10_000;

/// What the URL says.
pub(super) struct Settings {
    /// The brokers to ask first.
    pub(super) servers: String,
    /// Of topics that we create.
    pub(super) partitions: i32,
    /// Of topics that we create; -1 leaves it to the broker.
    pub(super) replication: i32,
    /// How long an append may take.
    pub(super) append_timeout: Duration,
    properties: Vec<(String, String)>,
}

fn stop(reason: impl Into<String>) -> JournalError {
    JournalError::stop(format!("the journal's URL: {}", reason.into()))
}

fn decoded(text: &str, what: &str) -> Result<String, JournalError> {
    query_string::decode_percent(text).ok_or_else(|| stop(format!("{what} is not UTF-8 once it is percent-decoded")))
}

impl Settings {
    /// Reads what follows `kafka://`.
    pub(super) fn parse(rest: &str) -> Result<Self, JournalError> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, servers) = match place.rsplit_once('@') {
            Some((user, servers)) => (Some(user), servers),
            None => (None, place),
        };
        let servers = servers.strip_suffix('/').unwrap_or(servers);
        if servers.is_empty() || servers.contains('/') || servers.split(',').any(str::is_empty) {
            return Err(stop("write kafka://host:9092, or several brokers as kafka://host:9092,host:9092"));
        }
        let mut settings = Settings {
            servers: servers.into(),
            partitions: 1,
            replication: -1,
            append_timeout: APPEND_TIMEOUT,
            properties: Vec::new(),
        };
        if let Some(user) = user {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            // A password is not sent in the clear unless somebody asks for it.
            settings.property("security.protocol", "SASL_SSL".into());
            settings.property("sasl.mechanism", "PLAIN".into());
            settings.property("sasl.username", decoded(name, "the user")?);
            settings.property("sasl.password", decoded(password, "the password")?);
        }
        for (name, value) in query_string::pairs(query) {
            let name = decoded(name, "the name of a parameter")?;
            let value = decoded(value, &name)?;
            settings.set(&name, value)?;
        }
        settings.check()?;
        Ok(settings)
    }

    fn property(&mut self, name: &str, value: String) {
        self.properties.retain(|(known, _)| known != name);
        self.properties.push((name.into(), value));
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), JournalError> {
        let whole = |least: i32, most: i32| {
            let number = value.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| stop(format!("`{name}` must be a whole number from {least} to {most}")))
        };
        match name {
            "partitions" => self.partitions = whole(1, PARTITIONS_MAX)?,
            "replication" => self.replication = whole(1, i32::from(i16::MAX))?,
            "append_timeout" => {
                let timeout = period(&value)
                    .filter(|timeout| (APPEND_TIMEOUT_MIN..=APPEND_TIMEOUT_MAX).contains(timeout))
                    .ok_or_else(|| stop("`append_timeout` must be from 1s to 300s, written as 10s or 1500ms"))?;
                self.append_timeout = timeout;
            }
            "message.timeout.ms" | "delivery.timeout.ms" => {
                return Err(stop(format!("`{name}` is set by `append_timeout`, such as append_timeout=10s")));
            }
            _ if OURS.contains(&name) => {
                return Err(stop(format!(
                    "`{name}` is set by Sluicegate, which could not keep its promises otherwise"
                )));
            }
            _ => self.property(name, value),
        }
        Ok(())
    }

    /// Asks librdkafka whether it knows the properties.
    fn check(&self) -> Result<(), JournalError> {
        for (name, value) in &self.properties {
            if !HAS_TLS && needs_tls(name, value) {
                return Err(stop(format!(
                    "`{name}` asks for TLS or SCRAM, and this program was built without them for Kafka: build it with \
                     `cargo build --release --features kafka-tls`, or `kafka-tls-system` for the system's OpenSSL; a user \
                     and a password are sent in the clear with `security.protocol=sasl_plaintext`"
                )));
            }
            let checked = ClientConfig::new().set(name, value).create_native_config();
            match checked {
                Ok(_) => {}
                Err(KafkaError::ClientConfig(_, reason, ..))
                    if reason.starts_with("No such configuration property") =>
                {
                    return Err(stop(format!(
                        "there is no parameter `{name}`: ours are partitions, replication and append_timeout, and every \
                         other one must be a property of librdkafka"
                    )));
                }
                // librdkafka's reason repeats the value.
                Err(_) => return Err(stop(format!("librdkafka does not take the value of `{name}`"))),
            }
        }
        Ok(())
    }

    /// The configuration that every client starts from: `defaults`, what the URL says, and then what must be so.
    pub(super) fn client(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in [
            ("client.id", "sluicegate"),
            // A broker that is back is found soon.
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            ("socket.connection.setup.timeout.ms", "5000"),
            ("socket.timeout.ms", "10000"),
            ("socket.keepalive.enable", "true"),
            ("topic.metadata.refresh.interval.ms", "60000"),
            // Idle connections are closed by brokers as a matter of course.
            ("log.connection.close", "false"),
        ] {
            config.set(name, value);
        }
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.servers);
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        let is_debugged = self.properties.iter().any(|(name, _)| name == "debug");
        config.set_log_level(if is_debugged { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
        config
    }
}

/// Whether the librdkafka of this program has OpenSSL, on which its TLS and SCRAM rest.
const HAS_TLS: bool = cfg!(any(feature = "kafka-tls", feature = "kafka-tls-system"));

/// Whether a property of librdkafka is of use only with OpenSSL.
fn needs_tls(name: &str, value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    match name {
        "security.protocol" => value.ends_with("ssl"),
        "sasl.mechanism" | "sasl.mechanisms" => value.starts_with("scram"),
        _ => name.starts_with("ssl."),
    }
}

/// A duration such as `10s` or `1500ms`.
fn period(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(rest: &str) -> Result<Settings, String> {
        Settings::parse(rest).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_names_brokers_settings_and_properties_of_librdkafka() {
        let settings = parsed("a:9092,b:9093?partitions=4&replication=3&append_timeout=1500ms&compression.type=zstd");
        let settings = settings.unwrap();
        assert_eq!((settings.servers.as_str(), settings.partitions, settings.replication), ("a:9092,b:9093", 4, 3));
        assert_eq!(settings.append_timeout, Duration::from_millis(1500));
        let config = settings.client(&[("compression.type", "none"), ("linger.ms", "1")], &[("acks", "all")]);
        for (name, value) in [("compression.type", "zstd"), ("linger.ms", "1"), ("acks", "all")] {
            assert_eq!(config.get(name), Some(value));
        }

        let settings = parsed("us%40er:p%3Aa%2Fss@host:9092/?security.protocol=sasl_plaintext").unwrap();
        let config = settings.client(&[], &[]);
        for (name, value) in [
            ("bootstrap.servers", "host:9092"),
            ("sasl.username", "us@er"),
            ("sasl.password", "p:a/ss"),
            ("security.protocol", "sasl_plaintext"),
        ] {
            assert_eq!(config.get(name), Some(value));
        }
    }

    #[test]
    fn what_needs_tls_is_known_and_without_it_the_build_is_named_that_has_it() {
        for (rest, is_tls) in [
            ("a?security.protocol=SSL", true),
            ("a?security.protocol=sasl_ssl", true),
            ("user:pass@a", true),
            ("a?sasl.mechanisms=SCRAM-SHA-512", true),
            ("a?ssl.ca.location=/etc/ssl/cert.pem", true),
            ("a?security.protocol=plaintext", false),
            ("user:pass@a?security.protocol=sasl_plaintext", false),
            ("a?compression.type=zstd", false),
        ] {
            match parsed(rest) {
                Ok(_) => assert!(HAS_TLS || !is_tls, "{rest}"),
                Err(reason) => {
                    assert!(!HAS_TLS && is_tls && reason.contains("--features kafka-tls"), "{rest}: {reason}");
                }
            }
        }
    }

    #[test]
    fn a_url_that_cannot_be_meant_is_refused_by_name_and_without_its_values() {
        for (rest, named) in [
            ("", "kafka://host:9092"),
            ("?partitions=1", "kafka://host:9092"),
            ("a:9092,,b", "kafka://host:9092"),
            ("a:9092/topic", "kafka://host:9092"),
            ("a?partitions=0", "`partitions`"),
            ("a?partitions=s3cret", "`partitions`"),
            ("a?append_timeout=5", "`append_timeout`"),
            ("a?append_timeout=10ms", "`append_timeout`"),
            ("a?compresion.type=s3cret", "`compresion.type`"),
            ("a?security.protocol=s3cret", "`security.protocol`"),
            ("a?acks=1", "`acks`"),
            ("a?enable.idempotence=false", "`enable.idempotence`"),
            ("a?message.timeout.ms=5", "`append_timeout`"),
            ("a?plugin.library.paths=s3cret", "`plugin.library.paths`"),
            ("a?sasl.password=%ff", "`sasl.password`"),
        ] {
            let error = parsed(rest).err().unwrap_or_else(|| panic!("{rest} is taken"));
            let named = named.trim_matches('`');
            assert!(error.contains(named) && !error.contains("s3cret"), "{rest}: {error}");
        }
    }
}
