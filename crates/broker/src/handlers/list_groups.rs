//! ListGroups (16), versions 0-5: the groups that this broker coordinates.
//!
//! * 4 and later filter by state (KIP-518), 5 by type (KIP-848), both without regard to case; an empty list means all.
//! * While a partition of `__consumer_offsets` is loaded: COORDINATOR_LOAD_IN_PROGRESS and no groups, so that nobody takes
//!   a part for the whole.

use ottla_coordinator::group::api::ListedGroup as Listed;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: ListGroupsRequest<'_> = cx.decode()?;
    let (code, listed) = list(cx, &request).map_or_else(|code| (code, Vec::new()), |l| (ErrorCode::None, l));
    cx.count_error(code);
    let groups = listed.iter().map(|group| ListedGroup {
        group_id: &group.group_id,
        protocol_type: &group.protocol_type,
        group_state: group.state,
        group_type: group.group_type,
        ..ListedGroup::default()
    });
    cx.answer(&ListGroupsResponse {
        error_code: code.code(),
        groups: groups.collect(),
        ..ListGroupsResponse::default()
    })
}

fn list(cx: &RequestContext, request: &ListGroupsRequest<'_>) -> Result<Vec<Listed>, ErrorCode> {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let (states, types) = (owned(&request.states_filter), owned(&request.types_filter));
    let mut groups = Vec::new();
    for slot in cx.broker.groups.slots() {
        match slot.read(|shard| shard.list(&states, &types)) {
            Ok(listed) => groups.extend(listed),
            // It ended since we looked; another broker lists its groups now.
            Err(ErrorCode::NotCoordinator) => {}
            Err(code) => return Err(code),
        }
    }
    if !cx.authorized(Operation::Describe, Resource::Cluster) {
        groups.retain(|group| cx.authorized(Operation::Describe, Resource::Group(&group.group_id)));
    }
    Ok(groups)
}
