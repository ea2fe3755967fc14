//! CreatePartitions (37), versions 0-3: more partitions for topics, by the controller. The count is the new total.
//!
//! * Each topic needs Alter on its name: TOPIC_AUTHORIZATION_FAILED.
//! * A topic that is named twice: INVALID_REQUEST for it, as Kafka answers before anything is done.
//! * The controller answers the rest: 3, 37, 38, 39.
//! * A controller that cannot be asked: REQUEST_TIMED_OUT for each topic.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_request::CreatePartitionsRequest;
use ottla_protocol::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};

use super::controller_errors::{ask, sentence};
use crate::context::{Answer, Refusal, RequestContext};
use crate::forward;
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: CreatePartitionsRequest<'_> = cx.decode()?;
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(topic.name).or_default() += 1;
    }
    let mut refused: Vec<CreatePartitionsTopicResult<'_>> = Vec::new();
    for (name, times) in &times {
        if *times > 1 {
            refused.push(failed(cx, name, ErrorCode::InvalidRequest, Some("the topic is named twice")));
        } else if !cx.authorized(Operation::Alter, Resource::Topic(name)) {
            refused.push(failed(cx, name, ErrorCode::TopicAuthorizationFailed, None));
        }
    }
    let is_refused = |name: &str| refused.iter().any(|result| result.name == name);
    let allowed: Vec<_> = request.topics.iter().filter(|topic| !is_refused(topic.name)).cloned().collect();
    let forwarded = CreatePartitionsRequest { topics: allowed, ..request.clone() };
    let body = match ask(cx, &forwarded).await {
        Ok(body) => body,
        Err(code) => {
            let asked = forwarded.topics.iter().map(|topic| failed(cx, topic.name, code, sentence(code)));
            let results = asked.chain(refused).collect();
            return cx.answer(&CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() });
        }
    };
    let mut response: CreatePartitionsResponse<'_> = forward::decode(&body, cx.version).map_err(Refusal::Malformed)?;
    response.results.iter().for_each(|topic| cx.count_error_code(topic.error_code));
    response.results.extend(refused);
    cx.answer(&response)
}

fn failed<'a>(
    cx: &RequestContext,
    name: &'a str,
    code: ErrorCode,
    error_message: Option<&'a str>,
) -> CreatePartitionsTopicResult<'a> {
    cx.count_error(code);
    CreatePartitionsTopicResult {
        name,
        error_code: code.code(),
        error_message,
        ..CreatePartitionsTopicResult::default()
    }
}
