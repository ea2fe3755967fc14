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
//! * Authorization comes before everything else that is looked at, other than in Kafka: who may not change a resource learns
//!   nothing of what would be wrong.
//! * A controller that cannot be asked: REQUEST_TIMED_OUT for each resource.

use ottla_metadata::config::alter::{self, AlterOp};
use ottla_metadata::image::ConfigResourceType;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use super::alteration::{self, Refused};
use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::forward;

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: IncrementalAlterConfigsRequest<'_> = cx.decode()?;
    let (allowed, refused) = alteration::sort(
        &request.resources,
        |resource| (resource.resource_type, resource.resource_name),
        |resource, is_twice| check(cx, resource, is_twice),
    );
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
    let (kind, name) = (resource.resource_type, resource.resource_name);
    alteration::check_resource(cx, kind, name, is_twice)?;
    let delete = AlterOp::Delete as i8;
    let lacks = |config: &AlterableConfig<'_>| config.value.is_none() && config.config_operation != delete;
    alteration::check_keys(resource.configs.iter().map(|config| (config.name, lacks(config))))?;
    if kind != ConfigResourceType::Broker as i8 {
        return Ok(());
    }
    alteration::check_broker(cx, name, |old| {
        let mut operations = Vec::with_capacity(resource.configs.len());
        for config in &resource.configs {
            let op = AlterOp::from_code(config.config_operation).ok_or_else(|| {
                let why = format!("Unknown operations type {}", config.config_operation);
                (ErrorCode::InvalidRequest, why.into())
            })?;
            operations.push((config.name, op, config.value));
        }
        let new = alter::apply(ConfigResourceType::Broker, old, operations);
        new.map_err(|cause| (ErrorCode::InvalidConfig, cause.to_string().into()))
    })
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
