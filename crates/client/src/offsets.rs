//! Offsets of partitions: of logs (ListOffsets, from leaders) and of groups (OffsetFetch, OffsetCommit, from the
//! coordinator). Used by consumers and by the admin client.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};

use crate::TopicPartition;
use crate::cluster::{Cluster, Lane};
use crate::config::IsolationLevel;
use crate::consumer::OffsetAndMetadata;
use crate::coordinator::Coordinator;
use crate::error::{Error, check};
use crate::topic_partition::{ByTopic, by_topic};

/// The last versions of OffsetCommit and OffsetFetch that name topics by name; later ones carry ids only (KIP-848).
const LAST_VERSION_WITH_NAMES: i16 = 9;
/// The first version of OffsetFetch that asks for several groups.
const FIRST_VERSION_WITH_GROUPS: i16 = 8;

/// An offset that a leader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset; -1 when there is none, as for a timestamp after the last record.
    pub offset: i64,
    /// Timestamp of the record there; -1 when it was not asked for.
    pub timestamp_ms: i64,
    /// Epoch of that record's batch; -1 when unknown.
    pub leader_epoch: i32,
}

/// A partition with the timestamp to look for and the leader epoch that we know.
type Asked<'a> = (&'a TopicPartition, (i64, i32));

/// Asks leaders for offsets by (special) timestamp, once. Partitions of one leader go into one request.
///
/// Special timestamps: -1 latest, -2 earliest, -3 that of the largest timestamp.
pub(crate) async fn list_offsets(
    cluster: &Cluster,
    wanted: &BTreeMap<TopicPartition, i64>,
    isolation: IsolationLevel,
) -> BTreeMap<TopicPartition, Result<FoundOffset, Error>> {
    let view = cluster.view();
    let mut found = BTreeMap::new();
    let mut leaders: BTreeMap<i32, Vec<Asked<'_>>> = BTreeMap::new();
    for (tp, timestamp) in wanted {
        match view.leader(&tp.topic, tp.partition) {
            Some((leader, epoch)) => leaders.entry(leader).or_default().push((tp, (*timestamp, epoch))),
            None => {
                cluster.use_topic(&tp.topic);
                cluster.mark_stale();
                found.insert(tp.clone(), Err(leader_unknown(tp)));
            }
        }
    }
    for (leader, partitions) in leaders {
        match ask_leader(cluster, leader, &partitions, isolation).await {
            Ok(answers) => found.extend(answers),
            Err(e) => {
                cluster.mark_stale();
                found.extend(partitions.iter().map(|(tp, _)| ((*tp).clone(), Err(e.clone()))));
            }
        }
    }
    found
}

pub(crate) fn leader_unknown(tp: &TopicPartition) -> Error {
    Error::broker(tp.to_string(), ErrorCode::LeaderNotAvailable.code(), None)
}

async fn ask_leader(
    cluster: &Cluster,
    leader: i32,
    partitions: &[Asked<'_>],
    isolation: IsolationLevel,
) -> Result<BTreeMap<TopicPartition, Result<FoundOffset, Error>>, Error> {
    let connection = cluster.broker(Lane::General, leader).await?;
    let topics = by_topic(partitions.iter().copied()).into_iter().map(|(name, list)| ListOffsetsTopic {
        name,
        partitions: list
            .into_iter()
            .map(|(partition_index, (timestamp, epoch))| ListOffsetsPartition {
                partition_index,
                current_leader_epoch: epoch,
                timestamp,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    let timeout_ms = i32::try_from(cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX);
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation.code(),
        topics: topics.collect(),
        timeout_ms,
        ..Default::default()
    };
    let response = connection.send(&request).await?;
    let mut answers = BTreeMap::new();
    for topic in &response.decode()?.topics {
        for p in &topic.partitions {
            let tp = TopicPartition::new(topic.name, p.partition_index);
            let outcome = check(p.error_code, || tp.to_string(), None).map(|()| FoundOffset {
                offset: p.offset,
                timestamp_ms: p.timestamp,
                leader_epoch: p.leader_epoch,
            });
            if outcome.is_err() {
                cluster.mark_stale();
            }
            answers.insert(tp, outcome);
        }
    }
    for (tp, _) in partitions {
        answers.entry((*tp).clone()).or_insert_with(|| Err(leader_unknown(tp)));
    }
    Ok(answers)
}

/// The committed offsets of a group, once. `None` asks for all partitions that have one. Partitions without a committed
/// offset are not in the answer.
pub(crate) async fn fetch_committed(
    coordinator: &Coordinator,
    partitions: Option<&[TopicPartition]>,
    require_stable: bool,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, Error> {
    let connection = coordinator.connection().await?;
    let version = connection.version_at_most::<OffsetFetchRequest<'_>>(LAST_VERSION_WITH_NAMES)?;
    let topics = partitions.map(|list| by_topic(list.iter().map(|tp| (tp, ()))));
    let mut request = committed_request(coordinator.group(), topics.as_ref(), version);
    request.require_stable = require_stable && version >= 7;
    let response = connection.send_at(version, &request, coordinator.request_timeout()).await;
    let response = response.map_err(|e| coordinator.lost(e))?;
    let decoded = response.decode()?;
    let mut committed = Committed::default();
    coordinator.check(decoded.error_code)?;
    for t in &decoded.topics {
        for p in &t.partitions {
            let at = (p.committed_offset, p.committed_leader_epoch);
            committed.take(t.name, p.partition_index, p.error_code, at, p.metadata)?;
        }
    }
    for group in &decoded.groups {
        coordinator.check(group.error_code)?;
        for t in &group.topics {
            for p in &t.partitions {
                let at = (p.committed_offset, p.committed_leader_epoch);
                committed.take(t.name, p.partition_index, p.error_code, at, p.metadata)?;
            }
        }
    }
    Ok(committed.0)
}

fn committed_request<'a>(group_id: &'a str, topics: Option<&ByTopic<'a, ()>>, version: i16) -> OffsetFetchRequest<'a> {
    let indexes = |list: &[(i32, ())]| list.iter().map(|(p, ())| *p).collect();
    if version < FIRST_VERSION_WITH_GROUPS {
        let topic = |(name, list): &(&'a str, Vec<(i32, ())>)| OffsetFetchRequestTopic {
            name,
            partition_indexes: indexes(list),
            ..Default::default()
        };
        let topics = topics.map(|t| t.iter().map(topic).collect());
        return OffsetFetchRequest { group_id, topics, ..Default::default() };
    }
    let topic = |(name, list): &(&'a str, Vec<(i32, ())>)| OffsetFetchRequestTopics {
        name,
        partition_indexes: indexes(list),
        ..Default::default()
    };
    let topics = topics.map(|t| t.iter().map(topic).collect());
    let group = OffsetFetchRequestGroup { group_id, topics, ..Default::default() };
    OffsetFetchRequest { groups: vec![group], ..Default::default() }
}

#[derive(Default)]
struct Committed(BTreeMap<TopicPartition, OffsetAndMetadata>);

impl Committed {
    fn take(
        &mut self,
        topic: &str,
        partition: i32,
        code: i16,
        (offset, leader_epoch): (i64, i32),
        note: Option<&str>,
    ) -> Result<(), Error> {
        let tp = TopicPartition::new(topic, partition);
        check(code, || tp.to_string(), None)?;
        if offset >= 0 {
            let metadata = note.unwrap_or_default().to_owned();
            self.0.insert(tp, OffsetAndMetadata { offset, leader_epoch, metadata });
        }
        Ok(())
    }
}

/// Who commits: a member of a generation, or nobody in particular (generation -1).
#[derive(Debug, Clone)]
pub(crate) struct Committer {
    pub(crate) generation: i32,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
}

impl Committer {
    /// A consumer that assigned partitions to itself, or an administrator; allowed while the group has no members.
    pub(crate) fn outsider() -> Self {
        Self { generation: -1, member_id: String::new(), instance_id: None }
    }
}

/// Commits offsets, once.
pub(crate) async fn commit(
    coordinator: &Coordinator,
    committer: &Committer,
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
) -> Result<(), Error> {
    if offsets.is_empty() {
        return Ok(());
    }
    let connection = coordinator.connection().await?;
    let version = connection.version_at_most::<OffsetCommitRequest<'_>>(LAST_VERSION_WITH_NAMES)?;
    let topics = by_topic(offsets).into_iter().map(|(name, list)| OffsetCommitRequestTopic {
        name,
        partitions: list
            .into_iter()
            .map(|(partition_index, o)| OffsetCommitRequestPartition {
                partition_index,
                committed_offset: o.offset,
                committed_leader_epoch: o.leader_epoch,
                committed_metadata: Some(&o.metadata),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    let request = OffsetCommitRequest {
        group_id: coordinator.group(),
        generation_id_or_member_epoch: committer.generation,
        member_id: &committer.member_id,
        group_instance_id: committer.instance_id.as_deref(),
        topics: topics.collect(),
        ..Default::default()
    };
    let response = connection.send_at(version, &request, coordinator.request_timeout()).await;
    let response = response.map_err(|e| coordinator.lost(e))?;
    for t in &response.decode()?.topics {
        for p in &t.partitions {
            coordinator.check(p.error_code)?;
        }
    }
    Ok(())
}
