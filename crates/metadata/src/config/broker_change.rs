//! Whether the dynamic properties of a broker, or of all, may change (`DynamicBrokerConfig.validate` of Kafka).
//!
//! Two looks: at each changed property by its row, which every node takes alike, and at what would hold on one broker
//! afterwards, which only that broker can tell. What was stored before, by Kafka perhaps, and is not touched stands in
//! nobody's way.

use std::collections::BTreeMap;

use crate::config::broker;
use crate::config::broker_config::BrokerConfig;
use crate::config::checks;
use crate::config::dynamic::{in_effect, only_at_the_start};
use crate::config::layers::Layers;
use crate::config::reader::Reader;
use crate::config::refusals::UNSERVED;
use crate::config::row::{Row, Scope, Served};
use crate::config::settings::{Settings, did_you_mean, is_prefixed};
use crate::config::suggest::nearest;
use crate::config::value::InvalidValue;
use crate::image::ConfigsImage;

/// Longest value that is kept: what a string of Kafka's older versions could hold.
pub const VALUE_BYTES_MAX: usize = 32_767;

/// Why a broker's properties cannot change so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerChangeError {
    /// Properties that are read at the start.
    #[error("Cannot update these configs dynamically: [{}]", .0.join(", "))]
    NotDynamic(Vec<String>),
    /// Properties that only make sense for one broker.
    #[error("Cannot update these configs at default cluster level, broker id must be specified: [{}]", .0.join(", "))]
    PerBroker(Vec<String>),
    /// No such property. Kafka keeps it for its plugins, of which there are none here.
    #[error("brokers have no dynamic property `{name}`{}", did_you_mean(*.nearest))]
    Unknown {
        /// The name.
        name: String,
        /// A property that may have been meant.
        nearest: Option<&'static str>,
    },
    /// No such value.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// A property, or a value of it, that is not served and must not be ignored.
    #[error("`{name}`: {sentence}")]
    Refused {
        /// Property.
        name: String,
        /// Why, and what to do.
        sentence: &'static str,
    },
    /// More than is kept.
    #[error("the value of `{name}` has {bytes} bytes; at most {VALUE_BYTES_MAX} are kept")]
    TooLong {
        /// Property.
        name: &'static str,
        /// Its bytes.
        bytes: usize,
    },
    /// What would hold afterwards does not go together.
    #[error("{0}")]
    Inconsistent(String),
}

type Values = BTreeMap<String, String>;

/// What differs, by name: the new value, or `None` where there is none any more.
fn changed<'a>(old: &'a Values, new: &'a Values) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    let set = new.iter().filter(|(name, value)| old.get(*name) != Some(value));
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    set.map(|(name, value)| (name.as_str(), Some(value.as_str()))).chain(gone.map(|name| (name.as_str(), None)))
}

/// Checks what changes by its rows: for one broker, or with `per_broker` false for all. What is not served yet takes no other
/// value than its default: a file is for every day, while who changes a running broker waits for the effect.
///
/// # Errors
/// [`BrokerChangeError`], in Kafka's order: what is not dynamic at all comes first.
pub fn check_rows(per_broker: bool, old: &Values, new: &Values) -> Result<(), BrokerChangeError> {
    let set: Vec<(&str, &str)> = changed(old, new).filter_map(|(name, value)| Some((name, value?))).collect();
    let named = |wanted: &dyn Fn(&Row) -> bool| -> Vec<String> {
        let names = set.iter().filter(|(name, _)| broker::dynamic_row(name).is_some_and(wanted));
        names.map(|(name, _)| (*name).to_owned()).collect()
    };
    let fixed = named(&|row| row.scope == Scope::ReadOnly);
    if !fixed.is_empty() {
        return Err(BrokerChangeError::NotDynamic(fixed));
    }
    let of_one = named(&|row| row.scope == Scope::PerBroker);
    if !per_broker && !of_one.is_empty() {
        return Err(BrokerChangeError::PerBroker(of_one));
    }
    set.into_iter()
        .try_for_each(|(name, text)| check_value(broker::dynamic_row(name).ok_or_else(|| unknown(name))?, text))
}

fn unknown(name: &str) -> BrokerChangeError {
    if is_prefixed(name) {
        let sentence = "properties of one listener or of a plugin are not served yet; leave it out";
        return BrokerChangeError::Refused { name: name.to_owned(), sentence };
    }
    BrokerChangeError::Unknown { name: name.to_owned(), nearest: nearest(name, broker::rows().map(|row| row.name)) }
}

fn check_value(row: &'static Row, text: &str) -> Result<(), BrokerChangeError> {
    if text.len() > VALUE_BYTES_MAX {
        return Err(BrokerChangeError::TooLong { name: row.name, bytes: text.len() });
    }
    let value = row.parse(text)?;
    let is_default = row.default.and_then(|default| row.parse(default).ok()) == Some(value);
    let sentence = match (only_at_the_start(row.name), row.served) {
        (Some(sentence), _) => sentence,
        (None, Served::Yes { .. }) => return Ok(()),
        (None, _) if is_default => return Ok(()),
        (None, Served::Refuse(sentence)) => sentence,
        (None, Served::Warn) => UNSERVED,
    };
    Err(BrokerChangeError::Refused { name: row.name.to_owned(), sentence })
}

/// Checks what would hold on this broker if `new` were stored for it, or with `per_broker` false for all brokers. What is
/// wrong already is nobody's fault now.
///
/// # Errors
/// [`BrokerChangeError::Inconsistent`].
pub fn check_in_effect(
    broker: &BrokerConfig,
    configs: &ConfigsImage,
    per_broker: bool,
    new: &Values,
) -> Result<(), BrokerChangeError> {
    let layers = Layers::of_broker(broker, configs);
    let (before, after) = (in_effect(broker, &layers), in_effect(broker, &layers.with_dynamic(per_broker, new)));
    let known = problems(&before, broker);
    if let Some(problem) = problems(&after, broker).into_iter().find(|problem| !known.contains(problem)) {
        return Err(BrokerChangeError::Inconsistent(problem));
    }
    check_threads(&Reader::quiet(&before), &Reader::quiet(&after))
}

fn problems(settings: &Settings, broker: &BrokerConfig) -> Vec<String> {
    let mut reader = Reader::quiet(settings);
    checks::check_numbers(&mut reader);
    checks::check_dynamic(&mut reader, &broker.log_dirs);
    reader.findings.problems
}

/// Pools of threads, which grow and shrink by a factor of two at most.
const POOLS: [&str; 9] = [
    "background.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
];

fn check_threads(before: &Reader<'_>, after: &Reader<'_>) -> Result<(), BrokerChangeError> {
    for name in POOLS {
        let (old, new) = (before.signed(name), after.signed(name));
        let limit = match new {
            new if new < old / 2 => format!("value should be at least half the current value {old}"),
            new if new > old.saturating_mul(2) => {
                format!("value should not be greater than double the current value {old}")
            }
            _ => continue,
        };
        let why = format!("Dynamic thread count update validation failed for {name}={new}, {limit}");
        return Err(BrokerChangeError::Inconsistent(why));
    }
    Ok(())
}

#[cfg(test)]
#[path = "broker_change_tests.rs"]
mod tests;
