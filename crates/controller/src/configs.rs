//! What the controller reads from configurations, and the configs that a new topic may have.

use std::collections::BTreeMap;

use ottla_metadata::MetadataImage;
use ottla_metadata::config::row::Served;
use ottla_metadata::config::{suggest, topic as table};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::create_topics_response::CreatableTopicConfigs;

use crate::decision::{Refusal, View};
use crate::features::ELIGIBLE_LEADER_REPLICAS_VERSION;

/// Resource type of a topic on the wire and in the log.
pub(crate) const TOPIC: i8 = 2;
/// Resource type of a broker, or with an empty name of all brokers.
pub(crate) const BROKER: i8 = 4;

/// Whether eligible leader replicas are kept (KIP-966).
pub(crate) fn elr_enabled(image: &MetadataImage) -> bool {
    image.features.level(ELIGIBLE_LEADER_REPLICAS_VERSION) > 0
}

/// A property of a topic: its own, else the cluster's default, else `None` for what the configuration file says.
fn topic_property<'a>(image: &'a MetadataImage, topic: &str, name: &str) -> Option<&'a str> {
    let own = image.configs.topic(topic).and_then(|c| c.get(name));
    own.or_else(|| image.configs.broker(None).and_then(|c| c.get(name))).map(String::as_str)
}

/// min.insync.replicas of a topic.
pub(crate) fn min_insync_replicas(view: &View<'_>, topic: &str) -> usize {
    let set = topic_property(view.image, topic, "min.insync.replicas").and_then(|v| v.parse().ok());
    usize::try_from(set.unwrap_or(view.options.min_insync_replicas)).unwrap_or(1)
}

/// unclean.leader.election.enable of a topic.
pub(crate) fn unclean_leader_election(view: &View<'_>, topic: &str) -> bool {
    let set = topic_property(view.image, topic, "unclean.leader.election.enable").and_then(|v| v.parse().ok());
    set.unwrap_or(view.options.unclean_leader_election_enable)
}

/// Whether a topic may have this property with this value.
pub(crate) fn check_topic_value(name: &str, value: &str) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
    let Some(row) = table::row(name) else {
        let nearest = suggest::nearest(name, table::rows().map(|r| r.name));
        let hint = nearest.map_or(String::new(), |n| format!("; did you mean {n}?"));
        return refuse(format!("Unknown topic config name: {name}{hint}"));
    };
    if let Err(invalid) = row.parse(value) {
        return refuse(invalid.to_string());
    }
    match row.served {
        Served::Refuse(why) if row.default != Some(value) => refuse(format!("{name}: {why}")),
        Served::Refuse(_) | Served::Warn | Served::Yes { .. } => Ok(()),
    }
}

/// The configs of a topic that is to be created.
pub(crate) fn of_new_topic(topic: &CreatableTopic<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = config.value else {
            let message = format!("Null value not supported for topic configs: {}", config.name);
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        };
        check_topic_value(config.name, value)?;
        configs.insert(config.name.to_owned(), value.to_owned());
    }
    Ok(configs)
}

/// The configs of a topic that was created, for the response.
pub(crate) fn of_created_topic<'a>(
    _view: &View<'_>,
    configs: &'a BTreeMap<String, String>,
) -> Vec<CreatableTopicConfigs<'a>> {
    let config = |(name, value): (&'a String, &'a String)| CreatableTopicConfigs {
        name,
        value: Some(value),
        config_source: 1,
        ..Default::default()
    };
    configs.iter().map(config).collect()
}
