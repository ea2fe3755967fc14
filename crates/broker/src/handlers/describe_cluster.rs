//! DescribeCluster (60), versions 0-2: the cluster's id and its nodes. On a listener of the broker the nodes are the
//! brokers, on a listener of the controller the controllers (KIP-919).
//!
//! * Asked on the wrong kind of listener (from 1): MISMATCHED_ENDPOINT_TYPE, or UNSUPPORTED_ENDPOINT_TYPE for a kind that
//!   does not exist.
//! * Brokers without the listener that the request came in on are left out; fenced ones too, unless asked for (from 2).
//! * The controller id is, for clients of brokers, a live broker: they send it what is for the controller, and it passes
//!   that on.

use ottla_metadata::image::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};

use super::authorized_operations;
use crate::context::{Answer, Refusal, RequestContext};

/// Endpoint types of the wire (`EndpointType`).
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) fn handle(cx: RequestContext) -> Result<Answer, Refusal> {
    let request: DescribeClusterRequest<'_> = cx.decode()?;
    let served = if cx.connection.listener.is_controller { CONTROLLERS } else { BROKERS };
    // Version 0 cannot say what it wants.
    if cx.version >= 1 && request.endpoint_type != served {
        return mismatch(&cx, request.endpoint_type);
    }
    let image = cx.broker.image();
    let brokers = match served {
        CONTROLLERS => controllers(&cx, &image),
        _ => brokers(&cx, &image, request.include_fenced_brokers),
    };
    let cluster_authorized_operations = match request.include_cluster_authorized_operations {
        true => authorized_operations::on_cluster(&cx),
        false => authorized_operations::NOT_ASKED,
    };
    cx.answer(&DescribeClusterResponse {
        endpoint_type: served,
        cluster_id: &cx.broker.cluster_id,
        controller_id: brokers.iter().find(|broker| !broker.is_fenced).map_or(-1, |broker| broker.broker_id),
        brokers,
        cluster_authorized_operations,
        ..DescribeClusterResponse::default()
    })
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

fn controllers<'a>(cx: &RequestContext, image: &'a MetadataImage) -> Vec<DescribeClusterBroker<'a>> {
    let described = image.cluster.controllers.values().filter_map(|controller| {
        let endpoint = controller.listeners.iter().find(|e| e.name == cx.connection.listener.name)?;
        Some(DescribeClusterBroker {
            broker_id: controller.id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            ..DescribeClusterBroker::default()
        })
    });
    described.collect()
}

fn mismatch(cx: &RequestContext, asked: i8) -> Result<Answer, Refusal> {
    let (code, message) = match asked {
        BROKERS => {
            (ErrorCode::MismatchedEndpointType, "this is a listener of the controller: ask a broker for brokers")
        }
        CONTROLLERS => (ErrorCode::MismatchedEndpointType, "this is a listener of a broker: ask a controller's"),
        _ => (ErrorCode::UnsupportedEndpointType, "the endpoint type is not known"),
    };
    cx.broker.counters.error(code);
    cx.answer(&DescribeClusterResponse {
        error_code: code.code(),
        error_message: Some(message),
        endpoint_type: asked,
        ..DescribeClusterResponse::default()
    })
}
