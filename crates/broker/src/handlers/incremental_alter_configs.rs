//! IncrementalAlterConfigs (44), versions 0-1: sets, deletes, appends to or subtracts from single values (KIP-339).
//!
//! * Topics are served: what passes the checks here goes to the controller, which validates by the table and answers 3, 17,
//!   40, 42.
//! * Brokers (KIP-226): this one by its id, or all by the empty name. Whether the change goes together with the rest of its
//!   configuration only the broker knows, so it is checked here, for all brokers as well; then the controller stores it.
//!   Refused with INVALID_REQUEST: what is not dynamic, or for one broker only, or not served. Other than Kafka, which keeps
//!   it for its plugins, a property that nobody knows is refused.
//! * Other resources: INVALID_REQUEST with a sentence. The configurations of groups, loggers and client metrics are not served
//!   yet; to take them without effect would deceive.
//! * A resource or, within one, a key that is named twice, and no value where one is needed: INVALID_REQUEST, as Apache
//!   Kafka 4.4.0 was seen to answer.
//! * AlterConfigs on the topic: else TOPIC_AUTHORIZATION_FAILED; on the cluster for brokers: else CLUSTER_AUTHORIZATION_FAILED.
//! * A controller that cannot be asked: REQUEST_TIMED_OUT for each resource.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ottla_metadata::config::alter::{self, AlterOp};
use ottla_metadata::config::broker_change::{check_in_effect, check_rows};
use ottla_metadata::image::ConfigResourceType;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::forward;
use crate::security::authorizer::{Operation, Resource};

/// Why a resource does not go to the controller.
type Refused = (ErrorCode, Cow<'static, str>);

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: IncrementalAlterConfigsRequest<'_> = cx.decode()?;
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for resource in &request.resources {
        let name = (resource.resource_type, resource.resource_name);
        if !seen.insert(name) {
            twice.insert(name);
        }
    }
    let mut allowed = Vec::new();
    let mut refused = Vec::new();
    for resource in &request.resources {
        let is_twice = twice.contains(&(resource.resource_type, resource.resource_name));
        match check(cx, resource, is_twice) {
            Ok(()) => allowed.push(resource.clone()),
            Err((code, why)) => refused.push((resource, code, why)),
        }
    }
    let refused: Vec<_> = refused.iter().map(|(r, code, why)| failed(cx, r, *code, Some(why))).collect();
    let forwarded = IncrementalAlterConfigsRequest { resources: allowed, ..request.clone() };
    if forwarded.resources.is_empty() {
        let responses = refused;
        return cx.answer(&IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() });
    }
    let body = match ask(cx, &forwarded).await {
        Ok(body) => body,
        Err(code) => {
            let asked = forwarded.resources.iter().map(|resource| failed(cx, resource, code, sentence(code)));
            let responses = asked.chain(refused).collect();
            let response = IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() };
            return cx.answer(&response);
        }
    };
    let mut response: IncrementalAlterConfigsResponse<'_> =
        forward::decode(&body, cx.version).map_err(Refusal::Malformed)?;
    response.responses.iter().for_each(|resource| cx.count_error_code(resource.error_code));
    response.responses.extend(refused);
    cx.answer(&response)
}

fn check(cx: &RequestContext, resource: &AlterConfigsResource<'_>, is_twice: bool) -> Result<(), Refused> {
    let invalid = |why: &'static str| Err((ErrorCode::InvalidRequest, why.into()));
    if is_twice {
        return invalid("Each resource must appear at most once.");
    }
    let name = resource.resource_name;
    match ConfigResourceType::from_code(resource.resource_type) {
        Some(ConfigResourceType::Topic) => {
            if !cx.authorized(Operation::AlterConfigs, Resource::Topic(name)) {
                return Err((ErrorCode::TopicAuthorizationFailed, "AlterConfigs on the topic is not allowed".into()));
            }
        }
        Some(ConfigResourceType::Broker) => {
            if !cx.authorized(Operation::AlterConfigs, Resource::Cluster) {
                return Err((
                    ErrorCode::ClusterAuthorizationFailed,
                    "AlterConfigs on the cluster is not allowed".into(),
                ));
            }
        }
        Some(ConfigResourceType::BrokerLogger | ConfigResourceType::ClientMetrics | ConfigResourceType::Group) => {
            return invalid("only the configurations of topics and brokers can be changed yet");
        }
        None => {
            return Err((
                ErrorCode::InvalidRequest,
                format!("Unknown resource type {}", resource.resource_type).into(),
            ));
        }
    }
    let keys: BTreeSet<&str> = resource.configs.iter().map(|config| config.name).collect();
    if keys.len() < resource.configs.len() {
        return invalid("Error due to duplicate config keys");
    }
    let delete = AlterOp::Delete as i8;
    let valueless = resource.configs.iter().filter(|c| c.value.is_none() && c.config_operation != delete);
    let valueless: Vec<&str> = valueless.map(|config| config.name).collect();
    if !valueless.is_empty() {
        let why = format!("Null value not supported for : {}", valueless.join(", "));
        return Err((ErrorCode::InvalidRequest, why.into()));
    }
    if resource.resource_type == ConfigResourceType::Broker as i8 { check_broker(cx, resource) } else { Ok(()) }
}

/// Whether this broker could do what is asked of it, or of all.
fn check_broker(cx: &RequestContext, resource: &AlterConfigsResource<'_>) -> Result<(), Refused> {
    let (name, config) = (resource.resource_name, &cx.broker.config);
    let invalid = |why: String| (ErrorCode::InvalidRequest, Cow::Owned(why));
    let per_broker = !name.is_empty();
    if per_broker {
        let id: i32 = name.parse().map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
        if id != config.node_id {
            return Err(invalid(format!("Unexpected broker id, expected {}, but received {name}", config.node_id)));
        }
    }
    let mut operations = Vec::with_capacity(resource.configs.len());
    for config in &resource.configs {
        let op = AlterOp::from_code(config.config_operation);
        let op = op.ok_or_else(|| invalid(format!("Unknown operations type {}", config.config_operation)))?;
        operations.push((config.name, op, config.value));
    }
    let image = cx.broker.image();
    let old = image.configs.broker(per_broker.then_some(config.node_id)).map(|values| (**values).clone());
    let old = old.unwrap_or_default();
    let new = alter::apply(ConfigResourceType::Broker, &old, operations);
    let new = new.map_err(|cause| (ErrorCode::InvalidConfig, Cow::Owned(cause.to_string())))?;
    let checked = check_rows(per_broker, &old, &new);
    let checked = checked.and_then(|_| check_in_effect(config, &image.configs, per_broker, &new));
    checked.map_err(|cause| invalid(cause.to_string()))
}

fn failed<'a>(
    cx: &RequestContext,
    resource: &AlterConfigsResource<'a>,
    code: ErrorCode,
    error_message: Option<&'a str>,
) -> AlterConfigsResourceResponse<'a> {
    cx.count_error(code);
    AlterConfigsResourceResponse {
        error_code: code.code(),
        error_message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        ..AlterConfigsResourceResponse::default()
    }
}
