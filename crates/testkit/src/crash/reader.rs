//! The last reader: all partitions from the beginning to the end.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_client::admin::OffsetSpec;
use ottla_client::{Admin, ClientConfig, Consumer, ConsumerConfig, Error, TopicPartition};
use ottla_env::time::Instant;

use super::members::read;
use super::{PARTITIONS, TOPIC};
use crate::history::{Event, FINAL, Recorder};

/// How long the end may be out of reach before it is given up; the checkers then miss what was not read.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn read_everything(client: &ClientConfig, recorder: &Recorder) -> Result<(), Error> {
    let all: Vec<_> = (0..PARTITIONS).map(|partition| TopicPartition::new(TOPIC, partition)).collect();
    let ends = ends(client, &all).await?;
    let mut consumer =
        Consumer::connect(ConsumerConfig { client: client.clone(), ..ConsumerConfig::default() }).await?;
    consumer.assign(all.iter().cloned());
    for tp in &all {
        consumer.seek_to_beginning(tp)?;
    }
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

async fn ends(client: &ClientConfig, all: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, Error> {
    let wanted = all.iter().map(|tp| (tp.clone(), OffsetSpec::Latest)).collect();
    let found = Admin::connect(client).await?.list_offsets(&wanted).await?;
    found.into_iter().map(|(tp, found)| Ok((tp, found?.offset))).collect()
}
