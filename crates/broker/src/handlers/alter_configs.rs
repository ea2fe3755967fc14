//! AlterConfigs (33), versions 0-2: replaces all values of a topic or a broker; what is not named goes back to its default.
//! Older clients ask so; newer ones with IncrementalAlterConfigs.
//!
//! * What is checked, and answered, is as in [`incremental_alter_configs`](super::incremental_alter_configs); a value that is
//!   null is INVALID_REQUEST. To a resource that is named twice Apache Kafka 4.4.0 was seen to give no answer at all; here it
//!   is INVALID_REQUEST.
//! * AlterConfigs on the topic: else TOPIC_AUTHORIZATION_FAILED; on the cluster for brokers: else CLUSTER_AUTHORIZATION_FAILED.
//! * A controller that cannot be asked: REQUEST_TIMED_OUT for each resource.

use ottla_metadata::image::ConfigResourceType;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource};
use ottla_protocol::messages::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};

use super::alteration::{self, Refused};
use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::forward;

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: AlterConfigsRequest<'_> = cx.decode()?;
    let (allowed, refused) = alteration::sort(
        &request.resources,
        |resource| (resource.resource_type, resource.resource_name),
        |resource, is_twice| check(cx, resource, is_twice),
    );
    let refused: Vec<_> = refused.iter().map(|(r, code, why)| failed(cx, r, *code, Some(why))).collect();
    if allowed.is_empty() {
        return cx.answer(&AlterConfigsResponse { responses: refused, ..AlterConfigsResponse::default() });
    }
    let forwarded = AlterConfigsRequest { resources: allowed, ..request.clone() };
    let body = match ask(cx, &forwarded).await {
        Ok(body) => body,
        Err(code) => {
            let asked = forwarded.resources.iter().map(|resource| failed(cx, resource, code, sentence(code)));
            let responses = asked.chain(refused).collect();
            return cx.answer(&AlterConfigsResponse { responses, ..AlterConfigsResponse::default() });
        }
    };
    let mut response: AlterConfigsResponse<'_> = forward::decode(&body, cx.version).map_err(Refusal::Malformed)?;
    response.responses.iter().for_each(|resource| cx.count_error_code(resource.error_code));
    response.responses.extend(refused);
    cx.answer(&response)
}

fn check(cx: &RequestContext, resource: &AlterConfigsResource<'_>, is_twice: bool) -> Result<(), Refused> {
    let (kind, name) = (resource.resource_type, resource.resource_name);
    alteration::check_resource(cx, kind, name, is_twice)?;
    alteration::check_keys(resource.configs.iter().map(|config| (config.name, config.value.is_none())))?;
    if kind != ConfigResourceType::Broker as i8 {
        return Ok(());
    }
    alteration::check_broker(cx, name, |_| {
        let set = resource.configs.iter().filter_map(|config| Some((config.name.to_owned(), config.value?.to_owned())));
        Ok(set.collect())
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
