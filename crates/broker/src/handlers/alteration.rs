//! What AlterConfigs and IncrementalAlterConfigs check alike before the controller is asked. Kafka class: `ConfigAdminManager`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ottla_metadata::config::broker_change::{check_in_effect, check_rows};
use ottla_metadata::image::ConfigResourceType;
use ottla_protocol::ErrorCode;

use crate::context::RequestContext;
use crate::security::authorizer::{Operation, Resource};

/// Why a resource does not go to the controller.
pub(super) type Refused = (ErrorCode, Cow<'static, str>);

type Values = BTreeMap<String, String>;

fn invalid(why: impl Into<Cow<'static, str>>) -> Refused {
    (ErrorCode::InvalidRequest, why.into())
}

/// Resources of a request that go to the controller, and those that do not, each with why.
pub(super) type Sorted<'r, R> = (Vec<R>, Vec<(&'r R, ErrorCode, Cow<'static, str>)>);

/// Sorts the resources of a request; `id` gives type and name of one, and `check` is told whether it occurs more than once.
pub(super) fn sort<R: Clone>(
    resources: &[R],
    id: impl Fn(&R) -> (i8, &str),
    check: impl Fn(&R, bool) -> Result<(), Refused>,
) -> Sorted<'_, R> {
    let twice = named_twice(resources.iter().map(&id));
    let (mut allowed, mut refused) = (Vec::new(), Vec::new());
    for resource in resources {
        match check(resource, twice.contains(&id(resource))) {
            Ok(()) => allowed.push(resource.clone()),
            Err((code, why)) => refused.push((resource, code, why)),
        }
    }
    (allowed, refused)
}

/// The resources, by type and name, that occur more than once.
fn named_twice<'r>(resources: impl Iterator<Item = (i8, &'r str)>) -> BTreeSet<(i8, &'r str)> {
    let mut seen = BTreeSet::new();
    resources.filter(|resource| !seen.insert(*resource)).collect()
}

/// Whether resources of this type can be changed, and this one by the principal.
pub(super) fn check_resource(cx: &RequestContext, kind: i8, name: &str, is_twice: bool) -> Result<(), Refused> {
    if is_twice {
        return Err(invalid("Each resource must appear at most once."));
    }
    match ConfigResourceType::from_code(kind) {
        Some(ConfigResourceType::Topic) if !cx.authorized(Operation::AlterConfigs, Resource::Topic(name)) => {
            Err((ErrorCode::TopicAuthorizationFailed, "AlterConfigs on the topic is not allowed".into()))
        }
        Some(ConfigResourceType::Broker) if !cx.authorized(Operation::AlterConfigs, Resource::Cluster) => {
            Err((ErrorCode::ClusterAuthorizationFailed, "AlterConfigs on the cluster is not allowed".into()))
        }
        Some(ConfigResourceType::Topic | ConfigResourceType::Broker) => Ok(()),
        Some(ConfigResourceType::BrokerLogger | ConfigResourceType::ClientMetrics | ConfigResourceType::Group) => {
            Err(invalid("only the configurations of topics and brokers can be changed yet"))
        }
        None => Err(invalid(format!("Unknown resource type {kind}"))),
    }
}

/// Whether keys are named once and have values; with each comes whether its value is missing.
pub(super) fn check_keys<'r>(keys: impl Iterator<Item = (&'r str, bool)>) -> Result<(), Refused> {
    let (mut seen, mut lacking) = (BTreeSet::new(), Vec::new());
    for (name, lacks_value) in keys {
        if !seen.insert(name) {
            return Err(invalid("Error due to duplicate config keys"));
        }
        if lacks_value {
            lacking.push(name);
        }
    }
    let why = || invalid(format!("Null value not supported for : {}", lacking.join(", ")));
    if lacking.is_empty() { Ok(()) } else { Err(why()) }
}

/// Whether this broker could do what is asked of it, or of all: `new` makes of what is stored what is to be stored.
pub(super) fn check_broker(
    cx: &RequestContext,
    name: &str,
    new: impl FnOnce(&Values) -> Result<Values, Refused>,
) -> Result<(), Refused> {
    let config = &cx.broker.config;
    let per_broker = !name.is_empty();
    if per_broker {
        let id: Result<i32, _> = name.parse();
        let id = id.map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
        if id != config.node_id {
            return Err(invalid(format!("Unexpected broker id, expected {}, but received {name}", config.node_id)));
        }
    }
    let image = cx.broker.image();
    let old = image.configs.broker(per_broker.then_some(config.node_id)).map(|values| (**values).clone());
    let old = old.unwrap_or_default();
    let new = new(&old)?;
    let checked = check_rows(per_broker, &old, &new);
    let checked = checked.and_then(|()| check_in_effect(config, &image.configs, per_broker, &new));
    checked.map_err(|cause| invalid(cause.to_string()))
}
