//! DeleteGroups (42), versions 0-3: an administrator deletes groups without members, with their offsets (KIP-229).
//!
//! * Members: NON_EMPTY_GROUP. No such group: GROUP_ID_NOT_FOUND. A group of a protocol that is not served here, whose
//!   records are left as they are: GROUP_DELETION_FAILED. 3 explains errors.

use ottla_coordinator::group::api::DeleteGroupsRequest as Delete;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use ottla_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: DeleteGroupsRequest<'_> = cx.decode()?;
    let mut results = Vec::with_capacity(request.groups_names.len());
    for id in &request.groups_names {
        let code = delete(cx, id).await.unwrap_or_else(|code| code);
        cx.count_error(code);
        results.push(DeletableGroupResult {
            group_id: id,
            error_code: code.code(),
            error_message: sentence(code),
            ..DeletableGroupResult::default()
        });
    }
    cx.answer(&DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() })
}

async fn delete(cx: &RequestContext, id: &str) -> Result<ErrorCode, ErrorCode> {
    if !cx.authorized(Operation::Delete, Resource::Group(id)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    let results = cx.broker.groups.request(id, Delete { groups: vec![id.to_owned()] }).await?;
    Ok(results.first().map_or(ErrorCode::UnknownServerError, |(_, code)| *code))
}

/// What the code does not say by itself.
fn sentence(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::GroupDeletionFailed => {
            Some("The group is of a protocol that is not served here; it is left as it is.")
        }
        _ => None,
    }
}
