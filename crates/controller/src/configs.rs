//! What the controller reads from configurations, and the configs that a new topic may have.

use std::collections::BTreeMap;

use ottla_metadata::MetadataImage;
use ottla_metadata::config::broker_change::check_rows;
use ottla_metadata::config::describe::{DescribedConfig, describe_topic};
use ottla_metadata::config::{Layers, check_topic_configs};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_topics_request::CreatableTopic;

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

/// A property of a topic: its own, else this node's, else the cluster's default, else `None` for what the configuration file
/// says.
fn topic_property<'a>(view: &View<'a>, topic: &str, name: &str) -> Option<&'a str> {
    let image = view.image;
    let own = image.configs.topic(topic).and_then(|c| c.get(name));
    let of_this_node = || image.configs.broker(Some(view.options.node_id)).and_then(|c| c.get(name));
    let of_all = || image.configs.broker(None).and_then(|c| c.get(name));
    own.or_else(of_this_node).or_else(of_all).map(String::as_str)
}

/// min.insync.replicas of a topic.
pub(crate) fn min_insync_replicas(view: &View<'_>, topic: &str) -> usize {
    let set = topic_property(view, topic, "min.insync.replicas").and_then(|v| v.parse().ok());
    usize::try_from(set.unwrap_or(view.options.min_insync_replicas)).unwrap_or(1)
}

/// unclean.leader.election.enable of a topic.
pub(crate) fn unclean_leader_election(view: &View<'_>, topic: &str) -> bool {
    let set = topic_property(view, topic, "unclean.leader.election.enable").and_then(|v| v.parse().ok());
    set.unwrap_or(view.options.unclean_leader_election_enable)
}

/// Whether a topic may have these properties; those that have no effect yet are named in the log.
pub(crate) fn check_topic(topic: &str, values: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let unserved = check_topic_configs(values).map_err(|e| Refusal::new(ErrorCode::InvalidConfig, e.to_string()))?;
    for name in unserved {
        tracing::warn!(topic, "{name} is kept, but has no effect yet");
    }
    Ok(())
}

/// Whether a broker, or with an empty name all, may have its properties changed so.
pub(crate) fn check_broker(
    name: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    check_rows(!name.is_empty(), old, new).map_err(|e| Refusal::new(ErrorCode::InvalidRequest, e.to_string()))
}

/// The configs of a topic that is to be created.
pub(crate) fn of_new_topic(topic: &CreatableTopic<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = config.value else {
            let message = format!("Null value not supported for topic configs: {}", config.name);
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        };
        configs.insert(config.name.to_owned(), value.to_owned());
    }
    check_topic(topic.name, &configs)?;
    Ok(configs)
}

/// Everything that a created topic has, for the response: its own, and what it inherits.
pub(crate) fn describe_created(view: &View<'_>, configs: &BTreeMap<String, String>) -> Vec<DescribedConfig> {
    let Some(broker) = &view.options.config else { return Vec::new() };
    describe_topic(&Layers::of_new_topic(broker, &view.image.configs, configs))
}
