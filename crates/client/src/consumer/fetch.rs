//! One fetch from one broker: the request of a [`Plan`], and what its answer means for each partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::Uuid;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use ottla_protocol::messages::fetch_response::{FetchResponse, PartitionData};

use super::session::Plan;
use crate::TopicPartition;
use crate::cluster::{Broker, Cluster, Lane};
use crate::config::ConsumerConfig;
use crate::connection::{Address, Response};
use crate::error::Error;
use crate::topic_partition::by_topic;

/// The last version of Fetch that names topics by name; later ones carry ids only (KIP-516).
const LAST_VERSION_WITH_NAMES: i16 = 12;

/// A response with what it answers.
pub(super) type FetchOutcome = Result<Response<FetchRequest<'static>>, Error>;

/// Sends the request of a plan and waits for the answer.
pub(super) async fn fetch(cluster: &Cluster, broker: i32, plan: &Plan, config: &ConsumerConfig) -> FetchOutcome {
    let connection = cluster.broker(Lane::Fetch, broker).await?;
    let with_ids = plan.all.values().all(|w| !w.topic_id.is_zero());
    let most = if with_ids { i16::MAX } else { LAST_VERSION_WITH_NAMES };
    let version = connection.version_at_most::<FetchRequest<'_>>(most)?;
    let max_wait_ms = i32::try_from(config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX);
    let request = FetchRequest {
        max_wait_ms,
        min_bytes: config.fetch_min_bytes,
        max_bytes: config.fetch_max_bytes,
        isolation_level: config.isolation_level.code(),
        session_id: plan.session_id,
        session_epoch: plan.session_epoch,
        topics: named_topics(plan, config),
        forgotten_topics_data: forgotten_topics(plan),
        rack_id: &config.client.client_rack,
        ..Default::default()
    };
    let timeout = config.client.request_timeout + config.fetch_max_wait;
    Ok(connection.send_at(version, &request, timeout).await?)
}

fn named_topics<'p>(plan: &'p Plan, config: &ConsumerConfig) -> Vec<FetchTopic<'p>> {
    let topics = by_topic(plan.named.iter().map(|(tp, w)| (tp, w)));
    let topic = |(topic, list): (&'p str, Vec<(i32, &super::session::Wanted)>)| FetchTopic {
        topic,
        topic_id: list.first().map(|(_, w)| w.topic_id).unwrap_or_default(),
        partitions: list
            .into_iter()
            .map(|(partition, w)| FetchPartition {
                partition,
                current_leader_epoch: w.leader_epoch,
                fetch_offset: w.offset,
                partition_max_bytes: config.max_partition_fetch_bytes,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    topics.into_iter().map(topic).collect()
}

fn forgotten_topics(plan: &Plan) -> Vec<ForgottenTopic<'_>> {
    let topics = by_topic(plan.forgotten.iter().map(|(tp, id)| (tp, *id)));
    let topic = |(topic, list): (_, Vec<(i32, Uuid)>)| ForgottenTopic {
        topic,
        topic_id: list.first().map(|(_, id)| *id).unwrap_or_default(),
        partitions: list.iter().map(|(p, _)| *p).collect(),
        ..Default::default()
    };
    topics.into_iter().map(topic).collect()
}

/// What an answer says about one partition.
#[derive(Debug)]
pub(super) enum PartitionOutcome {
    /// Records, perhaps none.
    Records {
        bytes: Bytes,
        high_watermark: i64,
        /// Producer id and first offset of aborted transactions.
        aborted: Vec<(i64, i64)>,
    },
    /// The offset is not in the log.
    OutOfRange,
    /// Not now, or not from this broker. `hinted` says that the answer named the leader.
    Again { code: ErrorCode, hinted: bool },
    /// An error for the caller.
    Failed(Error),
}

/// Judges the answers that the response holds, and takes in leaders that it names (KIP-951).
pub(super) fn outcomes(
    cluster: &Cluster,
    plan: &Plan,
    response: &Response<FetchRequest<'static>>,
    decoded: &FetchResponse<'_>,
) -> Vec<(TopicPartition, PartitionOutcome)> {
    let names: BTreeMap<Uuid, &Arc<str>> = plan.all.iter().map(|(tp, w)| (w.topic_id, &tp.topic)).collect();
    let mut outcomes = Vec::new();
    for topic in &decoded.responses {
        let name = match topic.topic_id.is_zero() {
            true => Arc::from(topic.topic),
            // What nobody asked for is of a topic that was given up meanwhile.
            false => match names.get(&topic.topic_id) {
                Some(name) => Arc::clone(name),
                None => continue,
            },
        };
        for p in &topic.partitions {
            let tp = TopicPartition { topic: Arc::clone(&name), partition: p.partition_index };
            let outcome = judge(cluster, &tp, response, decoded, p);
            outcomes.push((tp, outcome));
        }
    }
    outcomes
}

fn judge(
    cluster: &Cluster,
    tp: &TopicPartition,
    response: &Response<FetchRequest<'static>>,
    decoded: &FetchResponse<'_>,
    p: &PartitionData<'_>,
) -> PartitionOutcome {
    match ErrorCode::from_code(p.error_code).unwrap_or(ErrorCode::UnknownServerError) {
        ErrorCode::None => {
            let aborted = p.aborted_transactions.iter().flatten().map(|a| (a.producer_id, a.first_offset));
            PartitionOutcome::Records {
                bytes: response.share(p.records.bytes()),
                high_watermark: p.high_watermark,
                aborted: aborted.collect(),
            }
        }
        ErrorCode::OffsetOutOfRange => PartitionOutcome::OutOfRange,
        code if code.is_retriable() && code != ErrorCode::CorruptMessage => {
            let leader = &p.current_leader;
            let endpoint = decoded.node_endpoints.iter().find(|n| n.node_id == leader.leader_id).and_then(|n| {
                let address = Address { host: n.host.to_owned(), port: u16::try_from(n.port).ok()? };
                Some(Broker { id: n.node_id, address, rack: n.rack.map(str::to_owned) })
            });
            let (leader, epoch) = (leader.leader_id, leader.leader_epoch);
            PartitionOutcome::Again {
                code,
                hinted: cluster.apply_hint(&tp.topic, tp.partition, leader, epoch, endpoint),
            }
        }
        _ => PartitionOutcome::Failed(Error::broker(tp.to_string(), p.error_code, None)),
    }
}
