//! Members of a group: they read, commit what they have read, and ask what is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ottla_client::config::OffsetReset;
use ottla_client::{ClientConfig, Consumer, ConsumerConfig, ConsumerRecord, Error, TopicPartition};
use ottla_env::task::StopSignal;
use ottla_env::time::{Instant, timeout};

use super::{PARTITIONS, TOPIC};
use crate::history::{Event, Recorder, Value};

const GROUP: &str = "crash-group";
const POLL: Duration = Duration::from_millis(200);
/// Longer than `default.api.timeout.ms`, which bounds every step.
const STEP_PATIENCE: Duration = Duration::from_secs(90);
const COMMIT_INTERVAL: Duration = Duration::from_millis(150);

fn config(client: ClientConfig) -> ConsumerConfig {
    ConsumerConfig {
        client,
        group_id: Some(GROUP.to_owned()),
        enable_auto_commit: false,
        auto_offset_reset: OffsetReset::Earliest,
        session_timeout: Duration::from_secs(6),
        heartbeat_interval: Duration::from_millis(500),
        fetch_max_wait: Duration::from_millis(100),
        ..ConsumerConfig::default()
    }
}

/// Reads as a member of the group until told to stop.
pub(super) async fn consume(
    client: ClientConfig,
    number: usize,
    recorder: Arc<Recorder>,
    stop: StopSignal,
) -> Result<(), Error> {
    let mut consumer = Consumer::connect(config(client)).await?;
    consumer.subscribe([TOPIC])?;
    let rebalances = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&rebalances);
    consumer.on_rebalance(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let mut committed_at = Instant::now();
    while !stop.is_stopped() {
        // Errors of a dead broker or a group in motion pass; a record that is lost by them is seen by the checkers.
        match within("a poll", consumer.poll(POLL)).await {
            Ok(records) => {
                let name: Arc<str> = format!("member-{number}/{}", rebalances.load(Ordering::Relaxed)).into();
                records.iter().for_each(|record| recorder.saw(read(&name, record)));
            }
            Err(error) => eprintln!("member-{number} cannot read: {error}"),
        }
        if committed_at.elapsed() >= COMMIT_INTERVAL {
            commit(&mut consumer, &recorder, number).await;
            committed_at = Instant::now();
        }
    }
    commit(&mut consumer, &recorder, number).await;
    within("leaving the group", consumer.close()).await
}

/// A client that waits for ever would have the ring wait with it.
pub(super) async fn within<T>(what: &str, step: impl Future<Output = T>) -> T {
    timeout(STEP_PATIENCE, step).await.unwrap_or_else(|_| panic!("{what} took more than {STEP_PATIENCE:?}"))
}

pub(super) fn read(consumer: &Arc<str>, record: &ConsumerRecord) -> Event {
    let value = record.value.as_deref().and_then(Value::from_bytes);
    Event::Read { consumer: Arc::clone(consumer), partition: record.partition, offset: record.offset, value }
}

/// Commits the positions and asks for them again: what was promised is at least what is answered.
async fn commit(consumer: &mut Consumer, recorder: &Recorder, number: usize) {
    let mine: Vec<TopicPartition> = consumer.assignment().into_iter().collect();
    let positions: Vec<_> = mine.iter().filter_map(|tp| Some((tp.partition, consumer.position(tp)?))).collect();
    if positions.is_empty() {
        return;
    }
    if let Err(error) = within("a commit", consumer.commit()).await {
        eprintln!("member-{number} cannot commit: {error}");
        return;
    }
    for (partition, offset) in positions {
        recorder.saw(Event::Committed { group: GROUP, partition, offset });
    }
    if let Ok(committed) = within("asking for commits", consumer.committed(&mine)).await {
        for tp in mine {
            let offset = committed.get(&tp).map(|committed| committed.offset);
            recorder.saw(Event::CommittedIs { group: GROUP, partition: tp.partition, offset });
        }
    }
}

/// Asks for all of the group's offsets, when nobody commits any more.
pub(super) async fn ask_committed(client: &ClientConfig, recorder: &Recorder) -> Result<(), Error> {
    let mut consumer = Consumer::connect(config(client.clone())).await?;
    let all: Vec<_> = (0..PARTITIONS).map(|partition| TopicPartition::new(TOPIC, partition)).collect();
    let committed = consumer.committed(&all).await?;
    for tp in all {
        let offset = committed.get(&tp).map(|committed| committed.offset);
        recorder.saw(Event::CommittedIs { group: GROUP, partition: tp.partition, offset });
    }
    Ok(())
}
