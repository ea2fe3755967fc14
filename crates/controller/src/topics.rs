//! CreateTopics (19) and DeleteTopics (20).

use std::collections::{BTreeMap, BTreeSet};

use ottla_metadata::config::describe::DescribedConfig;
use ottla_metadata::records::{ConfigRecord, MetadataRecord, PartitionRecord, RemoveTopicRecord, TopicRecord};
use ottla_metadata::topic_name;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::ids::Uuid;
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest,
};
use ottla_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use ottla_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use ottla_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use ottla_protocol::writer::EncodeError;

use crate::configs;
use crate::decision::{Decision, RECORDS_PER_REQUEST_MAX, Refusal, View};
use crate::partitions::{new_partition, place_new};
use crate::quorum_wire::METADATA_TOPIC;

/// A topic that may be created.
struct Created {
    id: Uuid,
    partitions: Vec<PartitionRecord>,
    replication_factor: i16,
    configs: BTreeMap<String, String>,
    /// All of its configs, its own and inherited ones.
    described: Vec<DescribedConfig>,
}

/// Creates each topic of the request or says why not; the others are created all the same.
pub(crate) fn create_topics(
    view: &View<'_>,
    request: &CreateTopicsRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *names.entry(topic.name).or_default() += 1;
    }
    let mut records: Vec<MetadataRecord> = Vec::new();
    let mut decided: Vec<(&str, Result<Created, Refusal>)> = Vec::new();
    let mut accepted: BTreeSet<String> = BTreeSet::new();
    for topic in &request.topics {
        let Some(count) = names.remove(topic.name) else { continue };
        let outcome = if count > 1 {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            create_topic(view, topic, &accepted)
        };
        if let Ok(created) = &outcome {
            accepted.insert(collision_name(topic.name));
            records.extend(creation_records(topic.name, created));
        }
        decided.push((topic.name, outcome));
    }
    if records.len() > RECORDS_PER_REQUEST_MAX {
        let refusal = Refusal::new(ErrorCode::PolicyViolation, "Excessively large number of partitions per request.");
        decided.iter_mut().for_each(|(_, outcome)| *outcome = Err(refusal.clone()));
        records.clear();
    }
    if request.validate_only {
        records.clear();
    }
    let topics = decided.iter().map(|(name, outcome)| result(name, outcome.as_ref())).collect();
    Decision::new(records, &CreateTopicsResponse { topics, ..Default::default() }, version)
}

fn creation_records(name: &str, created: &Created) -> Vec<MetadataRecord> {
    let topic = TopicRecord { name: name.to_owned(), topic_id: created.id };
    let configs = created.configs.iter().map(|(key, value)| {
        let record = ConfigRecord {
            resource_type: configs::TOPIC,
            resource_name: name.to_owned(),
            name: key.clone(),
            value: Some(value.clone()),
        };
        MetadataRecord::from(record)
    });
    let partitions = created.partitions.iter().cloned().map(MetadataRecord::from);
    std::iter::once(topic.into()).chain(configs).chain(partitions).collect()
}

fn result<'a>(name: &'a str, outcome: Result<&'a Created, &'a Refusal>) -> CreatableTopicResult<'a> {
    match outcome {
        Ok(created) => CreatableTopicResult {
            name,
            topic_id: created.id,
            num_partitions: i32::try_from(created.partitions.len()).unwrap_or(i32::MAX),
            replication_factor: created.replication_factor,
            configs: Some(created.described.iter().map(described).collect()),
            ..Default::default()
        },
        Err(refusal) => CreatableTopicResult {
            name,
            error_code: refusal.error as i16,
            error_message: Some(&refusal.message),
            ..Default::default()
        },
    }
}

fn described(config: &DescribedConfig) -> CreatableTopicConfigs<'_> {
    CreatableTopicConfigs {
        name: config.row.name,
        value: config.value.as_deref(),
        read_only: config.read_only,
        config_source: config.source as i8,
        is_sensitive: config.row.is_sensitive(),
        ..Default::default()
    }
}

fn create_topic(view: &View<'_>, topic: &CreatableTopic<'_>, accepted: &BTreeSet<String>) -> Result<Created, Refusal> {
    check_name(view, topic.name, accepted)?;
    let configs = configs::of_new_topic(topic)?;
    let id = random_topic_id(view);
    let assignments = if topic.assignments.is_empty() {
        let (partitions, replication_factor) = sizes(view, topic)?;
        place_new(view, 0, partitions, replication_factor)?
    } else {
        manual_assignments(topic)?
    };
    let replication_factor = assignments.first().map_or(0, Vec::len);
    let partitions = (0..)
        .zip(assignments)
        .map(|(number, replicas)| new_partition(view, id, number, replicas))
        .collect::<Result<Vec<_>, _>>()?;
    let described = configs::describe_created(view, &configs);
    let replication_factor = i16::try_from(replication_factor).unwrap_or(i16::MAX);
    Ok(Created { id, partitions, replication_factor, configs, described })
}

/// Kafka never gives out an id whose text begins with a dash, which a command line would take for an option.
fn random_topic_id(view: &View<'_>) -> Uuid {
    loop {
        let id = Uuid::from_random_bytes((view.random)());
        if !id.to_string().starts_with('-') {
            return id;
        }
    }
}

fn check_name(view: &View<'_>, name: &str, accepted: &BTreeSet<String>) -> Result<(), Refusal> {
    let invalid = |why: String| Err(Refusal::new(ErrorCode::InvalidTopicException, why));
    if let Err(fault) = topic_name::check(name) {
        return invalid(fault.to_string());
    }
    if name == METADATA_TOPIC {
        return invalid(format!("{name} is the metadata log"));
    }
    if view.image.topics.by_name(name).is_some() {
        return Err(Refusal::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    let collision = collision_name(name);
    let existing = view.image.topics.iter().find(|t| collides(&t.name, name, &collision));
    match existing.map(|t| t.name.to_string()).or_else(|| accepted.get(&collision).cloned()) {
        Some(other) => invalid(format!("Topic '{name}' collides with existing topic: {other}")),
        None => Ok(()),
    }
}

/// Metrics names replace dots by underscores, so topics that differ in nothing else must not both exist.
fn collision_name(name: &str) -> String {
    name.replace('.', "_")
}

fn collides(existing: &str, name: &str, collision: &str) -> bool {
    // Most names have neither a dot nor an underscore, and are not worth an allocation.
    let may = existing.len() == name.len() && existing.contains(['.', '_']);
    may && collision_name(existing) == collision
}

fn sizes(view: &View<'_>, topic: &CreatableTopic<'_>) -> Result<(usize, i16), Refusal> {
    let partitions = match topic.num_partitions {
        -1 => view.options.num_partitions,
        n => n,
    };
    let partitions = usize::try_from(partitions).ok().filter(|n| *n > 0).ok_or_else(|| {
        let message = "Number of partitions was set to an invalid non-positive value.";
        Refusal::new(ErrorCode::InvalidPartitions, message)
    })?;
    if partitions > RECORDS_PER_REQUEST_MAX {
        let message = "Excessively large number of partitions per request.";
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    match topic.replication_factor {
        -1 => Ok((partitions, view.options.default_replication_factor)),
        n if n > 0 => Ok((partitions, n)),
        _ => {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message))
        }
    }
}

fn manual_assignments(topic: &CreatableTopic<'_>) -> Result<Vec<Vec<i32>>, Refusal> {
    if topic.replication_factor != -1 || topic.num_partitions != -1 {
        let which = if topic.replication_factor != -1 { "replication factor" } else { "numPartitions" };
        let message = format!("A manual partition assignment was specified, but {which} was not set to -1.");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let by_index: BTreeMap<i32, &CreatableReplicaAssignment<'_>> =
        topic.assignments.iter().map(|a| (a.partition_index, a)).collect();
    if by_index.len() != topic.assignments.len() || !by_index.keys().copied().eq((0..).take(by_index.len())) {
        let message = "partitions should be a consecutive 0-based integer sequence, each named once";
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    let assignments: Vec<Vec<i32>> = by_index.into_values().map(|a| a.broker_ids.clone()).collect();
    let factor = assignments.first().map_or(0, Vec::len);
    if assignments.iter().any(|replicas| replicas.len() != factor) {
        let message = "The manual partition assignment must give every partition the same number of replicas.";
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(assignments)
}

/// Deletes each topic named, by name or by id. Its configuration goes with it when the record is replayed; yet each value is
/// taken back by a record of its own before. Kafka's brokers keep it otherwise when they read its setting and the removal in
/// one go, as they do at their start (`ConfigurationsDelta`), and the next topic of the name would have it.
pub(crate) fn delete_topics(
    view: &View<'_>,
    request: &DeleteTopicsRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    let by_name = request.topic_names.iter().map(|name| (Some(*name), Uuid::ZERO));
    let wanted: Vec<(Option<&str>, Uuid)> =
        by_name.chain(request.topics.iter().map(|t| (t.name, t.topic_id))).collect();
    let mut seen: BTreeSet<Uuid> = BTreeSet::new();
    let mut records: Vec<MetadataRecord> = Vec::new();
    let mut responses = Vec::new();
    let mut messages: Vec<Option<String>> = Vec::new();
    for (name, id) in &wanted {
        let found = find_deletable(view, *name, *id, version).and_then(|topic_id| {
            let first = seen.insert(topic_id);
            let twice = || Refusal::new(ErrorCode::InvalidRequest, "The topic is named more than once.");
            first.then_some(topic_id).ok_or_else(twice)
        });
        match found {
            Ok(topic_id) => {
                let known = view.image.topics.by_id(topic_id).map(|t| &*t.name);
                records.extend(known.into_iter().flat_map(|name| forget_configs(view, name)));
                records.push(RemoveTopicRecord { topic_id }.into());
                responses.push(DeletableTopicResult { name: name.or(known), topic_id, ..Default::default() });
                messages.push(None);
            }
            Err(refusal) => {
                let error_code = refusal.error as i16;
                responses.push(DeletableTopicResult { name: *name, topic_id: *id, error_code, ..Default::default() });
                messages.push(Some(refusal.message));
            }
        }
    }
    for (response, message) in responses.iter_mut().zip(&messages) {
        response.error_message = message.as_deref();
    }
    Decision::new(records, &DeleteTopicsResponse { responses, ..Default::default() }, version)
}

/// Records that take every value back that was set for a topic.
fn forget_configs<'a>(view: &'a View<'_>, topic: &'a str) -> impl Iterator<Item = MetadataRecord> + 'a {
    view.image.configs.topic(topic).into_iter().flat_map(|set| set.keys()).map(|key| {
        let (resource_name, name) = (topic.to_owned(), key.clone());
        ConfigRecord { resource_type: configs::TOPIC, resource_name, name, value: None }.into()
    })
}

fn find_deletable(view: &View<'_>, name: Option<&str>, id: Uuid, version: i16) -> Result<Uuid, Refusal> {
    if !view.options.delete_topic_enable {
        let error = if version < 3 { ErrorCode::InvalidRequest } else { ErrorCode::TopicDeletionDisabled };
        return Err(Refusal::new(error, "Topic deletion is disabled."));
    }
    match name {
        Some(_) if !id.is_zero() => {
            let message = "You may not specify both topic name and topic id.";
            Err(Refusal::new(ErrorCode::InvalidRequest, message))
        }
        Some(name) => view.image.topics.by_name(name).map(|t| t.id).ok_or_else(|| {
            Refusal::new(ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.")
        }),
        None if id.is_zero() => {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Neither topic name nor id were specified."))
        }
        None => view
            .image
            .topics
            .by_id(id)
            .map(|t| t.id)
            .ok_or_else(|| Refusal::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")),
    }
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;
