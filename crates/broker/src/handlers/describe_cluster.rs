//! DescribeCluster (60), versions 0-2: the cluster's id and its nodes. On a listener of the broker the nodes are the
//! brokers, answered here; on a listener of the controller the controllers (KIP-919), which the controller answers, for it
//! knows who leads. What the principal may do to the cluster is added to its answer: it has no authorizer.
//!
//! * Asked on the wrong kind of listener: MISMATCHED_ENDPOINT_TYPE, or UNSUPPORTED_ENDPOINT_TYPE for a kind that does not
//!   exist. Version 0 cannot say what it wants and means brokers.
//! * Brokers without the listener that the request came in on are left out; fenced ones too, unless asked for (from 2).
//! * The controller id is, for clients of brokers, a live broker: they send it what is for the controller, and it passes
//!   that on.

use ottla_metadata::image::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};

use super::authorized_operations;
use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::forward;

/// Endpoint types of the wire (`EndpointType`).
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) fn handle(cx: RequestContext) -> Result<Answer, Refusal> {
    if cx.connection.listener.is_controller {
        return Ok(Answer::Later(Box::pin(async move { controllers(&cx).await })));
    }
    let cx = &cx;
    let request: DescribeClusterRequest<'_> = cx.decode()?;
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message = "this is a listener of a broker: ask a controller's";
            return refuse(cx, ErrorCode::MismatchedEndpointType, Some(message));
        }
        _ => return refuse(cx, ErrorCode::UnsupportedEndpointType, Some("the endpoint type is not known")),
    }
    let image = cx.broker.image();
    let brokers = brokers(cx, &image, request.include_fenced_brokers);
    cx.answer(&DescribeClusterResponse {
        cluster_id: &cx.broker.cluster_id,
        controller_id: brokers.iter().find(|broker| !broker.is_fenced).map_or(-1, |broker| broker.broker_id),
        brokers,
        cluster_authorized_operations: authorized_operations(cx, &request),
        ..DescribeClusterResponse::default()
    })
}

fn authorized_operations(cx: &RequestContext, request: &DescribeClusterRequest<'_>) -> i32 {
    match request.include_cluster_authorized_operations {
        true => authorized_operations::on_cluster(cx),
        false => authorized_operations::NOT_ASKED,
    }
}

async fn controllers(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: DescribeClusterRequest<'_> = cx.decode()?;
    let body = match ask(cx, &request).await {
        Ok(body) => body,
        Err(code) => return refuse(cx, code, sentence(code)),
    };
    let mut response: DescribeClusterResponse<'_> = forward::decode(&body, cx.version).map_err(Refusal::Malformed)?;
    match ErrorCode::from_code(response.error_code) {
        Some(ErrorCode::None) => response.cluster_authorized_operations = authorized_operations(cx, &request),
        refused => cx.count_error(refused.unwrap_or(ErrorCode::UnknownServerError)),
    }
    cx.answer(&response)
}

fn brokers<'a>(cx: &RequestContext, image: &'a MetadataImage, fenced_too: bool) -> Vec<DescribeClusterBroker<'a>> {
    let shown = image.cluster.brokers.values().filter(|broker| fenced_too || !broker.fenced);
    let described = shown.filter_map(|broker| {
        let endpoint = broker.listener(&cx.connection.listener.name)?;
        Some(DescribeClusterBroker {
            broker_id: broker.id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: broker.rack.as_deref(),
            is_fenced: broker.fenced,
            ..DescribeClusterBroker::default()
        })
    });
    described.collect()
}

fn refuse(cx: &RequestContext, code: ErrorCode, message: Option<&str>) -> Result<Answer, Refusal> {
    cx.count_error(code);
    cx.answer(&DescribeClusterResponse {
        error_code: code.code(),
        error_message: message,
        ..DescribeClusterResponse::default()
    })
}
