//! Vote (52), BeginQuorumEpoch (53), EndQuorumEpoch (54) and FetchSnapshot (59): what controllers say to each other. Passed
//! on as it came, if the principal may; else answered with CLUSTER_AUTHORIZATION_FAILED for the whole request, as in Kafka
//! (`ControllerApis`).

use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::begin_quorum_epoch_response::BeginQuorumEpochResponse;
use ottla_protocol::messages::end_quorum_epoch_response::EndQuorumEpochResponse;
use ottla_protocol::messages::fetch_snapshot_response::FetchSnapshotResponse;
use ottla_protocol::messages::vote_response::VoteResponse;

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) fn handle(cx: RequestContext, operation: Operation) -> Result<Answer, Refusal> {
    if !cx.authorized(operation, Resource::Cluster) {
        return refuse(&cx, ErrorCode::ClusterAuthorizationFailed);
    }
    Ok(Answer::Later(Box::pin(async move { cx.forward_to_controller().await.map(Answer::exempt) })))
}

fn refuse(cx: &RequestContext, code: ErrorCode) -> Result<Answer, Refusal> {
    cx.count_error(code);
    let error_code = code.code();
    match cx.api {
        ApiKey::Vote => cx.answer(&VoteResponse { error_code, ..Default::default() }),
        ApiKey::BeginQuorumEpoch => cx.answer(&BeginQuorumEpochResponse { error_code, ..Default::default() }),
        ApiKey::EndQuorumEpoch => cx.answer(&EndQuorumEpochResponse { error_code, ..Default::default() }),
        ApiKey::FetchSnapshot => cx.answer(&FetchSnapshotResponse { error_code, ..Default::default() }),
        // A line of the table for which no answer is written down here.
        _ => Err(Refusal::NotAuthorized),
    }
}
