//! Producer ids come from the controller in blocks (AllocateProducerIds, KIP-730); this hands them out one by one.

use ottla_metadata::controller_door::DoorContext;
use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use ottla_protocol::messages::allocate_producer_ids_response::AllocateProducerIdsResponse;
use tokio::sync::Mutex;

use crate::broker::Broker;

/// The block in use.
#[derive(Debug, Default)]
pub struct ProducerIds {
    /// Next id and the end of the block. A lock of tokio's, because one request fetches a block for all that wait.
    block: Mutex<(i64, i64)>,
}

impl ProducerIds {
    /// The next id.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS when the controller cannot give a block now, as Kafka answers: clients try again.
    pub async fn next(&self, broker: &Broker) -> Result<i64, ErrorCode> {
        let mut block = self.block.lock().await;
        if block.0 >= block.1 {
            *block = allocate(broker).await?;
        }
        block.0 += 1;
        Ok(block.0 - 1)
    }
}

async fn allocate(broker: &Broker) -> Result<(i64, i64), ErrorCode> {
    let request = AllocateProducerIdsRequest {
        broker_id: broker.config.node_id,
        broker_epoch: broker.epoch(),
        ..AllocateProducerIdsRequest::default()
    };
    let unavailable = |cause: String| {
        tracing::warn!(%cause, "no block of producer ids from the controller; producers are told to try again");
        ErrorCode::CoordinatorLoadInProgress
    };
    let bytes = broker
        .ask_controller(
            DoorContext::of_this_node(&broker.config.inter_broker_listener_name),
            ApiKey::AllocateProducerIds,
            0,
            &request,
        )
        .await
        .map_err(|e| unavailable(e.to_string()))?;
    let response: AllocateProducerIdsResponse<'_> =
        crate::forward::decode(&bytes, 0).map_err(|e| unavailable(e.to_string()))?;
    match ErrorCode::from_code(response.error_code) {
        Some(ErrorCode::None) if response.producer_id_len > 0 => {
            let start = response.producer_id_start;
            Ok((start, start.saturating_add(i64::from(response.producer_id_len))))
        }
        code => Err(unavailable(format!("answered {code:?}"))),
    }
}
