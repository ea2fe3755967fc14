//! A request and the type of its answer, so that whoever asks need not take a [`GroupResponse`] apart.

use ottla_protocol::ErrorCode;

use super::api::{
    DeleteGroupsRequest, GroupRequest, GroupResponse, HeartbeatRequest, JoinRequest, JoinResponse, LeaveRequest,
    LeaveResponse, OffsetCommitRequest, OffsetDeleteRequest, OffsetDeleteResponse, SyncRequest, SyncResponse,
    TopicResult,
};

/// A request that changes a group.
pub trait Call {
    /// Its answer.
    type Response;

    /// As the shard takes it.
    fn into_request(self) -> GroupRequest;

    /// The answer of the same name; `None` for another one, which would be a defect of the shard.
    fn response(response: GroupResponse) -> Option<Self::Response>;
}

macro_rules! calls {
    ($($name:ident $request:ty => $response:ty,)*) => {
        $(impl Call for $request {
            type Response = $response;

            fn into_request(self) -> GroupRequest {
                GroupRequest::$name(self)
            }

            fn response(response: GroupResponse) -> Option<$response> {
                if let GroupResponse::$name(response) = response { Some(response) } else { None }
            }
        })*
    };
}

calls! {
    Join JoinRequest => JoinResponse,
    Sync SyncRequest => SyncResponse,
    Heartbeat HeartbeatRequest => ErrorCode,
    Leave LeaveRequest => LeaveResponse,
    OffsetCommit OffsetCommitRequest => Vec<TopicResult>,
    OffsetDelete OffsetDeleteRequest => OffsetDeleteResponse,
    Delete DeleteGroupsRequest => Vec<(String, ErrorCode)>,
}
