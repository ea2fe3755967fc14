//! IncrementalAlterConfigs (44), versions 0-1: sets, deletes, appends to or subtracts from single values (KIP-339).
//!
//! * Topics are served: what passes the checks here goes to the controller, which validates by the table and answers 3, 17,
//!   40, 42.
//! * Other resources: INVALID_REQUEST with a sentence. What a broker is to do differently while it runs is not served yet,
//!   nor are the configurations of groups, loggers and client metrics; to take them without effect would deceive.
//! * A resource or, within one, a key that is named twice, and no value where one is needed: INVALID_REQUEST, as Apache
//!   Kafka 4.4.0 was seen to answer.
//! * AlterConfigs on the topic: else TOPIC_AUTHORIZATION_FAILED.
//! * A controller that cannot be asked: REQUEST_TIMED_OUT for each resource.

use std::collections::BTreeSet;

use ottla_metadata::config::alter::AlterOp;
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
type Refused = (ErrorCode, &'static str);

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
            Err((code, why)) => refused.push(failed(cx, resource, code, Some(why))),
        }
    }
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
    let invalid = |why| Err((ErrorCode::InvalidRequest, why));
    if is_twice {
        return invalid("each resource must be named once");
    }
    match ConfigResourceType::from_code(resource.resource_type) {
        Some(ConfigResourceType::Topic) => {}
        Some(ConfigResourceType::Broker) => {
            return invalid(
                "brokers do not change their configuration while they run yet: set it in server.properties",
            );
        }
        Some(ConfigResourceType::BrokerLogger | ConfigResourceType::ClientMetrics | ConfigResourceType::Group) => {
            return invalid("only the configurations of topics can be changed yet");
        }
        None => return invalid("the resource type is not known"),
    }
    if !cx.authorized(Operation::AlterConfigs, Resource::Topic(resource.resource_name)) {
        return Err((ErrorCode::TopicAuthorizationFailed, "AlterConfigs on the topic is not allowed"));
    }
    let keys: BTreeSet<&str> = resource.configs.iter().map(|config| config.name).collect();
    if keys.len() < resource.configs.len() {
        return invalid("each key must be named once");
    }
    let delete = AlterOp::Delete as i8;
    if resource.configs.iter().any(|config| config.value.is_none() && config.config_operation != delete) {
        return invalid("a value is missing: only DELETE takes none");
    }
    Ok(())
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
