//! IncrementalAlterConfigs (44, KIP-339) and AlterConfigs (33), of topics and of brokers (KIP-226).
//!
//! A resource is changed as a whole or not at all; one that cannot be changed does not hinder the others.

use std::collections::{BTreeMap, BTreeSet};

use ottla_metadata::config;
use ottla_metadata::config::alter::{AlterError, AlterOp};
use ottla_metadata::image::ConfigResourceType;
use ottla_metadata::records::{ClearElrRecord, ConfigRecord, MetadataRecord};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_configs_request::AlterConfigsRequest;
use ottla_protocol::messages::alter_configs_response::{self, AlterConfigsResponse};
use ottla_protocol::messages::incremental_alter_configs_request::{AlterableConfig, IncrementalAlterConfigsRequest};
use ottla_protocol::messages::incremental_alter_configs_response::{self, IncrementalAlterConfigsResponse};
use ottla_protocol::writer::EncodeError;

use crate::configs::{BROKER, TOPIC, check_broker, check_topic, elr_enabled};
use crate::decision::{Decision, RECORDS_PER_REQUEST_MAX, Refusal, View};

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

type Values = BTreeMap<String, String>;

/// A resource of a request, and what became of it.
struct Altered<'a> {
    kind: i8,
    name: &'a str,
    outcome: Result<Vec<MetadataRecord>, Refusal>,
}

impl Altered<'_> {
    fn error_code(&self) -> i16 {
        self.outcome.as_ref().err().map_or(ErrorCode::None, |r| r.error) as i16
    }

    fn error_message(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(|r| r.message.as_str())
    }
}

/// Changes single properties of topics and brokers.
pub(crate) fn incremental_alter(
    view: &View<'_>,
    request: &IncrementalAlterConfigsRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    let twice = named_twice(request.resources.iter().map(|r| (r.resource_type, r.resource_name)));
    let is_small = is_small(request.resources.iter().map(|r| r.configs.len()));
    let altered = request.resources.iter().map(|r| {
        let old = is_small.clone().and_then(|()| present(view, &twice, (r.resource_type, r.resource_name)));
        let outcome = old.and_then(|old| {
            let (kind, name) = (r.resource_type, r.resource_name);
            let new = apply(kind, &old, &r.configs)?;
            if kind == BROKER {
                // Taking away what is not there counts as an attempt, as in Kafka.
                let named = r.configs.iter().map(|c| (c.name, c.config_operation == AlterOp::Delete as i8));
                check_min_insync_replicas(view, name, named)?;
            }
            changes(view, (kind, name), &old, &new)
        });
        Altered { kind: r.resource_type, name: r.resource_name, outcome }
    });
    let altered = bounded(altered.collect());
    let responses = altered.iter().map(|a| incremental_alter_configs_response::AlterConfigsResourceResponse {
        error_code: a.error_code(),
        error_message: a.error_message(),
        resource_type: a.kind,
        resource_name: a.name,
        ..Default::default()
    });
    let response = IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() };
    let decision = Decision::new(vec![], &response, version)?;
    Ok(Decision { records: records(altered, request.validate_only), ..decision })
}

/// Replaces the properties of topics and brokers: what the request does not name goes back to its default.
pub(crate) fn alter(view: &View<'_>, request: &AlterConfigsRequest<'_>, version: i16) -> Result<Decision, EncodeError> {
    let twice = named_twice(request.resources.iter().map(|r| (r.resource_type, r.resource_name)));
    let is_small = is_small(request.resources.iter().map(|r| r.configs.len()));
    let altered = request.resources.iter().map(|r| {
        let set = r.configs.iter().filter_map(|c| c.value.map(|value| (c.name.to_owned(), value.to_owned())));
        let outcome = is_small
            .clone()
            .and_then(|()| present(view, &twice, (r.resource_type, r.resource_name)))
            .and_then(|old| changes(view, (r.resource_type, r.resource_name), &old, &set.collect()));
        Altered { kind: r.resource_type, name: r.resource_name, outcome }
    });
    let altered = bounded(altered.collect());
    let responses = altered.iter().map(|a| alter_configs_response::AlterConfigsResourceResponse {
        error_code: a.error_code(),
        error_message: a.error_message(),
        resource_type: a.kind,
        resource_name: a.name,
        ..Default::default()
    });
    let response = AlterConfigsResponse { responses: responses.collect(), ..Default::default() };
    let decision = Decision::new(vec![], &response, version)?;
    Ok(Decision { records: records(altered, request.validate_only), ..decision })
}

fn records(altered: Vec<Altered<'_>>, validate_only: bool) -> Vec<MetadataRecord> {
    if validate_only { Vec::new() } else { altered.into_iter().filter_map(|a| a.outcome.ok()).flatten().collect() }
}

fn too_many() -> Refusal {
    Refusal::new(ErrorCode::PolicyViolation, "Excessively large number of configs per request.")
}

/// Whether a request names no more than one may change, before anything is done for it; given are the numbers of its keys.
fn is_small(mut keys: impl Iterator<Item = usize>) -> Result<(), Refusal> {
    let named =
        keys.try_fold(0_usize, |sum, keys| Some(sum + keys.max(1)).filter(|sum| *sum <= RECORDS_PER_REQUEST_MAX));
    named.map(drop).ok_or_else(too_many)
}

/// The resources that occur more than once.
fn named_twice<'r>(resources: impl Iterator<Item = (i8, &'r str)>) -> BTreeSet<(i8, &'r str)> {
    let mut seen = BTreeSet::new();
    resources.filter(|resource| !seen.insert(*resource)).collect()
}

/// Refuses everything when it would be more records than one request may cause: what is taken away need not be named.
fn bounded(mut altered: Vec<Altered<'_>>) -> Vec<Altered<'_>> {
    let total: usize = altered.iter().map(|a| a.outcome.as_ref().map_or(0, Vec::len)).sum();
    if total > RECORDS_PER_REQUEST_MAX {
        altered.iter_mut().for_each(|a| a.outcome = Err(too_many()));
    }
    altered
}

/// The properties that a resource has now.
fn present(view: &View<'_>, twice: &BTreeSet<(i8, &str)>, (kind, name): (i8, &str)) -> Result<Values, Refusal> {
    if twice.contains(&(kind, name)) {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."));
    }
    if kind == BROKER {
        return of_broker(view, name);
    }
    if kind != TOPIC {
        let message = "Only the configs of topics and brokers can be altered so far.";
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    if view.image.topics.by_name(name).is_none() {
        let message = format!("The topic '{name}' does not exist.");
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    }
    Ok(view.image.configs.topic(name).map(|c| (**c).clone()).unwrap_or_default())
}

/// The properties of a broker, or with an empty name of all.
fn of_broker(view: &View<'_>, name: &str) -> Result<Values, Refusal> {
    let id = match name {
        "" => None,
        // A name such as "01" would be stored where no broker looks for it.
        name => Some(name.parse::<i32>().ok().filter(|id| id.to_string() == name).ok_or_else(|| {
            Refusal::new(ErrorCode::InvalidRequest, "Unable to parse broker name as a base 10 number.")
        })?),
    };
    if let Some(id) = id.filter(|id| view.image.cluster.broker(*id).is_none() && *id != view.options.node_id) {
        let message = format!("No node with id {id} found.");
        return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
    }
    Ok(view.image.configs.broker(id).map(|c| (**c).clone()).unwrap_or_default())
}

/// While eligible leader replicas are kept, every broker must mean the same by min.insync.replicas (KIP-966). `named`: what a
/// request names, and whether it takes it away.
fn check_min_insync_replicas<'n>(
    view: &View<'_>,
    broker: &str,
    mut named: impl Iterator<Item = (&'n str, bool)>,
) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::new(ErrorCode::InvalidConfig, message));
    match named.find(|(name, _)| *name == MIN_INSYNC_REPLICAS).filter(|_| elr_enabled(view.image)) {
        Some(_) if !broker.is_empty() => {
            refuse("Broker-level min.insync.replicas cannot be altered while ELR is enabled.")
        }
        Some((_, true)) => refuse("Cluster-level min.insync.replicas cannot be removed while ELR is enabled."),
        _ => Ok(()),
    }
}

fn apply(kind: i8, old: &Values, operations: &[AlterableConfig<'_>]) -> Result<Values, Refusal> {
    let mut wanted = Vec::with_capacity(operations.len());
    let mut seen = BTreeSet::new();
    for operation in operations {
        if !seen.insert(operation.name) {
            return Err(Refusal::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
        }
        let name = operation.name;
        let op = AlterOp::from_code(operation.config_operation).ok_or_else(|| {
            let message = format!("Unknown operation {} for {name}", operation.config_operation);
            Refusal::new(ErrorCode::InvalidRequest, message)
        })?;
        wanted.push((name, op, operation.value));
    }
    let kind = if kind == BROKER { ConfigResourceType::Broker } else { ConfigResourceType::Topic };
    config::alter::apply(kind, old, wanted).map_err(refusal)
}

fn refusal(error: AlterError) -> Refusal {
    let code = match error {
        AlterError::NoValue(_) => ErrorCode::InvalidRequest,
        AlterError::NotAList(_) => ErrorCode::InvalidConfig,
    };
    Refusal::new(code, error.to_string())
}

/// The records that lead from the old properties to the new ones, each of which must be valid.
fn changes(
    view: &View<'_>,
    (kind, name): (i8, &str),
    old: &Values,
    new: &Values,
) -> Result<Vec<MetadataRecord>, Refusal> {
    let record = |key: &String, value: Option<&String>| {
        let (resource_name, name, value) = (name.to_owned(), key.clone(), value.cloned());
        MetadataRecord::from(ConfigRecord { resource_type: kind, resource_name, name, value })
    };
    let min_isr_changes = old.get(MIN_INSYNC_REPLICAS) != new.get(MIN_INSYNC_REPLICAS);
    if kind == BROKER {
        let removed = !new.contains_key(MIN_INSYNC_REPLICAS);
        let changed = min_isr_changes.then_some((MIN_INSYNC_REPLICAS, removed));
        check_min_insync_replicas(view, name, changed.into_iter())?;
        check_broker(name, old, new)?;
    } else {
        check_topic(name, new)?;
    }
    let mut records = Vec::new();
    for (key, value) in new {
        if old.get(key) != Some(value) {
            records.push(record(key, Some(value)));
        }
    }
    records.extend(old.keys().filter(|key| !new.contains_key(*key)).map(|key| record(key, None)));
    if min_isr_changes && elr_enabled(view.image) {
        // Who was eligible was so by the old number; an empty name is all topics, as is that of all brokers.
        let topic_name = if kind == TOPIC { name.to_owned() } else { String::new() };
        records.push(ClearElrRecord { topic_name }.into());
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use ottla_metadata::records::{FeatureLevelRecord, TopicRecord};
    use ottla_protocol::ids::Uuid;
    use ottla_protocol::messages::alter_configs_request as whole;
    use ottla_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;

    use super::*;
    use crate::features::ELIGIBLE_LEADER_REPLICAS_VERSION;
    use crate::testing::{Cluster, decode};

    fn cluster() -> Cluster {
        let mut cluster = Cluster::new(1);
        cluster.apply(&[TopicRecord { name: "orders".into(), topic_id: Uuid([9; 16]) }.into()]);
        cluster
    }

    fn of_orders(cluster: &Cluster) -> Values {
        cluster.image.configs.topic("orders").map(|c| (**c).clone()).unwrap_or_default()
    }

    /// Alters `orders` by (name, operation, value); returns the error code.
    fn change(cluster: &mut Cluster, operations: &[(&str, i8, Option<&str>)]) -> i16 {
        change_resource(cluster, TOPIC, "orders", operations)
    }

    fn change_resource(cluster: &mut Cluster, kind: i8, name: &str, operations: &[(&str, i8, Option<&str>)]) -> i16 {
        let configs = operations.iter().map(|(name, config_operation, value)| AlterableConfig {
            name,
            config_operation: *config_operation,
            value: *value,
            ..Default::default()
        });
        let resource = AlterConfigsResource {
            resource_type: kind,
            resource_name: name,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        let (body, _) = cluster.run(|view| incremental_alter(view, &request, 1));
        let response: IncrementalAlterConfigsResponse<'_> = decode(&body, 1);
        response.responses[0].error_code
    }

    #[test]
    fn single_properties_are_set_extended_and_taken_back() {
        let mut cluster = cluster();
        assert_eq!(change(&mut cluster, &[("retention.ms", 0, Some("7")), ("cleanup.policy", 2, Some("compact"))]), 0);
        let expected = [("cleanup.policy", "delete,compact"), ("retention.ms", "7")];
        assert!(of_orders(&cluster).iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
        assert_eq!(change(&mut cluster, &[("retention.ms", 1, None), ("cleanup.policy", 3, Some("delete"))]), 0);
        assert!(of_orders(&cluster).iter().map(|(k, v)| (k.as_str(), v.as_str())).eq([("cleanup.policy", "compact")]));
    }

    #[test]
    fn a_resource_is_changed_as_a_whole_or_not_at_all() {
        let mut cluster = cluster();
        let half = [("retention.ms", 0, Some("7")), ("segment.bytes", 0, Some("many"))];
        assert_eq!(change(&mut cluster, &half), ErrorCode::InvalidConfig as i16);
        assert!(of_orders(&cluster).is_empty());
    }

    #[test]
    fn every_refusal_has_kafkas_code() {
        let mut cluster = cluster();
        let set = [("retention.ms", 0, Some("7"))];
        let invalid = ErrorCode::InvalidRequest as i16;
        assert_eq!(change_resource(&mut cluster, TOPIC, "none", &set), ErrorCode::UnknownTopicOrPartition as i16);
        assert_eq!(change_resource(&mut cluster, 16, "1", &set), invalid);
        assert_eq!(change(&mut cluster, &[("retention.ms", 0, None)]), invalid);
        assert_eq!(change(&mut cluster, &[("retention.ms", 9, Some("7"))]), invalid);
        assert_eq!(change(&mut cluster, &[set[0], set[0]]), invalid);
        assert_eq!(change(&mut cluster, &[("retention.ms", 2, Some("7"))]), ErrorCode::InvalidConfig as i16);
        assert_eq!(change(&mut cluster, &[("retention.mss", 0, Some("7"))]), ErrorCode::InvalidConfig as i16);
    }

    /// Each answer is what the controller of Apache Kafka 4.4.0 was seen to give, but for the property that is not dynamic,
    /// which it leaves to brokers to refuse.
    #[test]
    fn brokers_and_all_of_them_at_once_are_changed() {
        let mut cluster = cluster();
        let stored = |cluster: &Cluster, id| cluster.image.configs.broker(id).map(|c| (**c).clone());
        let set = [("log.retention.ms", 0, Some("7"))];
        assert_eq!(change_resource(&mut cluster, BROKER, "1", &set), 0);
        assert_eq!(change_resource(&mut cluster, BROKER, "", &[("log.cleanup.policy", 2, Some("compact"))]), 0);
        assert_eq!(stored(&cluster, Some(1)), Some([("log.retention.ms".to_owned(), "7".to_owned())].into()));
        let of_all = stored(&cluster, None).unwrap();
        assert_eq!(of_all.get("log.cleanup.policy").map(String::as_str), Some("delete,compact"));
        assert_eq!(change_resource(&mut cluster, BROKER, "1", &[("log.retention.ms", 1, None)]), 0);
        assert_eq!(stored(&cluster, Some(1)), None);
        let invalid = ErrorCode::InvalidRequest as i16;
        assert_eq!(change_resource(&mut cluster, BROKER, "2", &set), ErrorCode::BrokerIdNotRegistered as i16);
        assert_eq!(change_resource(&mut cluster, BROKER, "abc", &set), invalid);
        assert_eq!(change_resource(&mut cluster, BROKER, "01", &set), invalid);
        assert_eq!(change_resource(&mut cluster, BROKER, "1", &[("num.partitions", 0, Some("7"))]), invalid);
        assert_eq!(change_resource(&mut cluster, BROKER, "", &[("cordoned.log.dirs", 0, Some("*"))]), invalid);
    }

    #[test]
    fn min_insync_replicas_is_one_number_while_eligible_leader_replicas_are_kept() {
        let mut cluster = cluster();
        let (set, delete) = ([(MIN_INSYNC_REPLICAS, 0, Some("2"))], [(MIN_INSYNC_REPLICAS, 1, None)]);
        let level = |feature_level| FeatureLevelRecord { name: ELIGIBLE_LEADER_REPLICAS_VERSION.into(), feature_level };
        cluster.apply(&[level(0).into()]);
        assert_eq!(change_resource(&mut cluster, BROKER, "1", &set), 0);
        assert_eq!(change_resource(&mut cluster, BROKER, "1", &delete), 0);
        cluster.apply(&[level(1).into()]);
        let refused = ErrorCode::InvalidConfig as i16;
        assert_eq!(change_resource(&mut cluster, BROKER, "1", &set), refused);
        assert_eq!(change_resource(&mut cluster, BROKER, "1", &delete), refused, "though there is none");
        assert_eq!(change_resource(&mut cluster, BROKER, "", &delete), refused);
        // Apache Kafka 4.4.0 was seen to write the same two records.
        let configs = vec![AlterableConfig { name: MIN_INSYNC_REPLICAS, value: Some("2"), ..Default::default() }];
        let resource = AlterConfigsResource { resource_type: BROKER, configs, ..Default::default() };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        let (_, records) = cluster.run(|view| incremental_alter(view, &request, 1));
        assert_eq!(records.len(), 2);
        assert_eq!(records[1], ClearElrRecord::default().into());
    }

    /// Looking for names that occur twice took time by the square of their number, and the bound came after.
    #[test]
    fn a_request_that_names_too_much_is_refused_as_a_whole() {
        let mut cluster = cluster();
        let many: Vec<String> = (0..=RECORDS_PER_REQUEST_MAX).map(|n| format!("t{n}")).collect();
        let answers = |cluster: &mut Cluster, resources: Vec<AlterConfigsResource<'_>>| -> BTreeSet<i16> {
            let request = IncrementalAlterConfigsRequest { resources, ..Default::default() };
            let (body, records) = cluster.run(|view| incremental_alter(view, &request, 1));
            assert!(records.is_empty());
            let response: IncrementalAlterConfigsResponse<'_> = decode(&body, 1);
            response.responses.iter().map(|r| r.error_code).collect()
        };
        let refused = BTreeSet::from([ErrorCode::PolicyViolation as i16]);
        let topic = |name| AlterConfigsResource { resource_type: TOPIC, resource_name: name, ..Default::default() };
        assert_eq!(answers(&mut cluster, many.iter().map(|name| topic(name.as_str())).collect()), refused);
        let configs =
            many.iter().map(|name| AlterableConfig { name, value: Some("1"), ..Default::default() }).collect();
        assert_eq!(answers(&mut cluster, vec![AlterConfigsResource { configs, ..topic("orders") }]), refused);
    }

    #[test]
    fn the_older_request_replaces_everything() {
        let mut cluster = cluster();
        change(&mut cluster, &[("retention.ms", 0, Some("7")), ("segment.bytes", 0, Some("1048576"))]);
        let config = whole::AlterableConfig { name: "retention.ms", value: Some("8"), ..Default::default() };
        let resource = whole::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "orders",
            configs: vec![config],
            ..Default::default()
        };
        let mut request = AlterConfigsRequest { resources: vec![resource], validate_only: true, ..Default::default() };
        cluster.run(|view| alter(view, &request, 2));
        assert_eq!(of_orders(&cluster).len(), 2, "only validated");
        request.validate_only = false;
        cluster.run(|view| alter(view, &request, 2));
        assert!(of_orders(&cluster).iter().map(|(k, v)| (k.as_str(), v.as_str())).eq([("retention.ms", "8")]));
    }
}
