//! DescribeConfigs (32), versions 1-4: every property of a topic, a broker or a group, with its value, where that comes
//! from, and the synonyms behind it; types from 3, documentation when asked for.
//!
//! * Topics: a name that cannot be is INVALID_TOPIC_EXCEPTION, one that is not there UNKNOWN_TOPIC_OR_PARTITION.
//! * Brokers: this one by its id, with all properties; the empty name is what was set for all brokers. Any other name is
//!   INVALID_REQUEST: clients ask each broker for its own.
//! * Groups: any name but the empty one, whether there is such a group or not.
//! * Loggers and client metrics are not served yet: INVALID_REQUEST.
//! * DescribeConfigs on the topic, or on the cluster for brokers: else 29 or 31. On the group for groups: else 30.

use ottla_metadata::config::Layers;
use ottla_metadata::config::describe::{
    DescribedConfig, DescribedSynonym, describe_all_brokers, describe_broker, describe_group, describe_topic,
};
use ottla_metadata::image::{ConfigResource, ConfigResourceType, MetadataImage};
use ottla_metadata::topic_name;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

type Described = Result<Vec<DescribedConfig>, (ErrorCode, String)>;

pub(crate) fn handle(cx: RequestContext) -> Result<Answer, Refusal> {
    let request: DescribeConfigsRequest<'_> = cx.decode()?;
    let image = cx.broker.image();
    let outcomes: Vec<(&DescribeConfigsResource<'_>, Described)> =
        request.resources.iter().map(|resource| (resource, describe(&cx, &image, resource))).collect();
    let results = outcomes.iter().map(|(resource, outcome)| result(&cx, &request, resource, outcome)).collect();
    cx.answer(&DescribeConfigsResponse { results, ..DescribeConfigsResponse::default() })
}

fn describe(cx: &RequestContext, image: &MetadataImage, resource: &DescribeConfigsResource<'_>) -> Described {
    let name = resource.resource_name;
    let mut configs = match ConfigResourceType::from_code(resource.resource_type) {
        Some(ConfigResourceType::Topic) => topic(cx, image, name)?,
        Some(ConfigResourceType::Broker) => broker(cx, image, name)?,
        Some(ConfigResourceType::Group) => group(cx, image, name)?,
        Some(kind @ (ConfigResourceType::BrokerLogger | ConfigResourceType::ClientMetrics)) => {
            return Err((ErrorCode::InvalidRequest, format!("resources of type {} are not served yet", kind.name())));
        }
        None => {
            let why = format!("resource type {} is not known", resource.resource_type);
            return Err((ErrorCode::InvalidRequest, why));
        }
    };
    if let Some(keys) = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty()) {
        configs.retain(|config| keys.contains(&config.row.name));
    }
    Ok(configs)
}

fn topic(cx: &RequestContext, image: &MetadataImage, name: &str) -> Described {
    if !cx.authorized(Operation::DescribeConfigs, Resource::Topic(name)) {
        return Err((ErrorCode::TopicAuthorizationFailed, "DescribeConfigs on the topic is not allowed".into()));
    }
    topic_name::check(name).map_err(|cause| (ErrorCode::InvalidTopicException, cause.to_string()))?;
    if image.topics.by_name(name).is_none() {
        return Err((ErrorCode::UnknownTopicOrPartition, format!("there is no topic `{name}`")));
    }
    Ok(describe_topic(&Layers::of_topic(&cx.broker.config, &image.configs, name)))
}

fn broker(cx: &RequestContext, image: &MetadataImage, name: &str) -> Described {
    if !cx.authorized(Operation::DescribeConfigs, Resource::Cluster) {
        return Err((ErrorCode::ClusterAuthorizationFailed, "DescribeConfigs on the cluster is not allowed".into()));
    }
    let node_id = cx.broker.config.node_id;
    if name.is_empty() {
        return Ok(image.configs.broker(None).map_or_else(Vec::new, |values| describe_all_brokers(values)));
    }
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(describe_broker(&Layers::of_broker(&cx.broker.config, &image.configs))),
        Ok(id) => Err((
            ErrorCode::InvalidRequest,
            format!("Unexpected broker id, expected {node_id} or empty string, but received {id}"),
        )),
        Err(_) => Err((ErrorCode::InvalidRequest, format!("Broker id must be an integer, but it is: {name}"))),
    }
}

fn group(cx: &RequestContext, image: &MetadataImage, name: &str) -> Described {
    if !cx.authorized(Operation::DescribeConfigs, Resource::Group(name)) {
        return Err((ErrorCode::GroupAuthorizationFailed, "DescribeConfigs on the group is not allowed".into()));
    }
    if name.is_empty() {
        return Err((ErrorCode::InvalidRequest, "a group's name must not be empty".into()));
    }
    let resource = ConfigResource { kind: ConfigResourceType::Group, name: name.to_owned() };
    let own = image.configs.of(&resource).map(|values| &**values);
    Ok(describe_group(&Layers::of_broker(&cx.broker.config, &image.configs), own))
}

fn result<'a>(
    cx: &RequestContext,
    request: &DescribeConfigsRequest<'_>,
    resource: &DescribeConfigsResource<'a>,
    outcome: &'a Described,
) -> DescribeConfigsResult<'a> {
    let named = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        error_message: None,
        ..DescribeConfigsResult::default()
    };
    match outcome {
        Ok(configs) => {
            let config = |config| property(config, request.include_synonyms, request.include_documentation);
            DescribeConfigsResult { configs: configs.iter().map(config).collect(), ..named }
        }
        Err((code, message)) => {
            cx.count_error(*code);
            DescribeConfigsResult { error_code: code.code(), error_message: Some(message), ..named }
        }
    }
}

fn property(config: &DescribedConfig, synonyms: bool, documentation: bool) -> DescribeConfigsResourceResult<'_> {
    DescribeConfigsResourceResult {
        name: config.row.name,
        value: config.value.as_deref(),
        read_only: config.read_only,
        config_source: config.source as i8,
        is_sensitive: config.row.is_sensitive(),
        synonyms: config.synonyms.iter().filter(|_| synonyms).map(synonym).collect(),
        config_type: config.row.kind as i8,
        documentation: documentation.then_some(config.row.doc),
        ..DescribeConfigsResourceResult::default()
    }
}

fn synonym(synonym: &DescribedSynonym) -> DescribeConfigsSynonym<'_> {
    DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value.as_deref(),
        source: synonym.source as i8,
        ..DescribeConfigsSynonym::default()
    }
}
