//! Readers without a group: one that follows a topic, and the last, which reads all of it from the beginning to the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::admin::OffsetSpec;
use ottla_client::{Admin, ClientConfig, Consumer, ConsumerConfig, Error, TopicPartition};
use ottla_env::task::StopSignal;
use ottla_env::time::Instant;

use super::PARTITIONS;
use super::members::{read, within};
use crate::history::{Event, FINAL, Recorder};

/// How long the end may be out of reach before it is given up; the checkers then miss what was not read.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(200);

/// Reads what comes until told to stop.
pub(super) async fn follow(
    client: ClientConfig,
    topic: &'static str,
    recorder: Arc<Recorder>,
    stop: StopSignal,
) -> Result<(), Error> {
    let mut consumer = from_the_beginning(&client, topic).await?;
    let name = "follower".into();
    while !stop.is_stopped() {
        match within("a poll", consumer.poll(POLL)).await {
            Ok(records) => records.iter().for_each(|record| recorder.saw(read(&name, record))),
            Err(error) => eprintln!("the follower cannot read: {error}"),
        }
    }
    Ok(())
}

pub(super) async fn read_everything(
    client: &ClientConfig,
    topic: &'static str,
    recorder: &Recorder,
) -> Result<(), Error> {
    let all = partitions(topic);
    let ends = ends(client, &all).await?;
    let mut consumer = from_the_beginning(client, topic).await?;
    let name = FINAL.into();
    let began = Instant::now();
    let at_end = |consumer: &Consumer, tp: &TopicPartition| consumer.position(tp) >= ends.get(tp).copied();
    while !all.iter().all(|tp| at_end(&consumer, tp)) && began.elapsed() < PATIENCE {
        for record in consumer.poll(Duration::from_millis(500)).await? {
            recorder.saw(read(&name, &record));
        }
    }
    for (tp, end_offset) in ends.iter().filter(|(tp, _)| at_end(&consumer, tp)) {
        recorder.saw(Event::ReadToEnd { partition: tp.partition, end_offset: *end_offset });
    }
    Ok(())
}

fn partitions(topic: &str) -> Vec<TopicPartition> {
    (0..PARTITIONS).map(|partition| TopicPartition::new(topic, partition)).collect()
}

async fn from_the_beginning(client: &ClientConfig, topic: &str) -> Result<Consumer, Error> {
    let config = ConsumerConfig { client: client.clone(), ..ConsumerConfig::default() };
    let mut consumer = Consumer::connect(config).await?;
    let all = partitions(topic);
    consumer.assign(all.iter().cloned());
    for tp in &all {
        consumer.seek_to_beginning(tp)?;
    }
    Ok(consumer)
}

async fn ends(client: &ClientConfig, all: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, Error> {
    let wanted = all.iter().map(|tp| (tp.clone(), OffsetSpec::Latest)).collect();
    let found = Admin::connect(client).await?.list_offsets(&wanted).await?;
    found.into_iter().map(|(tp, found)| Ok((tp, found?.offset))).collect()
}
