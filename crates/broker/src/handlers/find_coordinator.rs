//! FindCoordinator (10), versions 0-6: which broker coordinates a group. Every client's first step to a group.
//!
//! * A group's coordinator leads its partition of `__consumer_offsets`. The first question creates that topic; until its
//!   partition has a leader, COORDINATOR_NOT_AVAILABLE, and clients ask again.
//! * One key up to version 3, many from 4 (KIP-699).
//! * Transactional ids: TRANSACTIONAL_ID_AUTHORIZATION_FAILED and a sentence until transactions are served, as
//!   InitProducerId answers; no client retries that. Share partitions (KIP-932): INVALID_REQUEST, as Kafka says where share
//!   groups are off; so for key types that do not exist.

use std::collections::BTreeSet;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};

use super::node_endpoints;
use crate::auto_topics;
use crate::context::{Answer, Refusal, RequestContext};
use crate::group_driver::{OFFSETS_TOPIC, partition_of};
use crate::security::authorizer::{Operation, Resource};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Where a coordinator is, or why that cannot be said.
struct Found {
    node_id: i32,
    host: String,
    port: i32,
    code: ErrorCode,
    message: Option<&'static str>,
}

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: FindCoordinatorRequest<'_> = cx.decode()?;
    let keys = if cx.version < 4 { vec![request.key] } else { request.coordinator_keys };
    let mut found = Vec::with_capacity(keys.len());
    for key in &keys {
        let coordinator = find(cx, request.key_type, key).await;
        cx.count_error(coordinator.code);
        found.push(coordinator);
    }
    let response = match found.first() {
        Some(only) if cx.version < 4 => FindCoordinatorResponse {
            error_code: only.code.code(),
            error_message: only.message,
            node_id: only.node_id,
            host: &only.host,
            port: only.port,
            ..FindCoordinatorResponse::default()
        },
        _ => FindCoordinatorResponse {
            coordinators: keys.iter().zip(&found).map(|(key, found)| coordinator(key, found)).collect(),
            ..FindCoordinatorResponse::default()
        },
    };
    cx.answer(&response)
}

fn coordinator<'a>(key: &'a str, found: &'a Found) -> Coordinator<'a> {
    Coordinator {
        key,
        node_id: found.node_id,
        host: &found.host,
        port: found.port,
        error_code: found.code.code(),
        error_message: found.message,
        ..Coordinator::default()
    }
}

async fn find(cx: &RequestContext, key_type: i8, key: &str) -> Found {
    match key_type {
        GROUP if !cx.authorized(Operation::Describe, Resource::Group(key)) => {
            failed(ErrorCode::GroupAuthorizationFailed, None)
        }
        GROUP => find_group(cx, key).await,
        TRANSACTION => {
            let sentence = "Transactions are not served yet; produce without a transactional.id.";
            failed(ErrorCode::TransactionalIdAuthorizationFailed, Some(sentence))
        }
        SHARE => failed(ErrorCode::InvalidRequest, Some("Share groups are not served.")),
        _ => failed(ErrorCode::InvalidRequest, Some("There is no such type of coordinator.")),
    }
}

async fn find_group(cx: &RequestContext, group: &str) -> Found {
    if cx.broker.image().topics.by_name(OFFSETS_TOPIC).is_none() {
        auto_topics::create(&cx.broker, cx.door_context(), OFFSETS_TOPIC).await;
    }
    let image = cx.broker.image();
    let partitions = image.topics.by_name(OFFSETS_TOPIC).map_or(0, |topic| topic.partitions.len());
    let leader = partition_of(group, partitions)
        .and_then(|index| image.topics.partition(OFFSETS_TOPIC, index))
        .map(|registration| registration.leader);
    let leaders: BTreeSet<i32> = leader.into_iter().collect();
    match node_endpoints::addresses(cx, &image, &leaders).first() {
        Some(node) => Found {
            node_id: node.id,
            host: node.host.to_owned(),
            port: node.port,
            code: ErrorCode::None,
            // What Kafka says when all is well.
            message: Some(if cx.version < 4 { "NONE" } else { "" }),
        },
        None => failed(ErrorCode::CoordinatorNotAvailable, None),
    }
}

fn failed(code: ErrorCode, message: Option<&'static str>) -> Found {
    Found { node_id: -1, host: String::new(), port: -1, code, message }
}
