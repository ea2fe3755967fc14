//! Produce (0), versions 3-13 (0-2 are advertised for old librdkafka, KAFKA-18659, and cannot be decoded).
//!
//! Two phases. *Appended*: every partition's batch is validated, numbered in the frame where it lies and written; the
//! connection then goes on. *Acknowledged*: with acks=all the answer waits for the high watermark of each partition,
//! with acks=1 for the sync that a topic's `flush.messages` asks for, at most the request's timeout.
//!
//! * acks other than -1, 0, 1: INVALID_REQUIRED_ACKS.
//! * acks=0 is never answered; if anything failed the connection is closed, so that the client looks around.
//! * Writes to internal topics are INVALID_TOPIC_EXCEPTION but for client id `__admin_client`.
//! * A transactional id is refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED: transactions are not served yet.
//! * From version 10 an answer that this broker does not lead says who does (KIP-951); from 13 topics have ids only.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use ottla_env::time;
use ottla_protocol::compression::Compression;
use ottla_protocol::messages::produce_request::ProduceRequest;
use ottla_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse,
    TopicProduceResponse,
};
use ottla_protocol::record_batch::BatchHeader;
use ottla_protocol::{ErrorCode, Uuid};
use ottla_storage::{AppendError, AppendOrigin};

use super::metadata::is_internal;
use super::{node_endpoints, partition_errors};
use crate::context::{Answer, Refusal, RequestContext};
use crate::delayed::produce::{self as delayed, Until, Wait};
use crate::quota::QuotaKind;
use crate::replica::partition::{AppendRefused, Partition};
use crate::security::authorizer::{Operation, Resource};

const TRANSACTIONS_REFUSED: &str = "transactions are not served yet; produce without transactional.id";
/// First version that may carry batches in zstd (KIP-110).
const ZSTD_SINCE: i16 = 7;

/// The request, as places in its frame: what was decoded borrows the frame, which the append writes to.
struct Plan {
    acks: i16,
    timeout_ms: i32,
    transactional: bool,
    topics: Vec<TopicPlan>,
    partitions: Vec<PartitionPlan>,
    record_bytes: usize,
}

struct TopicPlan {
    name: Arc<str>,
    id: Uuid,
    known: bool,
}

struct PartitionPlan {
    topic: usize,
    index: i32,
    records: Option<Range<usize>>,
}

/// What became of one partition.
pub(crate) struct Outcome {
    pub(crate) code: ErrorCode,
    message: Option<String>,
    record_errors: Vec<(i32, String)>,
    base_offset: i64,
    log_append_time_ms: i64,
    log_start_offset: i64,
}

pub(crate) fn handle(mut cx: RequestContext) -> Result<Answer, Refusal> {
    let plan = Plan::read(&cx)?;
    let now_ms = time::wall_clock_ms();
    let mut outcomes = Vec::with_capacity(plan.partitions.len());
    let mut waits = Vec::new();
    for (i, partition) in plan.partitions.iter().enumerate() {
        let outcome = match append(&mut cx, &plan, partition, now_ms) {
            Ok((outcome, wait)) => {
                waits.extend(wait.map(|wait| (i, wait)));
                outcome
            }
            Err(outcome) => outcome,
        };
        cx.count_error(outcome.code);
        outcomes.push(outcome);
    }
    let counters = &cx.broker.counters;
    counters.bytes_in.add(plan.record_bytes as u64);
    let failed = outcomes.iter().find(|o| !o.code.is_none()).map(|o| o.code);
    if failed.is_some() {
        counters.failed_produce_requests.add(1);
    }
    match (plan.acks, failed) {
        (0, Some(code)) => Err(Refusal::UnacknowledgedProduceFailed(code)),
        (0, None) => Ok(Answer::Nothing { mute_ms: cx.pause_ms(QuotaKind::Produce, plan.record_bytes) }),
        _ if waits.is_empty() => answer(&cx, &plan, &outcomes),
        _ => Ok(Answer::Later(Box::pin(async move {
            delayed::wait(&waits, plan.timeout_ms, &mut outcomes).await;
            answer(&cx, &plan, &outcomes)
        }))),
    }
}

impl Plan {
    fn read(cx: &RequestContext) -> Result<Self, Refusal> {
        let request: ProduceRequest<'_> = cx.decode()?;
        let mut plan = Self {
            acks: request.acks,
            timeout_ms: request.timeout_ms,
            transactional: request.transactional_id.is_some(),
            topics: Vec::with_capacity(request.topic_data.len()),
            partitions: Vec::with_capacity(request.topic_data.len()),
            record_bytes: 0,
        };
        let frame_start = cx.frame.as_ptr() as usize;
        for topic in &request.topic_data {
            let named =
                if cx.version >= 13 { cx.broker.replicas.topic_name(topic.topic_id) } else { Some(topic.name.into()) };
            for partition in &topic.partition_data {
                let bytes = partition.records.bytes();
                let place = || {
                    let start = bytes.as_ptr() as usize - frame_start;
                    start..start + bytes.len()
                };
                let records = (!bytes.is_empty()).then(place);
                plan.record_bytes += bytes.len();
                plan.partitions.push(PartitionPlan { topic: plan.topics.len(), index: partition.index, records });
            }
            let known = named.is_some();
            plan.topics.push(TopicPlan { name: named.unwrap_or_default(), id: topic.topic_id, known });
        }
        Ok(plan)
    }
}

fn append(
    cx: &mut RequestContext,
    plan: &Plan,
    partition: &PartitionPlan,
    now_ms: i64,
) -> Result<(Outcome, Option<Wait>), Outcome> {
    let Some(topic) = plan.topics.get(partition.topic) else {
        return Err(Outcome::error(ErrorCode::UnknownServerError));
    };
    check(cx, plan, topic)?;
    let replica = cx
        .broker
        .replicas
        .find(&topic.name, partition.index)
        .map_err(|missing| Outcome::error(partition_errors::missing(missing)))?;
    let Some(batches) = partition.records.clone().and_then(|range| cx.frame.get_mut(range)) else {
        return Err(Outcome::explained(ErrorCode::InvalidRecord, "the partition's records are null or empty"));
    };
    check_batch(cx.version, batches)?;
    let acks_all = plan.acks == -1;
    let appended = replica
        .append(batches, acks_all, AppendOrigin::Client, now_ms)
        .map_err(|refused| Outcome::refused(&replica, &refused))?;
    let info = appended.info;
    cx.broker.counters.messages_in.add(u64::try_from(info.last_offset - info.first_offset + 1).unwrap_or(0));
    let until = match plan.acks {
        -1 if !appended.committed => Some(Until::Committed),
        1 if !appended.synced => Some(Until::Synced),
        _ => None,
    };
    let wait = until.map(|until| Wait::new(replica, info.last_offset + 1, until));
    let outcome = Outcome {
        code: ErrorCode::None,
        message: None,
        record_errors: Vec::new(),
        base_offset: info.first_offset,
        log_append_time_ms: info.log_append_time_ms,
        log_start_offset: info.log_start_offset,
    };
    Ok((outcome, wait))
}

/// What can be said before the partition is looked up.
fn check(cx: &RequestContext, plan: &Plan, topic: &TopicPlan) -> Result<(), Outcome> {
    if !(-1..=1).contains(&plan.acks) {
        return Err(Outcome::error(ErrorCode::InvalidRequiredAcks));
    }
    if plan.transactional {
        return Err(Outcome::explained(ErrorCode::TransactionalIdAuthorizationFailed, TRANSACTIONS_REFUSED));
    }
    if !topic.known {
        return Err(Outcome::error(ErrorCode::UnknownTopicId));
    }
    if !cx.authorized(Operation::Write, Resource::Topic(&topic.name)) {
        return Err(Outcome::error(ErrorCode::TopicAuthorizationFailed));
    }
    if is_internal(&topic.name) && cx.client_id() != Some("__admin_client") {
        return Err(Outcome::explained(ErrorCode::InvalidTopicException, "only the broker writes to internal topics"));
    }
    Ok(())
}

/// What depends on the request's version, or on an API that is not served; the log checks the rest.
fn check_batch(version: i16, batches: &[u8]) -> Result<(), Outcome> {
    let Ok(header) = BatchHeader::read(batches) else { return Ok(()) };
    if header.is_transactional() {
        // It would begin a transaction that nothing could end: the last stable offset would stand still for ever.
        return Err(Outcome::explained(ErrorCode::TransactionalIdAuthorizationFailed, TRANSACTIONS_REFUSED));
    }
    if version < ZSTD_SINCE && matches!(header.compression(), Ok(Compression::Zstd)) {
        return Err(Outcome::explained(ErrorCode::UnsupportedCompressionType, "zstd needs Produce version 7"));
    }
    Ok(())
}

impl Outcome {
    fn error(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            record_errors: Vec::new(),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
        }
    }

    fn explained(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::error(code) }
    }

    /// The wait for the high watermark ended without it.
    pub(crate) fn not_committed(&mut self, code: ErrorCode) {
        *self = Self::error(code);
    }

    fn refused(partition: &Partition, refused: &AppendRefused) -> Self {
        let code = partition_errors::append_refused(refused);
        if code == ErrorCode::KafkaStorageError {
            tracing::error!(topic = %partition.topic, partition = partition.index, cause = %refused, "an append failed");
        }
        let mut outcome = Self::explained(code, refused.to_string());
        if let AppendRefused::Log(
            AppendError::InvalidRecords { errors, .. } | AppendError::InvalidTimestamp { errors, .. },
        ) = refused
        {
            outcome.record_errors = errors.iter().map(|e| (e.index, e.message.clone())).collect();
        }
        outcome
    }
}

fn answer(cx: &RequestContext, plan: &Plan, outcomes: &[Outcome]) -> Result<Answer, Refusal> {
    let image = cx.broker.image();
    let mut leaders = BTreeSet::new();
    let mut responses: Vec<TopicProduceResponse<'_>> = plan
        .topics
        .iter()
        .map(|topic| TopicProduceResponse { name: &topic.name, topic_id: topic.id, ..TopicProduceResponse::default() })
        .collect();
    for (partition, outcome) in plan.partitions.iter().zip(outcomes) {
        let Some(topic) = responses.get_mut(partition.topic) else { continue };
        let mut current_leader = LeaderIdAndEpoch::default();
        if let Some((id, epoch)) = node_endpoints::current_leader(&image, topic.name, partition.index, outcome.code) {
            current_leader = LeaderIdAndEpoch { leader_id: id, leader_epoch: epoch, ..current_leader };
            leaders.insert(id);
        }
        topic.partition_responses.push(PartitionProduceResponse {
            index: partition.index,
            error_code: outcome.code.code(),
            base_offset: outcome.base_offset,
            log_append_time_ms: outcome.log_append_time_ms,
            log_start_offset: outcome.log_start_offset,
            record_errors: outcome.record_errors.iter().map(record_error).collect(),
            error_message: outcome.message.as_deref(),
            current_leader: if cx.version >= 10 { current_leader } else { LeaderIdAndEpoch::default() },
            ..PartitionProduceResponse::default()
        });
    }
    let addresses = if cx.version >= 10 { node_endpoints::addresses(cx, &image, &leaders) } else { Vec::new() };
    let node_endpoints = addresses
        .into_iter()
        .map(|a| NodeEndpoint { node_id: a.id, host: a.host, port: a.port, rack: a.rack, ..NodeEndpoint::default() })
        .collect();
    let response = ProduceResponse { responses, node_endpoints, ..ProduceResponse::default() };
    Ok(cx.answer(&response)?.throttled(cx.pause_ms(QuotaKind::Produce, plan.record_bytes)))
}

fn record_error<'a>(error: &'a (i32, String)) -> BatchIndexAndErrorMessage<'a> {
    BatchIndexAndErrorMessage {
        batch_index: error.0,
        batch_index_error_message: Some(&error.1),
        ..BatchIndexAndErrorMessage::default()
    }
}
