//! Fetch (1), versions 4-18.
//!
//! * Answered at once when there is nothing to wait for: enough bytes, an error, a diverging epoch, no wait asked; else it
//!   waits in the purgatory (`delayed/fetch.rs`).
//! * Record bytes are not read here: the answer has holes that the connection fills from the log files. Those that this
//!   process has neither written nor looked at are looked at before, on the pool; damaged ones are CORRUPT_MESSAGE.
//! * Sessions (KIP-227, from 7), topic ids instead of names (from 13), leader hints (KIP-951, from 16).
//! * A replica id is believed only from a registered broker in its current epoch (`replica_claim.rs`): it moves the high
//!   watermark.
//! * On a controller listener a fetch is one of the metadata log: it takes ClusterAction on the cluster, else
//!   CLUSTER_AUTHORIZATION_FAILED, and goes to the controller.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_env::time;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::Records;
use ottla_protocol::messages::fetch_request::FetchRequest;
use ottla_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData,
};

use super::{node_endpoints, replica_claim};
use crate::context::{Answer, Refusal, RequestContext};
use crate::delayed::fetch::{self as delayed, Asked, Found, FoundPartition, Limits};
use crate::fetch_session::{FetchPlan, SessionRequest, Target};
use crate::quota::QuotaKind;
use crate::replica::read::Reader;
use crate::security::authorizer::{Operation, Resource};

pub(crate) fn handle(cx: RequestContext) -> Result<Answer, Refusal> {
    if cx.connection.listener.is_controller {
        if !cx.authorized(Operation::ClusterAction, Resource::Cluster) {
            return refuse(&cx, &cx.decode()?, ErrorCode::ClusterAuthorizationFailed);
        }
        return Ok(Answer::Later(Box::pin(async move { cx.forward_to_controller().await })));
    }
    let request: FetchRequest<'_> = cx.decode()?;
    let reader = match reader(&cx, &request) {
        Ok(reader) => reader,
        Err(code) => return refuse(&cx, &request, code),
    };
    let limits = Limits {
        reader,
        max_bytes: request.max_bytes.clamp(0, cx.broker.config.fetch_max_bytes),
        min_bytes: request.min_bytes,
        max_wait_ms: request.max_wait_ms,
    };
    let session = session_request(&cx, &request);
    let plan = match cx.broker.fetch_sessions.plan(session, time::monotonic_ms()) {
        Ok(plan) => plan,
        Err(code) => return refuse(&cx, &request, code),
    };
    let found = delayed::look(&cx, &plan.targets, &limits);
    let enough = found.filter(|found| found.is_enough(&limits));
    match enough {
        Some(found) if found.is_verified() => answer(&cx, &plan, found, reader),
        enough => Ok(later(Asked { cx: Arc::new(cx), plan: Arc::new(plan), limits }, enough)),
    }
}

/// The answer that takes a search on the disk, a look at the bytes, or a wait for more. What was `found` is enough.
fn later(asked: Asked, found: Option<Found>) -> Answer {
    Answer::Later(Box::pin(async move {
        let found = match found {
            Some(found) => found,
            None => delayed::wait(&asked).await,
        };
        let found = found.verified().await;
        answer(&asked.cx, &asked.plan, found, asked.limits.reader)
    }))
}

fn reader(cx: &RequestContext, request: &FetchRequest<'_>) -> Result<Reader, ErrorCode> {
    let (id, epoch) = if cx.version >= 15 {
        (request.replica_state.replica_id, request.replica_state.replica_epoch)
    } else {
        (request.replica_id, -1)
    };
    replica_claim::reader(cx, id, Some(epoch), request.isolation_level)
}

fn session_request(cx: &RequestContext, request: &FetchRequest<'_>) -> SessionRequest {
    let by_id = cx.version >= 13;
    let name = |topic: &str, id| if by_id { cx.broker.replicas.topic_name(id) } else { Some(Arc::from(topic)) };
    let mut targets = Vec::new();
    for topic in &request.topics {
        let named = name(topic.topic, topic.topic_id);
        targets.extend(topic.partitions.iter().map(|p| Target {
            topic: named.clone(),
            topic_id: topic.topic_id,
            index: p.partition,
            fetch_offset: p.fetch_offset,
            max_bytes: p.partition_max_bytes,
            current_leader_epoch: p.current_leader_epoch,
            last_fetched_epoch: p.last_fetched_epoch,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let named = name(topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|p| (named.clone(), topic.topic_id, *p)));
    }
    // Below version 7 there are no sessions.
    let (id, epoch) = if cx.version >= 7 { (request.session_id, request.session_epoch) } else { (0, -1) };
    SessionRequest { id, epoch, by_id, targets, forgotten }
}

/// An error for the whole request: at the top from version 7, for each partition before.
fn refuse(cx: &RequestContext, request: &FetchRequest<'_>, code: ErrorCode) -> Result<Answer, Refusal> {
    cx.count_error(code);
    cx.broker.counters.failed_fetch_requests.add(1);
    let mut response = FetchResponse { error_code: code.code(), ..FetchResponse::default() };
    if cx.version < 7 {
        response.responses = request
            .topics
            .iter()
            .map(|t| FetchableTopicResponse {
                topic: t.topic,
                partitions: t.partitions.iter().map(|p| failed(p.partition, code)).collect(),
                ..FetchableTopicResponse::default()
            })
            .collect();
    }
    cx.answer(&response)
}

fn failed<'a>(index: i32, code: ErrorCode) -> PartitionData<'a> {
    PartitionData {
        partition_index: index,
        error_code: code.code(),
        high_watermark: -1,
        records: Records::Bytes(&[]),
        ..PartitionData::default()
    }
}

fn answer(cx: &RequestContext, plan: &FetchPlan, found: Found, reader: Reader) -> Result<Answer, Refusal> {
    let image = cx.broker.image();
    let facts: Vec<_> = found.partitions.iter().map(FoundPartition::facts).collect();
    let listed = plan.listed(&facts);
    let (mut slices, mut leaders) = (Vec::new(), BTreeSet::new());
    let mut responses: Vec<FetchableTopicResponse<'_>> = Vec::new();
    for ((target, partition), listed) in plan.targets.iter().zip(&found.partitions).zip(listed) {
        if !listed {
            continue;
        }
        let mut data = partition_data(target, partition, reader, &mut slices);
        if let Some(code) = partition.error() {
            cx.count_error(code);
            let topic = target.topic.as_deref().unwrap_or_default();
            if let Some((id, epoch)) = node_endpoints::current_leader(&image, topic, target.index, code)
                && cx.version >= 12
            {
                data.current_leader = LeaderIdAndEpoch { leader_id: id, leader_epoch: epoch, ..data.current_leader };
                leaders.insert(id);
            }
        }
        let name = target.topic.as_deref().unwrap_or_default();
        match responses.last_mut() {
            Some(last) if last.topic_id == target.topic_id && last.topic == name => last.partitions.push(data),
            _ => responses.push(FetchableTopicResponse {
                topic: name,
                topic_id: target.topic_id,
                partitions: vec![data],
                ..FetchableTopicResponse::default()
            }),
        }
    }
    let addresses = if cx.version >= 16 { node_endpoints::addresses(cx, &image, &leaders) } else { Vec::new() };
    let node_endpoints = addresses
        .into_iter()
        .map(|a| NodeEndpoint { node_id: a.id, host: a.host, port: a.port, rack: a.rack, ..NodeEndpoint::default() })
        .collect();
    let response =
        FetchResponse { session_id: plan.session_id(), responses, node_endpoints, ..FetchResponse::default() };
    let answer = cx.answer_with_slices(&response, slices)?;
    Ok(match reader {
        // A follower that had to wait would hold up everybody who waits for it.
        Reader::Follower { .. } => answer.exempt(),
        _ => answer.throttled(cx.pause_ms(QuotaKind::Fetch, found.bytes)),
    })
}

fn partition_data<'a>(
    target: &Target,
    found: &'a FoundPartition,
    reader: Reader,
    slices: &mut Vec<ottla_storage::FileSlice>,
) -> PartitionData<'a> {
    let info = match found {
        FoundPartition::Failed(code) => return failed(target.index, *code),
        FoundPartition::Diverging { epoch, end_offset } => {
            let diverging_epoch =
                EpochEndOffset { epoch: *epoch, end_offset: *end_offset, ..EpochEndOffset::default() };
            return PartitionData { diverging_epoch, ..failed(target.index, ErrorCode::None) };
        }
        FoundPartition::Records(info) => info,
    };
    let records = match &info.slice {
        // Never null: librdkafka takes a null record set for an error.
        None => Records::Bytes(&[]),
        Some(slice) => {
            slices.push(slice.clone());
            Records::Hole { len: slice.len, index: slices.len() as u32 - 1 }
        }
    };
    let aborted = |t: &ottla_storage::AbortedTransaction| AbortedTransaction {
        producer_id: t.producer_id,
        first_offset: t.first_offset,
        ..AbortedTransaction::default()
    };
    PartitionData {
        partition_index: target.index,
        high_watermark: info.high_watermark,
        last_stable_offset: info.last_stable_offset,
        log_start_offset: info.log_start_offset,
        aborted_transactions: (reader == Reader::Committed)
            .then(|| info.aborted_transactions.iter().map(aborted).collect()),
        records,
        ..PartitionData::default()
    }
}
