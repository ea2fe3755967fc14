//! LeaveGroup (13), versions 0-5: members leave a classic group, or an administrator removes them.
//!
//! * Up to 2 one member by its id, whose code is that of the answer. From 3 many, static ones by instance id too
//!   (KIP-345), each with a code. 5 has reasons (KIP-800), which go to the log.

use ottla_coordinator::group::api::{LeaveRequest, LeaveResponse, LeavingMember};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::leave_group_request::LeaveGroupRequest;
use ottla_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: LeaveGroupRequest<'_> = cx.decode()?;
    let refused = |error| LeaveResponse { error, members: Vec::new() };
    let LeaveResponse { error, members } = leave(cx, &request).await.unwrap_or_else(refused);
    let code = match members.first() {
        Some((_, of_the_member)) if cx.version < 3 && error.is_none() => *of_the_member,
        _ => error,
    };
    cx.count_error(code);
    let members = if cx.version < 3 { Vec::new() } else { members.iter().map(member_response).collect() };
    cx.answer(&LeaveGroupResponse { error_code: code.code(), members, ..LeaveGroupResponse::default() })
}

fn member_response((member, code): &(LeavingMember, ErrorCode)) -> MemberResponse<'_> {
    MemberResponse {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        error_code: code.code(),
        ..MemberResponse::default()
    }
}

async fn leave(cx: &RequestContext, request: &LeaveGroupRequest<'_>) -> Result<LeaveResponse, ErrorCode> {
    if !cx.authorized(Operation::Read, Resource::Group(request.group_id)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let members = if cx.version < 3 {
        vec![LeavingMember { member_id: request.member_id.to_owned(), group_instance_id: None }]
    } else {
        request
            .members
            .iter()
            .inspect(|m| tracing::debug!(group = request.group_id, member = m.member_id, reason = m.reason, "leaves"))
            .map(|m| LeavingMember {
                member_id: m.member_id.to_owned(),
                group_instance_id: m.group_instance_id.map(str::to_owned),
            })
            .collect()
    };
    let leave = LeaveRequest { group_id: request.group_id.to_owned(), members };
    cx.broker.groups.request(request.group_id, leave).await
}
