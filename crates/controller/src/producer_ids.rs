//! AllocateProducerIds (67): blocks of producer ids for the brokers to give out.

use ottla_metadata::records::ProducerIdsRecord;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use ottla_protocol::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use ottla_protocol::writer::EncodeError;

use crate::alter_partition::check_broker_epoch;
use crate::decision::{Decision, View};

/// Ids in a block (Kafka: `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub(crate) const BLOCK_IDS: i32 = 1000;

/// Gives the next block to a broker; none of its ids is ever given out again.
pub(crate) fn allocate(
    view: &View<'_>,
    request: &AllocateProducerIdsRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    let refuse = |error: ErrorCode| {
        let response = AllocateProducerIdsResponse { error_code: error as i16, ..Default::default() };
        Decision::new(vec![], &response, version)
    };
    if let Err(error) = check_broker_epoch(view, request.broker_id, request.broker_epoch) {
        return refuse(error);
    }
    let first = view.image.producer_ids.next_producer_id;
    let Some(next_producer_id) = first.checked_add(i64::from(BLOCK_IDS)) else {
        return refuse(ErrorCode::UnknownServerError);
    };
    let record =
        ProducerIdsRecord { broker_id: request.broker_id, broker_epoch: request.broker_epoch, next_producer_id };
    let response =
        AllocateProducerIdsResponse { producer_id_start: first, producer_id_len: BLOCK_IDS, ..Default::default() };
    Decision::new(vec![record.into()], &response, version)
}
