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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, decode};

    fn block(cluster: &mut Cluster, broker_epoch: i64) -> (i16, i64, i32) {
        let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch, ..Default::default() };
        let (body, _) = cluster.run(|view| allocate(view, &request, 0));
        let response: AllocateProducerIdsResponse<'_> = decode(&body, 0);
        (response.error_code, response.producer_id_start, response.producer_id_len)
    }

    #[test]
    fn no_id_is_given_out_twice() {
        let mut cluster = Cluster::new(1);
        assert_eq!(block(&mut cluster, 101), (0, 0, 1000));
        assert_eq!(block(&mut cluster, 101), (0, 1000, 1000));
        assert_eq!(block(&mut cluster, 7).0, ErrorCode::StaleBrokerEpoch as i16);
        assert_eq!(cluster.image.producer_ids.next_producer_id, 2000);
    }
}
