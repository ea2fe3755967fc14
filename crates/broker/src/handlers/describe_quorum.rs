//! DescribeQuorum (55), versions 0-2: who votes on the metadata log and how far each replica of it is; asked by
//! kafka-metadata-quorum on either listener, answered by the controller.
//!
//! Describe on the cluster, else CLUSTER_AUTHORIZATION_FAILED; a controller that cannot be asked: REQUEST_TIMED_OUT.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use ottla_protocol::messages::describe_quorum_response::DescribeQuorumResponse;

use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: DescribeQuorumRequest<'_> = cx.decode()?;
    let asked = if cx.authorized(Operation::Describe, Resource::Cluster) {
        ask(cx, &request).await
    } else {
        Err(ErrorCode::ClusterAuthorizationFailed)
    };
    match asked {
        Ok(body) => Ok(cx.answer_raw(&body)),
        Err(code) => {
            cx.broker.counters.error(code);
            cx.answer(&DescribeQuorumResponse {
                error_code: code.code(),
                error_message: sentence(code),
                ..DescribeQuorumResponse::default()
            })
        }
    }
}
