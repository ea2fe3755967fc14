//! CreateTopics (19), versions 2-7: new topics, by the controller.
//!
//! * Who may create on the cluster may create all; else each topic needs Create on its name: TOPIC_AUTHORIZATION_FAILED.
//! * Everything else (names, counts, replicas, configurations, `validate_only`) is decided by the controller, whose answer
//!   is passed on: 17, 36, 37, 38, 39, 40, 42, 44. From version 4 a count or factor of -1 is the broker's default.
//! * A controller that cannot be asked: REQUEST_TIMED_OUT for each topic, and clients try again.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};

use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::forward;
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: CreateTopicsRequest<'_> = cx.decode()?;
    let may_create = |topic: &CreatableTopic<'_>| {
        cx.authorized(Operation::Create, Resource::Cluster)
            || cx.authorized(Operation::Create, Resource::Topic(topic.name))
    };
    let (allowed, refused): (Vec<_>, Vec<_>) = request.topics.iter().cloned().partition(may_create);
    let forwarded = CreateTopicsRequest { topics: allowed, ..request.clone() };
    let body = match ask(cx, &forwarded).await {
        Ok(body) => body,
        Err(code) => {
            let topics = request.topics.iter().map(|topic| failed(cx, topic.name, code)).collect();
            return cx.answer(&CreateTopicsResponse { topics, ..CreateTopicsResponse::default() });
        }
    };
    let mut response: CreateTopicsResponse<'_> = forward::decode(&body, cx.version).map_err(Refusal::Malformed)?;
    response.topics.iter().for_each(|topic| cx.count_error_code(topic.error_code));
    response.topics.extend(refused.iter().map(|topic| failed(cx, topic.name, ErrorCode::TopicAuthorizationFailed)));
    cx.answer(&response)
}

fn failed<'a>(cx: &RequestContext, name: &'a str, code: ErrorCode) -> CreatableTopicResult<'a> {
    cx.count_error(code);
    CreatableTopicResult {
        name,
        error_code: code.code(),
        error_message: sentence(code),
        ..CreatableTopicResult::default()
    }
}
