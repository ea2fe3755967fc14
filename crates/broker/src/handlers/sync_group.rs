//! SyncGroup (14), versions 0-5: the leader hands in the assignment, every member gets its part once that is committed.
//!
//! * 3 and later: static members (KIP-345). 5: the protocol is named and must be the group's (KIP-559).

use ottla_coordinator::group::api::{SyncRequest, SyncResponse};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::sync_group_request::SyncGroupRequest;
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: SyncGroupRequest<'_> = cx.decode()?;
    let response = sync(cx, &request).await.unwrap_or_else(SyncResponse::error);
    cx.count_error(response.error);
    cx.answer(&SyncGroupResponse {
        error_code: response.error.code(),
        protocol_type: response.protocol_type.as_deref(),
        protocol_name: response.protocol_name.as_deref(),
        assignment: &response.assignment,
        ..SyncGroupResponse::default()
    })
}

async fn sync(cx: &RequestContext, request: &SyncGroupRequest<'_>) -> Result<SyncResponse, ErrorCode> {
    if !cx.authorized(Operation::Read, Resource::Group(request.group_id)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    // The protocol is mandatory where the version has it.
    if cx.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    let assignments = request.assignments.iter().map(|a| (a.member_id.to_owned(), a.assignment.into())).collect();
    let sync = SyncRequest {
        group_id: request.group_id.to_owned(),
        generation_id: request.generation_id,
        member_id: request.member_id.to_owned(),
        group_instance_id: request.group_instance_id.map(str::to_owned),
        protocol_type: request.protocol_type.map(str::to_owned),
        protocol_name: request.protocol_name.map(str::to_owned),
        assignments,
    };
    cx.broker.groups.request(request.group_id, sync).await
}
