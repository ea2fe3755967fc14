//! The requests of a producer, and how their answers are read.

use std::future::Future;
use std::pin::Pin;

use ottla_protocol::message::Records;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};

use super::accumulator::{Drained, ProducerIdAndEpoch};
use super::answer::PartitionAnswer;
use super::batch::Acknowledged;
use crate::cluster::{Cluster, ClusterView};
use crate::config::{Acks, ProducerConfig};
use crate::connection::{Connection, Response};
use crate::error::{ConnectionError, Error, check};

/// The last version of Produce that names topics by name; later ones carry ids only (KIP-516).
const LAST_VERSION_WITH_NAMES: i16 = 12;

/// The answer to a request that was queued.
pub(super) type Started =
    Pin<Box<dyn Future<Output = Result<Option<Response<ProduceRequest<'static>>>, ConnectionError>> + Send>>;

/// Queues a Produce request; never waits.
pub(super) fn start(
    connection: &Connection,
    config: &ProducerConfig,
    drained: &[Drained],
    view: &ClusterView,
) -> Result<Started, ConnectionError> {
    let newest = connection.version::<ProduceRequest<'_>>()?;
    let with_ids = drained.iter().all(|d| view.topic(&d.topic).is_some_and(|t| !t.id.is_zero()));
    let version = if with_ids {
        newest
    } else {
        connection.version_at_most::<ProduceRequest<'_>>(newest.min(LAST_VERSION_WITH_NAMES))?
    };
    let request = ProduceRequest {
        acks: config.acks.code(),
        timeout_ms: i32::try_from(config.client.request_timeout.as_millis()).unwrap_or(i32::MAX),
        topic_data: topic_data(drained, view),
        ..Default::default()
    };
    if config.acks == Acks::None {
        let written = connection.start_unanswered(version, &request)?;
        let address = connection.address().to_owned();
        return Ok(Box::pin(async move {
            let lost = |_| Err(ConnectionError::Lost { address, cause: "closed".into() });
            written.await.unwrap_or_else(lost).map(|()| None)
        }));
    }
    let pending = connection.start(version, &request)?;
    let timeout = config.client.request_timeout;
    Ok(Box::pin(async move { pending.wait(timeout).await.map(Some) }))
}

fn topic_data<'d>(drained: &'d [Drained], view: &ClusterView) -> Vec<TopicProduceData<'d>> {
    let mut topics: Vec<TopicProduceData<'d>> = Vec::new();
    // Batches come ordered by topic.
    for d in drained {
        let partition =
            PartitionProduceData { index: d.partition, records: Records::Bytes(&d.batch.bytes), ..Default::default() };
        match topics.last_mut() {
            Some(last) if last.name == &*d.topic => last.partition_data.push(partition),
            _ => topics.push(TopicProduceData {
                name: &d.topic,
                topic_id: view.topic(&d.topic).map(|t| t.id).unwrap_or_default(),
                partition_data: vec![partition],
                ..Default::default()
            }),
        }
    }
    topics
}

pub(super) fn find<'r, 'f>(
    response: &'r ProduceResponse<'f>,
    d: &Drained,
    view: &ClusterView,
) -> Option<&'r PartitionProduceResponse<'f>> {
    let id = view.topic(&d.topic).map(|t| t.id).unwrap_or_default();
    let same_topic = |t: &&'r TopicProduceResponse<'f>| {
        if t.topic_id.is_zero() { t.name == &*d.topic } else { t.topic_id == id }
    };
    let topic = response.responses.iter().find(same_topic)?;
    topic.partition_responses.iter().find(|p| p.index == d.partition)
}

pub(super) fn owned(p: &PartitionProduceResponse<'_>) -> PartitionAnswer {
    PartitionAnswer {
        code: p.error_code,
        message: p.error_message.map(str::to_owned),
        acknowledged: Acknowledged { base_offset: p.base_offset, log_append_time_ms: p.log_append_time_ms },
    }
}

/// Asks any broker for a producer id; a producer that is only idempotent has no coordinator.
pub(super) async fn init_producer_id(cluster: &Cluster) -> Result<ProducerIdAndEpoch, Error> {
    let connection = cluster.any_broker().await?;
    let request =
        InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: i32::MAX, ..Default::default() };
    let response = connection.send(&request).await?;
    let decoded = response.decode()?;
    check(decoded.error_code, || "asking for a producer id".to_owned(), None)?;
    Ok(ProducerIdAndEpoch { id: decoded.producer_id, epoch: decoded.producer_epoch })
}
