//! DescribeQuorum (55), versions 0-2: who votes on the metadata log and how far each replica of it is; asked by
//! kafka-metadata-quorum on either listener, answered by the controller.
//!
//! Describe on the cluster, else CLUSTER_AUTHORIZATION_FAILED; a controller that cannot be asked: REQUEST_TIMED_OUT.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use ottla_protocol::messages::describe_quorum_response::DescribeQuorumResponse;

use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::forward;
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: DescribeQuorumRequest<'_> = cx.decode()?;
    let asked = if cx.authorized(Operation::Describe, Resource::Cluster) {
        ask(cx, &request).await
    } else {
        Err(ErrorCode::ClusterAuthorizationFailed)
    };
    match asked {
        Ok(body) => {
            let response: DescribeQuorumResponse<'_> =
                forward::decode(&body, cx.version).map_err(Refusal::Malformed)?;
            cx.count_error_code(response.error_code);
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.for_each(|partition| cx.count_error_code(partition.error_code));
            cx.answer(&response)
        }
        Err(code) => {
            cx.count_error(code);
            cx.answer(&DescribeQuorumResponse {
                error_code: code.code(),
                error_message: sentence(code),
                ..DescribeQuorumResponse::default()
            })
        }
    }
}
