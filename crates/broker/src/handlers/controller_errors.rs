//! Asking the controller on behalf of a client, and the code for a controller that could not be asked.

use ottla_metadata::controller_door::DoorError;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::Message;

use crate::context::RequestContext;
use crate::forward::ForwardError;

/// Asks the controller at the request's own version; gives the body of its response.
///
/// # Errors
/// The code that a client gets when there is no answer.
pub(crate) async fn ask<'m, M: Message<'m>>(cx: &RequestContext, request: &M) -> Result<Vec<u8>, ErrorCode> {
    let asked = cx.broker.ask_controller(cx.door_context(), cx.api, cx.version, request).await;
    asked.map_err(|cause| {
        tracing::warn!(request = ?cx, %cause, "the controller could not be asked");
        code(&cause)
    })
}

/// Clients try again after REQUEST_TIMED_OUT: which controller is asked, and whether there is one, is not their business.
fn code(cause: &ForwardError) -> ErrorCode {
    match cause {
        ForwardError::Encode(_) => ErrorCode::UnknownServerError,
        ForwardError::Door(DoorError::NotController | DoorError::TimedOut { .. } | DoorError::Busy) => {
            ErrorCode::RequestTimedOut
        }
        ForwardError::Door(DoorError::Stopping) => ErrorCode::RequestTimedOut,
        ForwardError::Door(DoorError::Unsupported { .. }) => ErrorCode::UnsupportedVersion,
        ForwardError::Door(DoorError::Malformed(_)) => ErrorCode::InvalidRequest,
    }
}

/// The sentence beside the code of [`ask`].
pub(crate) fn sentence(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::RequestTimedOut => Some("the controller did not answer; try again"),
        _ => None,
    }
}
