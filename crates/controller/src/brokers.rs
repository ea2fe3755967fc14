//! BrokerRegistration (62), BrokerHeartbeat (63), UnregisterBroker (64), and fencing.
//!
//! ```text
//!                    caught up, does not              wants to stop             leads nothing any more
//!   registered ──> fenced ──────────────> active ───────────────> shutting down ──────────────────> fenced, may stop
//!                    ▲   want to be fenced   │                          │
//!                    └───────────────────────┴── silent for a session ──┘
//! ```

use std::collections::BTreeSet;

use ottla_metadata::image::BrokerRegistration;
use ottla_metadata::records::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, MetadataRecord, RegisterBrokerRecord,
    UnregisterBrokerRecord,
};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::ids::Uuid;
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
use ottla_protocol::messages::broker_registration_response::BrokerRegistrationResponse;
use ottla_protocol::messages::unregister_broker_request::UnregisterBrokerRequest;
use ottla_protocol::messages::unregister_broker_response::UnregisterBrokerResponse;
use ottla_protocol::writer::EncodeError;

use crate::configs::elr_enabled;
use crate::decision::{Decision, Refusal, View};
use crate::features::{DIRECTORY_ASSIGNMENT_SINCE, METADATA_VERSION};
use crate::partitions::{broker_back, broker_gone, broker_stopped_uncleanly, directories_offline, leads_any};
use crate::sessions::Heartbeat;

/// `fenced` of a BrokerRegistrationChangeRecord.
const FENCE: i8 = 1;
const UNFENCE: i8 = -1;
/// `inControlledShutdown` of a BrokerRegistrationChangeRecord.
const IN_CONTROLLED_SHUTDOWN: i8 = 1;

/// What was decided about a broker, and what is to be remembered of it when it is.
pub(crate) struct BrokerDecision {
    pub(crate) decision: Decision,
    pub(crate) news: Option<News>,
}

/// News of a broker for [`crate::sessions::Sessions`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum News {
    /// It registered.
    Registered(i32),
    /// It sent a heartbeat.
    Heard(Heartbeat),
}

/// Registers a broker, fenced, with the offset of its record as its epoch.
pub(crate) fn register(
    view: &View<'_>,
    request: &BrokerRegistrationRequest<'_>,
    version: i16,
) -> Result<BrokerDecision, EncodeError> {
    match registration(view, request, version) {
        Ok((records, broker_epoch)) => {
            let response = BrokerRegistrationResponse { broker_epoch, ..Default::default() };
            let decision = Decision::new(records, &response, version)?;
            Ok(BrokerDecision { decision, news: Some(News::Registered(request.broker_id)) })
        }
        Err(refusal) => {
            tracing::info!(
                broker = request.broker_id,
                error = refusal.error.name(),
                "registration refused: {}",
                refusal.message
            );
            let response = BrokerRegistrationResponse { error_code: refusal.error as i16, ..Default::default() };
            Ok(BrokerDecision { decision: Decision::new(vec![], &response, version)?, news: None })
        }
    }
}

fn registration(
    view: &View<'_>,
    request: &BrokerRegistrationRequest<'_>,
    version: i16,
) -> Result<(Vec<MetadataRecord>, i64), Refusal> {
    check_registration(view, request, version)?;
    let known = view.image.cluster.broker(request.broker_id);
    let same_life = known.filter(|b| b.incarnation_id == request.incarnation_id);
    let broker_epoch = same_life.map_or(view.next_offset, |b| b.epoch);
    let record = RegisterBrokerRecord {
        broker_id: request.broker_id,
        is_migrating_zk_broker: false,
        incarnation_id: request.incarnation_id,
        broker_epoch,
        end_points: request.listeners.iter().map(endpoint).collect(),
        features: request.features.iter().map(feature).collect(),
        rack: request.rack.map(str::to_owned),
        fenced: same_life.is_none_or(|b| b.fenced),
        in_controlled_shutdown: same_life.is_some_and(|b| b.in_controlled_shutdown),
        log_dirs: request.log_dirs.clone(),
        cordoned_log_dirs: None,
    };
    let mut records = Vec::new();
    if same_life.is_none() {
        records.extend(end_of_earlier_life(view, request, known.map(AsRef::as_ref), version));
    }
    records.push(record.into());
    Ok((records, broker_epoch))
}

fn endpoint(l: &ottla_protocol::messages::broker_registration_request::Listener<'_>) -> BrokerEndpoint {
    BrokerEndpoint {
        name: l.name.to_owned(),
        host: l.host.to_owned(),
        port: l.port,
        security_protocol: l.security_protocol,
    }
}

fn feature(f: &ottla_protocol::messages::broker_registration_request::Feature<'_>) -> BrokerFeature {
    BrokerFeature {
        name: f.name.to_owned(),
        min_supported_version: f.min_supported_version,
        max_supported_version: f.max_supported_version,
    }
}

/// A broker that comes back has ended its earlier life, whether or not that was noticed: it leads nothing until it is
/// unfenced. If it cannot show that it stopped cleanly (its directory remembers the epoch of the registration that we know),
/// it may lack what it acknowledged.
fn end_of_earlier_life(
    view: &View<'_>,
    request: &BrokerRegistrationRequest<'_>,
    known: Option<&BrokerRegistration>,
    version: i16,
) -> Vec<MetadataRecord> {
    let Some(known) = known else { return Vec::new() };
    let clean = version < 3 || request.previous_broker_epoch == known.epoch;
    if elr_enabled(view.image) && !clean {
        broker_stopped_uncleanly(view, known.id)
    } else if !known.fenced {
        broker_gone(view, known.id)
    } else {
        Vec::new()
    }
}

fn check_registration(view: &View<'_>, request: &BrokerRegistrationRequest<'_>, version: i16) -> Result<(), Refusal> {
    let refuse = |error, message: String| Err(Refusal::new(error, message));
    let id = request.broker_id;
    if request.cluster_id != view.options.cluster_id {
        let message =
            format!("Expected cluster ID {}, but got cluster ID {}", view.options.cluster_id, request.cluster_id);
        return refuse(ErrorCode::InconsistentClusterId, message);
    }
    if id < 0 || request.is_migrating_zk_broker || request.listeners.is_empty() {
        let message = format!("broker {id} registers without a listener, as a ZooKeeper broker, or with a negative id");
        return refuse(ErrorCode::InvalidRegistration, message);
    }
    if let Some(known) = view.image.cluster.broker(id)
        && known.incarnation_id != request.incarnation_id
        && !known.in_controlled_shutdown
        && view.sessions.holds_id(id, view.now_ms)
    {
        let message = format!(
            "Another broker is registered with that broker id. If the broker was recently restarted this should self-resolve once the heartbeat timeout expires (broker {id})."
        );
        return refuse(ErrorCode::DuplicateBrokerRegistration, message);
    }
    check_directories(view, request, version)?;
    check_features(view, request)
}

fn check_directories(view: &View<'_>, request: &BrokerRegistrationRequest<'_>, version: i16) -> Result<(), Refusal> {
    if view.image.features.metadata_version() < DIRECTORY_ASSIGNMENT_SINCE {
        return Ok(());
    }
    let dirs: BTreeSet<Uuid> = request.log_dirs.iter().copied().collect();
    let reserved = [Uuid::MIGRATING_DIRECTORY, Uuid::UNASSIGNED_DIRECTORY, Uuid::LOST_DIRECTORY];
    let error = ErrorCode::InvalidRegistration;
    if version < 2 || dirs.is_empty() {
        return Err(Refusal::new(error, "No directories specified in request"));
    }
    if dirs.len() != request.log_dirs.len() || dirs.iter().any(|d| reserved.contains(d)) {
        return Err(Refusal::new(error, "Broker directories are named twice or with a reserved id"));
    }
    let others = view.image.cluster.brokers.values().filter(|b| b.id != request.broker_id);
    match others.into_iter().find(|b| b.log_dirs.iter().any(|d| dirs.contains(d))) {
        Some(other) => {
            Err(Refusal::new(error, format!("Broker {} is already registered with one of these directories", other.id)))
        }
        None => Ok(()),
    }
}

/// A broker must be able to run at every level that is finalized.
fn check_features(view: &View<'_>, request: &BrokerRegistrationRequest<'_>) -> Result<(), Refusal> {
    for (name, level) in view.image.features.iter() {
        let range = request.features.iter().find(|f| f.name == name);
        let (min, max) = range.map_or((0, 0), |f| (f.min_supported_version, f.max_supported_version));
        if !(min..=max).contains(&level) {
            let message = format!(
                "Unable to register because the broker does not support finalized version {level} of {name}. The broker wants a version between {min} and {max}, inclusive."
            );
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        }
    }
    let knows_metadata_version = request.features.iter().any(|f| f.name == METADATA_VERSION);
    if knows_metadata_version {
        Ok(())
    } else {
        let message = format!("Request features do not contain '{METADATA_VERSION}'");
        Err(Refusal::new(ErrorCode::InvalidRegistration, message))
    }
}

/// Answers a heartbeat: unfences a broker that has caught up, fences one that wants it, leads one that stops out.
pub(crate) fn heartbeat(
    view: &View<'_>,
    request: &BrokerHeartbeatRequest<'_>,
    version: i16,
) -> Result<BrokerDecision, EncodeError> {
    let id = request.broker_id;
    let error = match view.image.cluster.broker(id) {
        None => ErrorCode::BrokerIdNotRegistered,
        Some(broker) if broker.epoch != request.broker_epoch => ErrorCode::StaleBrokerEpoch,
        Some(broker) => return valid_heartbeat(view, broker, request, version),
    };
    let response = BrokerHeartbeatResponse { error_code: error as i16, ..Default::default() };
    Ok(BrokerDecision { decision: Decision::new(vec![], &response, version)?, news: None })
}

fn valid_heartbeat(
    view: &View<'_>,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest<'_>,
    version: i16,
) -> Result<BrokerDecision, EncodeError> {
    let caught_up = request.current_metadata_offset >= broker.epoch;
    let mut records = directory_changes(view, broker, request);
    let mut response =
        BrokerHeartbeatResponse { is_caught_up: caught_up, is_fenced: broker.fenced, ..Default::default() };
    let mut shutdown_offset = None;
    if broker.fenced {
        if request.want_shut_down {
            response.should_shut_down = true;
        } else if !request.want_fence && caught_up {
            records.extend(unfence(view, broker));
            response.is_fenced = false;
        }
    } else if request.want_shut_down && (broker.in_controlled_shutdown || leads_any(view, broker.id)) {
        let done = !leads_any(view, broker.id) && view.sessions.others_know_of_shutdown(view.image, broker.id);
        if !broker.in_controlled_shutdown {
            records.extend(begin_shutdown(view, broker));
            shutdown_offset = Some(view.next_offset + records.len() as i64 - 1);
        } else if done {
            records.extend(fence(view, broker));
            (response.is_fenced, response.should_shut_down) = (true, true);
        }
    } else if request.want_shut_down || request.want_fence {
        records.extend(fence(view, broker));
        (response.is_fenced, response.should_shut_down) = (true, request.want_shut_down);
    }
    let heard = Heartbeat { broker: broker.id, metadata_offset: request.current_metadata_offset, shutdown_offset };
    Ok(BrokerDecision { decision: Decision::new(records, &response, version)?, news: Some(News::Heard(heard)) })
}

fn directory_changes(
    view: &View<'_>,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest<'_>,
) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    let gone: Vec<Uuid> = request.offline_log_dirs.iter().copied().filter(|d| broker.log_dirs.contains(d)).collect();
    if !gone.is_empty() && gone.len() < broker.log_dirs.len() {
        let log_dirs = broker.log_dirs.iter().copied().filter(|d| !gone.contains(d)).collect();
        records.push(BrokerRegistrationChangeRecord { log_dirs, ..change_of(broker) }.into());
        records.extend(directories_offline(view, broker.id, &gone));
    }
    if let Some(cordoned) = &request.cordoned_log_dirs
        && *cordoned != broker.cordoned_log_dirs
    {
        let cordoned_log_dirs = Some(cordoned.clone());
        records.push(BrokerRegistrationChangeRecord { cordoned_log_dirs, ..change_of(broker) }.into());
    }
    records
}

fn change_of(broker: &BrokerRegistration) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord { broker_id: broker.id, broker_epoch: broker.epoch, ..Default::default() }
}

fn unfence(view: &View<'_>, broker: &BrokerRegistration) -> Vec<MetadataRecord> {
    let change = BrokerRegistrationChangeRecord { fenced: UNFENCE, ..change_of(broker) };
    std::iter::once(change.into()).chain(broker_back(view, broker.id)).collect()
}

fn begin_shutdown(view: &View<'_>, broker: &BrokerRegistration) -> Vec<MetadataRecord> {
    let change = BrokerRegistrationChangeRecord { in_controlled_shutdown: IN_CONTROLLED_SHUTDOWN, ..change_of(broker) };
    std::iter::once(change.into()).chain(broker_gone(view, broker.id)).collect()
}

/// Fences a broker: its leaderships go to others first.
pub(crate) fn fence(view: &View<'_>, broker: &BrokerRegistration) -> Vec<MetadataRecord> {
    let change = BrokerRegistrationChangeRecord { fenced: FENCE, ..change_of(broker) };
    broker_gone(view, broker.id).into_iter().chain(std::iter::once(change.into())).collect()
}

/// Forgets a broker for good; it comes back only by registering.
pub(crate) fn unregister(
    view: &View<'_>,
    request: &UnregisterBrokerRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    let id = request.broker_id;
    let Some(broker) = view.image.cluster.broker(id) else {
        let message = format!("Broker ID {id} is not currently registered");
        let response = UnregisterBrokerResponse {
            error_code: ErrorCode::BrokerIdNotRegistered as i16,
            error_message: Some(&message),
            ..Default::default()
        };
        return Decision::new(vec![], &response, version);
    };
    let gone = UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.epoch };
    let records = broker_gone(view, id).into_iter().chain(std::iter::once(gone.into())).collect();
    Decision::new(records, &UnregisterBrokerResponse::default(), version)
}

#[cfg(test)]
#[path = "brokers_tests.rs"]
mod tests;
