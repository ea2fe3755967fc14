//! DeleteTopics (20), versions 1-6: topics and their records go, by the controller.
//!
//! * Topics are named; from version 6 by name or by id.
//! * With `delete.topic.enable=false`: TOPIC_DELETION_DISABLED, before version 3 INVALID_REQUEST, for each.
//! * Each topic needs Delete on its name: TOPIC_AUTHORIZATION_FAILED, without its name for one that was asked for by id.
//! * The controller answers the rest: 3, or 100 for an id, when there is no such topic.
//! * A controller that cannot be asked: REQUEST_TIMED_OUT for each topic.

use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use ottla_protocol::{ErrorCode, Uuid};

use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::forward;
use crate::security::authorizer::{Operation, Resource};

/// First version in which topics are named in a struct of their own.
const BY_ID: i16 = 6;

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: DeleteTopicsRequest<'_> = cx.decode()?;
    let asked: Vec<DeleteTopicState<'_>> = match cx.version {
        BY_ID.. => request.topics.clone(),
        _ => {
            request.topic_names.iter().map(|name| DeleteTopicState { name: Some(name), ..Default::default() }).collect()
        }
    };
    if !cx.broker.config.delete_topic_enable {
        let code = if cx.version < 3 { ErrorCode::InvalidRequest } else { ErrorCode::TopicDeletionDisabled };
        return all(cx, &asked, code);
    }
    let (allowed, refused): (Vec<_>, Vec<_>) = asked.iter().cloned().partition(|topic| may_delete(cx, topic));
    let forwarded = match cx.version {
        BY_ID.. => DeleteTopicsRequest { topics: allowed, ..request.clone() },
        _ => DeleteTopicsRequest {
            topic_names: allowed.iter().filter_map(|topic| topic.name).collect(),
            ..request.clone()
        },
    };
    let body = match ask(cx, &forwarded).await {
        Ok(body) => body,
        Err(code) => return all(cx, &asked, code),
    };
    let mut response: DeleteTopicsResponse<'_> = forward::decode(&body, cx.version).map_err(Refusal::Malformed)?;
    response.responses.iter().for_each(|topic| cx.count_error_code(topic.error_code));
    let code = ErrorCode::TopicAuthorizationFailed;
    response.responses.extend(refused.iter().map(|topic| failed(cx, topic.name, topic.topic_id, code)));
    cx.answer(&response)
}

/// What is not there may be asked for: the controller says so.
fn may_delete(cx: &RequestContext, topic: &DeleteTopicState<'_>) -> bool {
    let image = cx.broker.image();
    let by_id = image.topics.by_id(topic.topic_id).map(|topic| &*topic.name);
    topic.name.or(by_id).is_none_or(|name| cx.authorized(Operation::Delete, Resource::Topic(name)))
}

fn all(cx: &RequestContext, asked: &[DeleteTopicState<'_>], code: ErrorCode) -> Result<Answer, Refusal> {
    let responses = asked.iter().map(|topic| failed(cx, topic.name, topic.topic_id, code)).collect();
    cx.answer(&DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() })
}

fn failed<'a>(cx: &RequestContext, name: Option<&'a str>, topic_id: Uuid, code: ErrorCode) -> DeletableTopicResult<'a> {
    cx.count_error(code);
    let error_message = match code {
        ErrorCode::TopicDeletionDisabled | ErrorCode::InvalidRequest => {
            Some("delete.topic.enable is false on this broker")
        }
        code => sentence(code),
    };
    DeletableTopicResult { name, topic_id, error_code: code.code(), error_message, ..DeletableTopicResult::default() }
}
