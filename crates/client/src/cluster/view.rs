//! What the client knows of a cluster: brokers, topics, leaders. A value; [`ClusterView::merge`] and
//! [`ClusterView::apply_hint`] are the only ways in which it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::messages::metadata_response::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use ottla_protocol::{ErrorCode, Uuid};

use crate::connection::Address;

/// A broker as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// The advertised listener.
    pub address: Address,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Number within the topic.
    pub partition: i32,
    /// Broker id of the leader; -1 when there is none.
    pub leader: i32,
    /// Epoch of that leader; -1 when the broker is too old to say.
    pub leader_epoch: i32,
    /// Broker ids of all replicas.
    pub replicas: Vec<i32>,
    /// Broker ids of the in-sync replicas.
    pub isr: Vec<i32>,
    /// Broker ids of replicas that are offline.
    pub offline_replicas: Vec<i32>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicView {
    /// Name.
    pub name: Arc<str>,
    /// Topic id (KIP-516); zero when the broker is too old to say.
    pub id: Uuid,
    /// Whether Kafka itself uses it, as `__consumer_offsets`.
    pub is_internal: bool,
    /// Why there are no partitions; [`ErrorCode::None`] when there are.
    pub error: ErrorCode,
    /// Partitions in ascending order.
    pub partitions: Vec<PartitionView>,
}

impl TopicView {
    /// A partition by its number.
    #[must_use]
    pub fn partition(&self, partition: i32) -> Option<&PartitionView> {
        self.partitions.binary_search_by_key(&partition, |p| p.partition).ok().and_then(|i| self.partitions.get(i))
    }
}

/// The cluster as of the last answers.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// Cluster id.
    pub cluster_id: Option<String>,
    /// Where requests for the controller may go; with KRaft any live broker. -1 when unknown.
    pub controller_id: i32,
    /// Brokers by id.
    pub brokers: BTreeMap<i32, Broker>,
    /// Topics by name; only those that were asked for.
    pub topics: BTreeMap<Arc<str>, Arc<TopicView>>,
}

impl Default for ClusterView {
    fn default() -> Self {
        Self { cluster_id: None, controller_id: -1, brokers: BTreeMap::new(), topics: BTreeMap::new() }
    }
}

impl ClusterView {
    /// A topic by name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicView>> {
        self.topics.get(name)
    }

    /// A topic by id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicView>> {
        self.topics.values().find(|t| t.id == id && !id.is_zero())
    }

    /// Broker id and epoch of a partition's leader; `None` when unknown or there is none.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let p = self.topic(topic)?.partition(partition)?;
        (p.leader >= 0).then_some((p.leader, p.leader_epoch))
    }

    /// Takes in a Metadata response. `whole` says that it lists all topics, so that others are gone.
    pub fn merge(&mut self, response: &MetadataResponse<'_>, whole: bool) {
        self.cluster_id = response.cluster_id.map(str::to_owned).or(self.cluster_id.take());
        self.controller_id = response.controller_id;
        self.brokers = response
            .brokers
            .iter()
            .filter_map(|b| {
                let address = Address { host: b.host.to_owned(), port: u16::try_from(b.port).ok()? };
                Some((b.node_id, Broker { id: b.node_id, address, rack: b.rack.map(str::to_owned) }))
            })
            .collect();
        let before = if whole { std::mem::take(&mut self.topics) } else { self.topics.clone() };
        for topic in &response.topics {
            let Some(name) = topic.name else { continue };
            let fresh = topic_view(name, topic, before.get(name));
            self.topics.insert(Arc::clone(&fresh.name), Arc::new(fresh));
        }
    }

    /// Takes in a leader that a broker named while refusing a request (KIP-951). Returns whether it was news.
    pub fn apply_hint(&mut self, topic: &str, partition: i32, leader: i32, epoch: i32, broker: Option<Broker>) -> bool {
        let Some(known) = self.topics.get_mut(topic) else { return false };
        let Ok(at) = known.partitions.binary_search_by_key(&partition, |p| p.partition) else { return false };
        if known.partitions.get(at).is_none_or(|p| epoch <= p.leader_epoch) {
            return false;
        }
        if let Some(p) = Arc::make_mut(known).partitions.get_mut(at) {
            (p.leader, p.leader_epoch) = (leader, epoch);
        }
        self.brokers.extend(broker.map(|b| (b.id, b)));
        true
    }
}

fn topic_view(name: &str, topic: &MetadataResponseTopic<'_>, before: Option<&Arc<TopicView>>) -> TopicView {
    // A topic of the same name with another id is another topic: nothing of the old one counts.
    let before = before.filter(|b| b.id == topic.topic_id);
    let mut partitions: Vec<PartitionView> = topic
        .partitions
        .iter()
        .map(|p| partition_view(p, before.and_then(|b| b.partition(p.partition_index))))
        .collect();
    partitions.sort_by_key(|p| p.partition);
    TopicView {
        name: before.map_or_else(|| name.into(), |b| Arc::clone(&b.name)),
        id: topic.topic_id,
        is_internal: topic.is_internal,
        error: ErrorCode::from_code(topic.error_code).unwrap_or(ErrorCode::UnknownServerError),
        partitions,
    }
}

/// A broker that lags behind may still name an old leader: its epoch tells, and the newer one stays (KIP-320).
fn partition_view(p: &MetadataResponsePartition<'_>, before: Option<&PartitionView>) -> PartitionView {
    if let Some(newer) = before.filter(|b| p.leader_epoch >= 0 && b.leader_epoch > p.leader_epoch) {
        return newer.clone();
    }
    PartitionView {
        partition: p.partition_index,
        leader: p.leader_id,
        leader_epoch: p.leader_epoch,
        replicas: p.replica_nodes.clone(),
        isr: p.isr_nodes.clone(),
        offline_replicas: p.offline_replicas.clone(),
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::metadata_response::MetadataResponseBroker;

    use super::*;

    fn response(topic_id: u8, leader: i32, epoch: i32) -> MetadataResponse<'static> {
        let broker = |node_id| MetadataResponseBroker { node_id, host: "h", port: 9092, ..Default::default() };
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: leader,
            leader_epoch: epoch,
            ..Default::default()
        };
        MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            topics: vec![MetadataResponseTopic {
                name: Some("t"),
                topic_id: Uuid([topic_id; 16]),
                partitions: vec![partition(1), partition(0)],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn an_older_leader_epoch_never_replaces_a_newer_one_unless_the_topic_is_another() {
        let mut view = ClusterView::default();
        view.merge(&response(7, 1, 5), false);
        assert_eq!(view.leader("t", 0), Some((1, 5)));
        view.merge(&response(7, 2, 4), false);
        assert_eq!(view.leader("t", 0), Some((1, 5)));
        view.merge(&response(7, 2, 6), false);
        assert_eq!(view.leader("t", 1), Some((2, 6)));
        view.merge(&response(8, 1, 0), false);
        assert_eq!(view.leader("t", 1), Some((1, 0)));
        assert_eq!(view.topic_by_id(Uuid([8; 16])).map(|t| &*t.name), Some("t"));
        assert!(view.topic_by_id(Uuid([7; 16])).is_none());
    }

    #[test]
    fn a_hint_counts_only_with_a_newer_epoch_and_may_bring_a_broker() {
        let mut view = ClusterView::default();
        view.merge(&response(7, 1, 5), false);
        let new = Broker { id: 3, address: Address { host: "n".into(), port: 1 }, rack: None };
        assert!(!view.apply_hint("t", 0, 2, 5, None));
        assert!(!view.apply_hint("unknown", 0, 2, 9, None));
        assert!(view.apply_hint("t", 0, 3, 6, Some(new)));
        assert_eq!(view.leader("t", 0), Some((3, 6)));
        assert_eq!(view.leader("t", 1), Some((1, 5)));
        assert!(view.brokers.contains_key(&3));
    }

    #[test]
    fn a_whole_answer_forgets_topics_that_it_does_not_name() {
        let mut view = ClusterView::default();
        view.merge(&response(7, 1, 5), true);
        view.merge(&MetadataResponse::default(), false);
        assert!(view.topic("t").is_some());
        view.merge(&MetadataResponse::default(), true);
        assert!(view.topic("t").is_none());
    }
}
