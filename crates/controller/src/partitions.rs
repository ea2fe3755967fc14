//! CreatePartitions (37), AlterPartition (56), AssignReplicasToDirs (73), and what becomes of partitions when brokers come
//! and go.

use std::collections::BTreeSet;

use ottla_metadata::image::{PartitionRegistration, TopicImage};
use ottla_metadata::records::{MetadataRecord, PartitionRecord};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::ids::Uuid;
use ottla_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};
use ottla_protocol::writer::EncodeError;

use crate::configs;
use crate::decision::{Decision, RECORDS_PER_REQUEST_MAX, Refusal, View};
use crate::partition_change::{Election, PartitionChange};
use crate::placement::{UsableBroker, place};

/// Places new partitions on the brokers that are registered.
pub(crate) fn place_new(
    view: &View<'_>,
    first: usize,
    partitions: usize,
    replication_factor: i16,
) -> Result<Vec<Vec<i32>>, Refusal> {
    let usable = |b: &ottla_metadata::image::BrokerRegistration| UsableBroker {
        id: b.id,
        rack: b.rack.clone(),
        fenced: !b.is_active(),
    };
    // A broker whose directories are all cordoned takes no new replicas (KIP-1066).
    let takes_any = |b: &ottla_metadata::image::BrokerRegistration| {
        b.cordoned_log_dirs.is_empty() || b.log_dirs.iter().any(|dir| !b.cordoned_log_dirs.contains(dir))
    };
    let brokers = view.image.cluster.brokers.values().filter(|b| takes_any(b));
    let brokers: Vec<UsableBroker> = brokers.map(|b| usable(b)).collect();
    place(&brokers, first, partitions, replication_factor, view.random_u64())
        .map_err(|e| Refusal::new(ErrorCode::InvalidReplicationFactor, e.to_string()))
}

/// The record of a new partition on these replicas: those alive are its ISR, the first of them leads.
pub(crate) fn new_partition(
    view: &View<'_>,
    topic_id: Uuid,
    partition_id: i32,
    replicas: Vec<i32>,
) -> Result<PartitionRecord, Refusal> {
    let bad = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        return bad("The manual partition assignment includes an empty replica list.".to_owned());
    }
    if replicas.iter().collect::<BTreeSet<_>>().len() != replicas.len() {
        return bad(format!("The manual partition assignment of partition {partition_id} names a broker twice."));
    }
    let brokers = &view.image.cluster.brokers;
    if let Some(id) = replicas.iter().find(|id| !brokers.contains_key(id)) {
        return bad(format!("The manual partition assignment includes broker {id}, but no such broker is registered."));
    }
    let isr: Vec<i32> = replicas.iter().copied().filter(|id| may_lead(view, *id)).collect();
    let Some(leader) = isr.first().copied() else {
        return bad(format!(
            "All brokers specified in the manual partition assignment for partition {partition_id} are fenced or in controlled shutdown."
        ));
    };
    let directories = replicas.iter().map(|id| default_directory(view, *id)).collect();
    Ok(PartitionRecord {
        partition_id,
        topic_id,
        replicas,
        isr,
        leader,
        leader_epoch: 0,
        partition_epoch: 0,
        directories,
        ..Default::default()
    })
}

/// A broker with one directory can only put the replica there; one with several says so later (AssignReplicasToDirs).
/// Cordoned directories are not chosen for it.
fn default_directory(view: &View<'_>, broker: i32) -> Uuid {
    let Some(broker) = view.image.cluster.broker(broker) else { return Uuid::UNASSIGNED_DIRECTORY };
    let mut open = broker.log_dirs.iter().filter(|dir| !broker.cordoned_log_dirs.contains(dir));
    match (open.next(), open.next()) {
        (Some(only), None) => *only,
        _ => Uuid::UNASSIGNED_DIRECTORY,
    }
}

/// Registered, not fenced, not shutting down.
pub(crate) fn may_lead(view: &View<'_>, broker: i32) -> bool {
    view.image.cluster.broker(broker).is_some_and(|b| b.is_active())
}

/// A change of a partition that so far changes nothing but what an election does.
pub(crate) fn change<'a>(
    view: &View<'_>,
    topic: &TopicImage,
    partition_id: i32,
    partition: &'a PartitionRegistration,
    may_lead: &'a dyn Fn(i32) -> bool,
) -> PartitionChange<'a> {
    let unclean = configs::unclean_leader_election(view, &topic.name);
    PartitionChange {
        topic_id: topic.id,
        partition_id,
        partition,
        may_lead,
        election: if unclean { Election::Unclean } else { Election::Online },
        min_isr: configs::min_insync_replicas(view, &topic.name),
        elr_enabled: configs::elr_enabled(view.image),
        target_isr: partition.isr.clone(),
        unclean_shutdown: None,
        recovery_state: None,
        directories: None,
        lost: lost_replicas(view, partition),
    }
}

/// Replicas in directories that their brokers have lost.
fn lost_replicas(view: &View<'_>, partition: &PartitionRegistration) -> Vec<i32> {
    let is_lost = |id: &i32| {
        let broker = view.image.cluster.broker(*id);
        broker.zip(partition.directory_of(*id)).is_some_and(|(broker, dir)| !broker.has_online_dir(dir))
    };
    partition.replicas.iter().copied().filter(|id| is_lost(id)).collect()
}

/// Goes through all partitions, which is a walk over the image: brokers come and go seldom.
fn for_each_partition(
    view: &View<'_>,
    mut visit: impl FnMut(&TopicImage, i32, &PartitionRegistration) -> Option<MetadataRecord>,
) -> Vec<MetadataRecord> {
    let topics = view.image.topics.iter();
    topics
        .flat_map(|t| t.partitions.iter().map(move |(id, p)| (t, *id, p)))
        .filter_map(|(t, id, p)| visit(t, id, p))
        .collect()
}

/// Takes a broker out of every ISR and every leadership.
pub(crate) fn broker_gone(view: &View<'_>, broker: i32) -> Vec<MetadataRecord> {
    let others = |id: i32| id != broker && may_lead(view, id);
    for_each_partition(view, |topic, id, partition| {
        if partition.leader != broker && !partition.isr.contains(&broker) {
            return None;
        }
        let mut change = change(view, topic, id, partition, &others);
        change.target_isr.retain(|r| *r != broker);
        change.build().map(MetadataRecord::from)
    })
}

/// Elects leaders of the partitions that have none, now that `broker` is back.
pub(crate) fn broker_back(view: &View<'_>, broker: i32) -> Vec<MetadataRecord> {
    let with_it = |id: i32| id == broker || may_lead(view, id);
    for_each_partition(view, |topic, id, partition| {
        if partition.leader >= 0 || !partition.has_replica(broker) {
            return None;
        }
        change(view, topic, id, partition, &with_it).build().map(MetadataRecord::from)
    })
}

/// A broker that stopped without saying so may have lost what it acknowledged: it is neither in sync nor eligible.
pub(crate) fn broker_stopped_uncleanly(view: &View<'_>, broker: i32) -> Vec<MetadataRecord> {
    let others = |id: i32| id != broker && may_lead(view, id);
    for_each_partition(view, |topic, id, partition| {
        if !partition.isr.contains(&broker) && !partition.elr.contains(&broker) {
            return None;
        }
        let mut change = change(view, topic, id, partition, &others);
        change.target_isr.retain(|r| *r != broker);
        change.unclean_shutdown = Some(broker);
        change.build().map(MetadataRecord::from)
    })
}

/// Replicas in directories that failed are as good as gone.
pub(crate) fn directories_offline(view: &View<'_>, broker: i32, offline: &[Uuid]) -> Vec<MetadataRecord> {
    let others = |id: i32| id != broker && may_lead(view, id);
    for_each_partition(view, |topic, id, partition| {
        let lost = partition.directory_of(broker).is_some_and(|d| offline.contains(&d));
        if !lost || (partition.leader != broker && !partition.isr.contains(&broker)) {
            return None;
        }
        let mut change = change(view, topic, id, partition, &others);
        change.target_isr.retain(|r| *r != broker);
        change.build().map(MetadataRecord::from)
    })
}

/// Whether a broker leads any partition.
pub(crate) fn leads_any(view: &View<'_>, broker: i32) -> bool {
    view.image.topics.iter().any(|t| t.partitions.values().any(|p| p.leader == broker))
}

/// Adds partitions to topics; a topic that cannot have them is refused, the others get theirs.
pub(crate) fn create_partitions(
    view: &View<'_>,
    request: &CreatePartitionsRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    let mut outcomes: Vec<(&str, Result<Vec<PartitionRecord>, Refusal>)> = Vec::new();
    for topic in &request.topics {
        if outcomes.iter().any(|(name, _)| *name == topic.name) {
            continue;
        }
        let twice = request.topics.iter().filter(|t| t.name == topic.name).count() > 1;
        let outcome = if twice {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            added_partitions(view, topic)
        };
        outcomes.push((topic.name, outcome));
    }
    let total: usize = outcomes.iter().map(|(_, o)| o.as_ref().map_or(0, Vec::len)).sum();
    if total > RECORDS_PER_REQUEST_MAX {
        let refusal = Refusal::new(ErrorCode::PolicyViolation, "Excessively large number of partitions per request.");
        outcomes.iter_mut().for_each(|(_, outcome)| *outcome = Err(refusal.clone()));
    }
    let results = outcomes
        .iter()
        .map(|(name, outcome)| CreatePartitionsTopicResult {
            name,
            error_code: outcome.as_ref().err().map_or(ErrorCode::None, |r| r.error) as i16,
            error_message: outcome.as_ref().err().map(|r| r.message.as_str()),
            ..Default::default()
        })
        .collect();
    let response = CreatePartitionsResponse { results, ..Default::default() };
    let mut decision = Decision::new(Vec::new(), &response, version)?;
    if !request.validate_only {
        decision.records =
            outcomes.into_iter().filter_map(|(_, o)| o.ok()).flatten().map(MetadataRecord::from).collect();
    }
    Ok(decision)
}

fn added_partitions(view: &View<'_>, request: &CreatePartitionsTopic<'_>) -> Result<Vec<PartitionRecord>, Refusal> {
    let topic = view.image.topics.by_name(request.name).ok_or_else(|| {
        Refusal::new(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.")
    })?;
    let present = topic.partitions.len();
    let wanted = usize::try_from(request.count).unwrap_or(0);
    if wanted <= present {
        let message = if wanted == present {
            format!("Topic already has {present} partition(s).")
        } else {
            let name = request.name;
            format!(
                "The topic {name} currently has {present} partition(s); {} would not be an increase.",
                request.count
            )
        };
        return Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    }
    let added = wanted - present;
    if added > RECORDS_PER_REQUEST_MAX {
        let message = "Excessively large number of partitions per request.";
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    let factor = topic.partitions.values().next().map_or(1, |p| p.replicas.len());
    let assignments = match &request.assignments {
        None => place_new(view, present, added, i16::try_from(factor).unwrap_or(i16::MAX))?,
        Some(manual) => {
            let assignments: Vec<Vec<i32>> = manual.iter().map(|a| a.broker_ids.clone()).collect();
            if assignments.len() != added || assignments.iter().any(|replicas| replicas.len() != factor) {
                let message = format!(
                    "Attempted to add {added} additional partition(s), but the manual assignment must name exactly that many, each with {factor} replica(s)."
                );
                return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
            }
            assignments
        }
    };
    let first = i32::try_from(present).unwrap_or(i32::MAX);
    (first..).zip(assignments).map(|(id, replicas)| new_partition(view, topic.id, id, replicas)).collect()
}

#[cfg(test)]
#[path = "partitions_tests.rs"]
mod tests;
