//! What DescribeConfigs says of a topic, a broker or a group: every property of the table with its value, where that comes
//! from, and the synonyms behind it.
//!
//! The synonyms of a property are listed by layer, strongest first, and within a layer in the order in which they stand in
//! for each other. As in Kafka the list begins where the property's own name first occurs: with only
//! `log.retention.hours` set, `retention.ms` has its value from there, and yet no synonyms and the source DEFAULT_CONFIG.
//! Apache Kafka 4.4.0 was seen to answer so.

use std::collections::BTreeMap;

use crate::config::dynamic::is_dynamic;
use crate::config::layers::{BROKER_SOURCES, ConfigSource, Layers};
use crate::config::row::{ConfigType, Row};
use crate::config::value::Value;
use crate::config::{broker, group, topic};

/// A value of a synonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedSynonym {
    /// Property.
    pub name: &'static str,
    /// Value; `None` where it must not be shown.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// A property of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedConfig {
    /// Its row: name, type, documentation, whether it is sensitive.
    pub row: &'static Row,
    /// Value; `None` where there is none or it must not be shown.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed while the process runs.
    pub read_only: bool,
    /// The values behind it, strongest first.
    pub synonyms: Vec<DescribedSynonym>,
}

/// Describes a topic.
#[must_use]
pub fn describe_topic(layers: &Layers<'_>) -> Vec<DescribedConfig> {
    topic::rows().filter(|row| !row.internal).map(|row| topic_property(layers, row)).collect()
}

fn topic_property(layers: &Layers<'_>, row: &'static Row) -> DescribedConfig {
    let value = layers.topic_value(row).map(|value| value.to_text());
    let names: Vec<&'static str> = row.synonyms.iter().map(|synonym| synonym.name).collect();
    let mut synonyms = broker_synonyms(layers, &names, names.first().copied());
    if layers.topic.is_some_and(|values| values.contains_key(row.name)) {
        let own = DescribedSynonym { name: row.name, value: value.clone(), source: ConfigSource::Topic };
        synonyms.insert(0, own);
    }
    DescribedConfig { row, value, source: source_of(&synonyms), read_only: false, synonyms }
}

/// Describes this broker.
#[must_use]
pub fn describe_broker(layers: &Layers<'_>) -> Vec<DescribedConfig> {
    let is_set = |row: &&Row| layers.dynamic().any(|(_, values)| values.contains_key(row.name));
    let rows = broker::rows().filter(|row| !row.internal).chain(broker::DYNAMIC_ONLY.iter().filter(is_set));
    rows.map(|row| broker_property(layers, row)).collect()
}

fn broker_property(layers: &Layers<'_>, row: &'static Row) -> DescribedConfig {
    let synonyms = broker_synonyms(layers, &stand_ins(row.name), Some(row.name));
    let shown = synonyms.iter().find(|synonym| synonym.name == row.name);
    let value = shown.and_then(|synonym| synonym.value.clone());
    DescribedConfig { row, value, source: source_of(&synonyms), read_only: !is_dynamic(row), synonyms }
}

/// Describes what was set for all brokers, and nothing else.
#[must_use]
pub fn describe_all_brokers(values: &BTreeMap<String, String>) -> Vec<DescribedConfig> {
    let source = ConfigSource::DynamicDefaultBroker;
    let describe = |(name, text): (&String, &String)| {
        let row = broker::dynamic_row(name)?;
        let value = shown(row, text);
        let synonyms = vec![DescribedSynonym { name: row.name, value: value.clone(), source }];
        Some(DescribedConfig { row, value, source, read_only: !is_dynamic(row), synonyms })
    };
    values.iter().filter_map(describe).collect()
}

/// Describes a group: what was set for it, else what the broker gives to all groups, which as in Kafka counts as default.
#[must_use]
pub fn describe_group(layers: &Layers<'_>, own: Option<&BTreeMap<String, String>>) -> Vec<DescribedConfig> {
    group::rows().filter(|row| !row.internal).map(|row| group_property(layers, own, row)).collect()
}

fn group_property(layers: &Layers<'_>, own: Option<&BTreeMap<String, String>>, row: &'static Row) -> DescribedConfig {
    if let Some(text) = own.and_then(|own| own.get(row.name)) {
        let (value, source) = (shown(row, text), ConfigSource::Group);
        let synonyms = vec![DescribedSynonym { name: row.name, value: value.clone(), source }];
        return DescribedConfig { row, value, source, read_only: false, synonyms };
    }
    let of_all_groups = broker::row(&format!("group.{}", row.name)).and_then(|row| layers.broker_value(row.name));
    let value = match row.name {
        // Without a choice of its own a streams group takes the first assignor that the broker has.
        "streams.assignor.name" => first_streams_assignor(layers),
        _ => of_all_groups.or(row.default).and_then(|text| shown(row, text)),
    };
    DescribedConfig { row, value, source: ConfigSource::Default, read_only: false, synonyms: Vec::new() }
}

fn first_streams_assignor(layers: &Layers<'_>) -> Option<String> {
    let row = broker::row("group.streams.assignors")?;
    let list = layers.broker_value(row.name).or(row.default)?;
    list.split(',').next().map(|name| name.trim().to_owned())
}

fn source_of(synonyms: &[DescribedSynonym]) -> ConfigSource {
    synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source)
}

/// Broker properties that stand in for each other, the first that is set counting.
const STAND_INS: [&[&str]; 4] = [
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
];

/// A property and those that stand in for it. `log.flush.scheduler.interval.ms` has a meaning of its own.
fn stand_ins(name: &'static str) -> Vec<&'static str> {
    let group = STAND_INS.into_iter().find(|group| group.contains(&name) && name != "log.flush.scheduler.interval.ms");
    group.map_or_else(|| vec![name], <[&str]>::to_vec)
}

/// The values of broker properties by layer, from where `from` first occurs.
fn broker_synonyms(layers: &Layers<'_>, names: &[&'static str], from: Option<&str>) -> Vec<DescribedSynonym> {
    let mut synonyms = Vec::new();
    let rows: Vec<&'static Row> = names.iter().filter_map(|name| broker::dynamic_row(name)).collect();
    for source in BROKER_SOURCES {
        for row in &rows {
            if let Some(text) = layers.set_in(source, row.name) {
                synonyms.push(DescribedSynonym { name: row.name, value: shown(row, text), source });
            }
        }
    }
    for row in &rows {
        if let Some(text) = row.default {
            synonyms.push(DescribedSynonym { name: row.name, value: shown(row, text), source: ConfigSource::Default });
        }
    }
    let start = synonyms.iter().position(|synonym| Some(synonym.name) == from).unwrap_or(synonyms.len());
    synonyms.split_off(start)
}

/// A stored text in the form in which it is shown.
fn shown(row: &Row, text: &str) -> Option<String> {
    match (row.is_sensitive(), row.kind) {
        (true, _) => None,
        // A double is shown as it was written: Java's notation differs from ours.
        (false, ConfigType::Double) => Some(text.trim().to_owned()),
        (false, _) => Some(row.parse(text).map_or_else(|_| text.trim().to_owned(), |value| value.to_text())),
    }
}

impl Value {
    /// The value as text, in Kafka's notation.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Double(value) => format!("{value:?}"),
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
        }
    }
}

#[cfg(test)]
#[path = "describe_tests.rs"]
mod tests;
