//! Directories that take long to make: with thousands of partitions, with gigabytes of log.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::broker::{Home, Kind};
use crate::client::Client;
use crate::wire::Connection;

/// The first topic of the directory; rdkafka_performance's.
pub const TOPIC: &str = "bench-0";
/// More partitions are not created by one request, nor are they in Kafka.
const PARTITIONS_OF_A_TOPIC: u32 = 5_000;
/// Partitions that one request creates, or produces to.
const SLICE: u32 = 500;
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of a value of the load under which the broker is killed.
const SIZE: u32 = 1_024;

/// A directory, ready for a start that is measured.
pub struct Stage<'a> {
    /// It.
    pub home: Home<'a>,
    /// Partitions of its first topic.
    pub partitions: u32,
}

/// So many partitions with one record each, after a clean stop.
pub fn with_partitions<'a>(kind: &'a Kind, partitions: u32) -> Result<Stage<'a>> {
    println!("{}: making {partitions} partitions", kind.name);
    let home = kind.home(&[])?;
    let broker = home.start()?;
    for (n, first) in (0..partitions).step_by(PARTITIONS_OF_A_TOPIC as usize).enumerate() {
        fill_topic(&format!("bench-{n}"), PARTITIONS_OF_A_TOPIC.min(partitions - first))?;
    }
    broker.stop()?;
    Ok(Stage { home, partitions: partitions.min(PARTITIONS_OF_A_TOPIC) })
}

/// Makes a topic of so many partitions, and sends one record to each.
pub fn fill_topic(topic: &str, partitions: u32) -> Result<()> {
    let mut connection = Connection::open()?;
    connection.make_topic(topic, partitions)?;
    let began = Instant::now();
    for first in (0..partitions).step_by(SLICE as usize) {
        let slice = first..(first + SLICE).min(partitions);
        while !connection.produce(topic, slice.clone())? {
            ensure!(began.elapsed() < PATIENCE, "{topic} does not take records after {PATIENCE:?}");
        }
    }
    Ok(())
}

/// A log of at least so many bytes whose broker was killed while it grew. A later round goes on with the directory of the one
/// before.
pub fn fill_and_kill<'a>(kind: &'a Kind, client: &Client, bytes: u64, stage: &mut Option<Stage<'a>>) -> Result<()> {
    let stage = match stage {
        Some(stage) => stage,
        None => stage.insert(Stage { home: kind.home(&[])?, partitions: 1 }),
    };
    let mut broker = stage.home.start()?;
    let partition = format!("{TOPIC}-0");
    // A tenth more each round, so that it is killed under load every time.
    let enough = bytes.max(stage.home.bytes_of(&partition) + bytes / 10);
    println!("{}: filling a log with {} MB", kind.name, enough / 1_000_000);
    let load = client.endless(SIZE, &["linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"])?;
    let began = Instant::now();
    while stage.home.bytes_of(&partition) < enough {
        broker.check_alive()?;
        ensure!(began.elapsed() < PATIENCE, "{} does not write {enough} bytes in {PATIENCE:?}", kind.name);
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(broker);
    drop(load);
    Ok(())
}
