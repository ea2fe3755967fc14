//! [`Settings`]: the broker's properties as they were given, from weakest to strongest
//!
//! ```text
//!   first-run defaults (no file) | file  <  KAFKA_… environment  <  OTTLA_… environment  <  --set key=value
//! ```
//!
//! Each value remembers where it came from, so that a complaint can say it. Environment variables are named as Kafka's
//! images name them: `_` stands for `.`, `__` for `_`, `___` for `-`.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::broker;
use crate::config::properties::{self, PropertiesError};
use crate::config::suggest::nearest;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Given by nobody: what a start without a file begins with.
    FirstRun,
    /// A properties file.
    File {
        /// Name of the file.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// `--set`.
    Flag,
    /// The metadata of the cluster, while the node runs.
    Dynamic {
        /// The broker that it was set for; `None` for all.
        broker: Option<i32>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstRun => f.write_str("first-run default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag => f.write_str("--set"),
            Self::Dynamic { broker: Some(id) } => write!(f, "dynamic configuration of broker {id}"),
            Self::Dynamic { broker: None } => f.write_str("dynamic configuration of all brokers"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Text of the value.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// A `--set` that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// No `=`.
    #[error("--set {0}: `key=value` is expected, such as --set num.partitions=3")]
    NoValue(String),
    /// A key that is no property.
    #[error("--set {key}: Kafka 4.4 has no such broker property{}", did_you_mean(*.nearest))]
    UnknownKey {
        /// The key.
        key: String,
        /// A property that may have been meant.
        nearest: Option<&'static str>,
    },
}

/// `; did you mean …?`, or nothing.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Variables of Kafka's start scripts and images that begin like a property but are none.
const NOT_PROPERTIES: &[&str] = &[
    "KAFKA_OPTS",
    "KAFKA_DEBUG",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_VERSION",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_CMD_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
];

/// What a start without a file begins with: one node on this machine that keeps its data under the current directory.
const FIRST_RUN: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"),
    ("controller.listener.names", "CONTROLLER"),
    ("log.dir", "./ottla-data"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    values: BTreeMap<String, Setting>,
    /// Things that an operator may not have meant.
    remarks: Vec<String>,
}

impl Settings {
    /// No settings at all: Kafka's defaults, to which a file is to be added.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// What a start without a file begins with.
    #[must_use]
    pub fn first_run() -> Self {
        let setting = |value: &str| Setting { value: value.to_owned(), origin: Origin::FirstRun };
        let values = FIRST_RUN.iter().map(|(key, value)| ((*key).to_owned(), setting(value))).collect();
        Self { values, remarks: Vec::new() }
    }

    /// Adds a properties file.
    ///
    /// # Errors
    /// [`PropertiesError`] with file and line.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), PropertiesError> {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for property in properties::parse(name, bytes)? {
            let (key, line) = (property.key, property.line);
            if let Some(first) = lines.insert(key.clone(), line) {
                self.remarks.push(format!("{name}:{line}: `{key}` was already set on line {first}; this value counts"));
            }
            let origin = Origin::File { name: name.to_owned(), line };
            self.values.insert(key, Setting { value: property.value, origin });
        }
        Ok(())
    }

    /// Adds the properties among environment variables.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let variables: BTreeMap<String, String> = variables.into_iter().collect();
        for prefix in ["KAFKA_", "OTTLA_"] {
            for (variable, value) in variables.range(prefix.to_owned()..) {
                let Some(rest) = variable.strip_prefix(prefix) else { break };
                let key = key_of_variable(rest);
                if broker::row(&key).is_none() && !is_prefixed(&key) {
                    if !NOT_PROPERTIES.contains(&variable.as_str()) {
                        let nearest = nearest(&key, broker::rows().map(|row| row.name));
                        let hint = did_you_mean(nearest);
                        self.remarks.push(format!("environment variable {variable}: `{key}` is no property{hint}"));
                    }
                    continue;
                }
                let origin = Origin::Environment { variable: variable.clone() };
                self.values.insert(key, Setting { value: value.clone(), origin });
            }
        }
    }

    /// Adds what was given with `--set`.
    ///
    /// # Errors
    /// [`FlagError`] when it is not `key=value`, or no property has that key.
    pub fn add_flag(&mut self, flag: &str) -> Result<(), FlagError> {
        let (key, value) = flag.split_once('=').ok_or_else(|| FlagError::NoValue(flag.to_owned()))?;
        let key = key.trim();
        if broker::row(key).is_none() && !is_prefixed(key) {
            let nearest = nearest(key, broker::rows().map(|row| row.name));
            return Err(FlagError::UnknownKey { key: key.to_owned(), nearest });
        }
        self.values.insert(key.to_owned(), Setting { value: value.to_owned(), origin: Origin::Flag });
        Ok(())
    }

    /// Puts a value in the place of what was given.
    pub(crate) fn insert(&mut self, key: &str, value: &str, origin: Origin) {
        self.values.insert(key.to_owned(), Setting { value: value.to_owned(), origin });
    }

    /// What was given for a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.values.get(key)
    }

    /// All that was given, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.values.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// What an operator may not have meant, such as a key that was set twice. The warnings of
    /// [`BrokerConfig::from_settings`](crate::config::BrokerConfig::from_settings) begin with these.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}

/// `NUM_PARTITIONS` names `num.partitions`.
fn key_of_variable(variable: &str) -> String {
    let lower = variable.to_ascii_lowercase();
    // A run of three underscores comes first, then of two, so that each is taken whole.
    lower.replace("___", "-").replace("__", "\0").replace('_', ".").replace('\0', "_")
}

/// Whether a key is one of the families whose names are open: those of one listener and of remote storage plugins.
pub(crate) fn is_prefixed(key: &str) -> bool {
    ["listener.name.", "rlmm.config.", "rsm.config."].iter().any(|prefix| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'s>(settings: &'s Settings, key: &str) -> (&'s str, String) {
        let setting = settings.get(key).unwrap();
        (setting.value.as_str(), setting.origin.to_string())
    }

    #[test]
    fn the_stronger_layer_wins_and_is_remembered() {
        let mut settings = Settings::first_run();
        assert_eq!(value(&settings, "node.id"), ("1", "first-run default".into()));
        settings.add_file("server.properties", b"# x\nnode.id=2\nnum.partitions=2\nlog.dirs=/a\n").unwrap();
        settings.add_environment(
            [("KAFKA_NUM_PARTITIONS", "3"), ("OTTLA_LOG_DIRS", "/b"), ("KAFKA_LOG_DIRS", "/c"), ("PATH", "/bin")]
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        settings.add_flag("num.partitions=4").unwrap();
        assert_eq!(value(&settings, "node.id"), ("2", "server.properties:2".into()));
        assert_eq!(value(&settings, "log.dirs"), ("/b", "environment variable OTTLA_LOG_DIRS".into()));
        assert_eq!(value(&settings, "num.partitions"), ("4", "--set".into()));
        assert!(settings.remarks().is_empty());
    }

    #[test]
    fn variables_are_named_as_in_kafkas_images() {
        assert_eq!(
            key_of_variable("LISTENER_NAME_MY__LISTENER_SSL_CLIENT_AUTH"),
            "listener.name.my_listener.ssl.client.auth"
        );
        assert_eq!(key_of_variable("A___B__C_D"), "a-b_c.d");
    }

    #[test]
    fn what_is_not_a_property_is_told() {
        let mut settings = Settings::empty();
        let variables = [("KAFKA_NUM_PARTITION", "3"), ("KAFKA_HEAP_OPTS", "-Xmx1G")];
        settings.add_environment(variables.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(
            settings.remarks(),
            [
                "environment variable KAFKA_NUM_PARTITION: `num.partition` is no property; did you mean `num.partitions`?"
            ]
        );
        let refused = settings.add_flag("num.partition=3").unwrap_err().to_string();
        assert_eq!(
            refused,
            "--set num.partition: Kafka 4.4 has no such broker property; did you mean `num.partitions`?"
        );
        assert!(settings.add_flag("num.partitions").is_err());
        settings.add_file("f", b"node.id=1\nnode.id=2").unwrap();
        assert_eq!(settings.remarks().last().unwrap(), "f:2: `node.id` was already set on line 1; this value counts");
    }
}
