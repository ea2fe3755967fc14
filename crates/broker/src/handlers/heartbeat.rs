//! Heartbeat (12), versions 0-4: a member of a classic group is alive, and learns that it must join again.
//!
//! * While the groups are loaded the answer is 0, as Kafka's: the sessions begin when that is done.
//! * 3 and later: static members (KIP-345).

use ottla_coordinator::group::api::HeartbeatRequest as Beat;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::heartbeat_response::HeartbeatResponse;

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: HeartbeatRequest<'_> = cx.decode()?;
    let code = match heartbeat(cx, &request).await {
        Ok(code) => code,
        Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
        Err(code) => code,
    };
    cx.count_error(code);
    cx.answer(&HeartbeatResponse { error_code: code.code(), ..HeartbeatResponse::default() })
}

async fn heartbeat(cx: &RequestContext, request: &HeartbeatRequest<'_>) -> Result<ErrorCode, ErrorCode> {
    if !cx.authorized(Operation::Read, Resource::Group(request.group_id)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let beat = Beat {
        group_id: request.group_id.to_owned(),
        generation_id: request.generation_id,
        member_id: request.member_id.to_owned(),
        group_instance_id: request.group_instance_id.map(str::to_owned),
    };
    cx.broker.groups.request(request.group_id, beat).await
}
