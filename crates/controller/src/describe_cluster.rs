//! DescribeCluster (60) on a controller listener (KIP-919): the controllers, for tools that were given
//! `--bootstrap-controller`. A broker answers the same request for the brokers.

use ottla_metadata::MetadataImage;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use ottla_protocol::writer::EncodeError;

use crate::decision::encode;

/// `EndpointType` of a request that asks for brokers.
const BROKERS: i8 = 1;
/// `EndpointType` of a request that asks for controllers.
const CONTROLLERS: i8 = 2;

/// Names the controllers that registered, as they are reached on `listener`.
pub(crate) fn describe(
    image: &MetadataImage,
    cluster_id: &str,
    leader_id: Option<i32>,
    listener: &str,
    request: &DescribeClusterRequest<'_>,
    version: i16,
) -> Result<Vec<u8>, EncodeError> {
    let refusal = match request.endpoint_type {
        CONTROLLERS => None,
        BROKERS => Some((
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of type BROKER",
        )),
        _ => Some((ErrorCode::UnsupportedEndpointType, "Unsupported endpoint type")),
    };
    if let Some((error, message)) = refusal {
        let response =
            DescribeClusterResponse { error_code: error as i16, error_message: Some(message), ..Default::default() };
        return encode(&response, version);
    }
    let controllers = image.cluster.controllers.values().filter_map(|controller| {
        let endpoint = controller.listeners.iter().find(|l| l.name == listener)?;
        Some(DescribeClusterBroker {
            broker_id: controller.id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            ..Default::default()
        })
    });
    let response = DescribeClusterResponse {
        endpoint_type: CONTROLLERS,
        cluster_id,
        controller_id: leader_id.unwrap_or(-1),
        brokers: controllers.collect(),
        ..Default::default()
    };
    encode(&response, version)
}
