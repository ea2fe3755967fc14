//! JoinGroup (11), versions 0-9: a member joins the next generation of a classic group; the answer waits for the others.
//!
//! * 0 has no rebalance timeout: the session timeout takes its place.
//! * 4 and later: a new dynamic member first gets MEMBER_ID_REQUIRED and its id (KIP-394).
//! * 5 and later: static members (KIP-345). Before 7 the protocol name cannot be null (KIP-559).
//! * 9: a leader that came back may be told to keep the assignment (KIP-814).

use std::net::{IpAddr, SocketAddr};

use ottla_coordinator::group::api::{JoinRequest, JoinResponse, Protocol};
use ottla_env::random;
use ottla_protocol::messages::join_group_request::JoinGroupRequest;
use ottla_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use ottla_protocol::{ErrorCode, Uuid};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: JoinGroupRequest<'_> = cx.decode()?;
    let response = join(cx, &request).await.unwrap_or_else(|code| JoinResponse::error(request.member_id, code));
    cx.count_error(response.error);
    answer(cx, &response)
}

async fn join(cx: &RequestContext, request: &JoinGroupRequest<'_>) -> Result<JoinResponse, ErrorCode> {
    if !cx.authorized(Operation::Read, Resource::Group(request.group_id)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let protocols = request.protocols.iter();
    let protocols = protocols.map(|p| Protocol { name: p.name.to_owned(), metadata: p.metadata.into() }).collect();
    let join = JoinRequest {
        group_id: request.group_id.to_owned(),
        member_id: request.member_id.to_owned(),
        group_instance_id: request.group_instance_id.map(str::to_owned),
        client_id: cx.client_id().unwrap_or_default().to_owned(),
        client_host: java_address(cx.connection.peer),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if cx.version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms },
        protocol_type: request.protocol_type.to_owned(),
        protocols,
        known_member_id_required: cx.version >= 4,
        skip_assignment_supported: cx.version >= 9,
        random: Uuid(random::bytes16()),
    };
    cx.broker.groups.request(request.group_id, join).await
}

fn answer(cx: &RequestContext, response: &JoinResponse) -> Result<Answer, Refusal> {
    cx.answer(&JoinGroupResponse {
        error_code: response.error.code(),
        generation_id: response.generation_id,
        protocol_type: response.protocol_type.as_deref(),
        protocol_name: response.protocol_name.as_deref().or((cx.version < 7).then_some("")),
        leader: &response.leader,
        skip_assignment: response.skip_assignment,
        member_id: &response.member_id,
        members: response
            .members
            .iter()
            .map(|member| JoinGroupResponseMember {
                member_id: &member.member_id,
                group_instance_id: member.group_instance_id.as_deref(),
                metadata: &member.metadata,
                ..JoinGroupResponseMember::default()
            })
            .collect(),
        ..JoinGroupResponse::default()
    })
}

/// An address as Java's `InetAddress.toString` shows one without a name: a slash in front, IPv6 in full.
fn java_address(peer: SocketAddr) -> String {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => format!("/{ip}"),
        IpAddr::V6(ip) => format!("/{}", ip.segments().map(|segment| format!("{segment:x}")).join(":")),
    }
}

#[cfg(test)]
mod tests {
    use super::java_address;

    #[test]
    fn addresses_look_as_java_shows_them() {
        let shown = |address: &str| java_address(address.parse().expect("an address"));
        assert_eq!(shown("127.0.0.1:9"), "/127.0.0.1");
        assert_eq!(shown("[::1]:9"), "/0:0:0:0:0:0:0:1");
        assert_eq!(shown("[::ffff:10.0.0.1]:9"), "/10.0.0.1");
    }
}
