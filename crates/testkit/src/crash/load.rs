//! A producer that sends without a pause and records what it was promised.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::{ClientConfig, Delivery as Promise, Error, Producer, ProducerConfig, ProducerRecord};
use ottla_env::task::StopSignal;
use ottla_env::time::{sleep, timeout};

use super::PARTITIONS;
use crate::history::{Delivery, Event, Recorder, Value};

/// Records on their way at a time.
const MAX_PENDING: usize = 500;
/// Values sent between two pauses, which keep a history of minutes in memory.
const BURST: u64 = 20;
/// Longer than `delivery.timeout.ms`, which bounds the wait for an outcome.
const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(10);

pub(super) async fn produce(
    client: ClientConfig,
    topic: &'static str,
    delivery: Delivery,
    recorder: Arc<Recorder>,
    stop: StopSignal,
) -> Result<(), Error> {
    let config =
        ProducerConfig { client, enable_idempotence: delivery == Delivery::Idempotent, ..ProducerConfig::default() };
    let producer = Producer::connect(config).await?;
    let number = recorder.producer(delivery);
    let mut pending: VecDeque<(Value, Promise)> = VecDeque::new();
    let mut sequence = 0;
    while !stop.is_stopped() {
        let value = Value { producer: number, sequence };
        recorder.saw(Event::Sent(value));
        let partition = i32::try_from(sequence % PARTITIONS as u64).expect("fewer than PARTITIONS");
        let (key, bytes) = (value.key().to_be_bytes(), value.to_bytes());
        let record = ProducerRecord::new(topic, &bytes).with_key(&key).with_partition(partition);
        let promise = producer.send(record).await?;
        pending.push_back((value, promise));
        sequence += 1;
        if pending.len() >= MAX_PENDING {
            note_oldest(&mut pending, &recorder).await;
        }
        if sequence % BURST == 0 {
            sleep(PAUSE).await;
        }
    }
    while !pending.is_empty() {
        note_oldest(&mut pending, &recorder).await;
    }
    Ok(())
}

/// Waits for what became of the oldest value. A failure promises nothing: the value may be in the log or not.
async fn note_oldest(pending: &mut VecDeque<(Value, Promise)>, recorder: &Recorder) {
    let Some((value, promise)) = pending.pop_front() else { return };
    match timeout(PATIENCE, promise.wait())
        .await
        .unwrap_or_else(|_| panic!("{value} has no outcome after {PATIENCE:?}"))
    {
        Ok(at) => {
            let offset = Some(at.offset).filter(|offset| *offset >= 0);
            recorder.saw(Event::Acknowledged { value, partition: at.partition, offset });
        }
        Err(error) => eprintln!("{value} failed: {error}"),
    }
}
