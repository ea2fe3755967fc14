//! DescribeGroups (15), versions 0-6: state and members of classic groups.
//!
//! * A group that does not exist is in state `Dead`; version 6 says GROUP_ID_NOT_FOUND besides (KIP-1043).
//! * 3 and later say what the caller may do, if it asks.

use ottla_coordinator::group::api::{DescribedGroup as Group, DescribedMember};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

use super::authorized_operations;
use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: DescribeGroupsRequest<'_> = cx.decode()?;
    let described: Vec<_> = request.groups.iter().map(|id| describe(cx, id)).collect();
    let groups = request.groups.iter().zip(&described).map(|(id, described)| match described {
        Ok(group) => {
            let mut response = group_response(cx, group);
            if request.include_authorized_operations && response.error_code == 0 {
                response.authorized_operations = authorized_operations::on_group(cx, id);
            }
            response
        }
        Err(code) => {
            cx.count_error(*code);
            DescribedGroup { group_id: id, error_code: code.code(), ..DescribedGroup::default() }
        }
    });
    cx.answer(&DescribeGroupsResponse { groups: groups.collect(), ..DescribeGroupsResponse::default() })
}

fn describe(cx: &RequestContext, id: &str) -> Result<Group, ErrorCode> {
    if !cx.authorized(Operation::Describe, Resource::Group(id)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    cx.broker.groups.slot_of(id)?.read(|shard| shard.describe(id))
}

fn group_response<'a>(cx: &RequestContext, group: &'a Group) -> DescribedGroup<'a> {
    let error = if cx.version >= 6 { group.error } else { ErrorCode::None };
    cx.count_error(error);
    DescribedGroup {
        error_code: error.code(),
        error_message: group.error_message.as_deref().filter(|_| cx.version >= 6),
        group_id: &group.group_id,
        group_state: group.state,
        protocol_type: &group.protocol_type,
        protocol_data: &group.protocol_name,
        members: group.members.iter().map(member_response).collect(),
        ..DescribedGroup::default()
    }
}

fn member_response(member: &DescribedMember) -> DescribedGroupMember<'_> {
    DescribedGroupMember {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
        ..DescribedGroupMember::default()
    }
}
