//! InitProducerId (22), versions 0-5: gives an idempotent producer its id; any broker answers.
//!
//! * Without a transactional id: a new id with epoch 0. A producer that names its old id gets a new one all the same.
//! * With one: TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which no client retries, until transactions are served.
//! * Exactly one of producer id and epoch given (KIP-360): INVALID_REQUEST.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::messages::init_producer_id_response::InitProducerIdResponse;

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: InitProducerIdRequest<'_> = cx.decode()?;
    let response = match producer_id(cx, &request).await {
        Ok(producer_id) => {
            InitProducerIdResponse { producer_id, producer_epoch: 0, ..InitProducerIdResponse::default() }
        }
        Err(code) => {
            cx.count_error(code);
            InitProducerIdResponse { error_code: code.code(), producer_epoch: -1, ..InitProducerIdResponse::default() }
        }
    };
    cx.answer(&response)
}

async fn producer_id(cx: &RequestContext, request: &InitProducerIdRequest<'_>) -> Result<i64, ErrorCode> {
    match request.transactional_id {
        Some("") => return Err(ErrorCode::InvalidRequest),
        Some(id) => {
            tracing::info!(transactional_id = id, peer = %cx.connection.peer,
                "refusing a transactional producer: transactions are not served yet");
            return Err(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        None => {}
    }
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Err(ErrorCode::InvalidRequest);
    }
    // As in Kafka a principal that may write to any topic needs no IdempotentWrite; the authorizer answers for both.
    if !cx.authorized(Operation::IdempotentWrite, Resource::Cluster) {
        return Err(ErrorCode::ClusterAuthorizationFailed);
    }
    cx.broker.producer_ids.next(&cx.broker).await
}
