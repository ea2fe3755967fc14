//! The shortest way to a first acknowledged record: Metadata until the topic has a leader, then one Produce.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::wire::Connection;

const PATIENCE: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_micros(500);

/// Tries until a record is acknowledged by the first partition of a topic with so many.
pub fn first_record(topic: &str, partitions: u32) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if attempt(topic, partitions).unwrap_or(false) {
            return Ok(());
        }
        std::thread::sleep(RETRY);
    }
    bail!("no record was acknowledged within {PATIENCE:?}");
}

/// Whether it was acknowledged; an error of the connection is tried again as well.
fn attempt(topic: &str, partitions: u32) -> Result<bool> {
    let mut connection = Connection::open()?;
    Ok(connection.has_leaders(topic, partitions)? && connection.produce(topic, 0..1)?)
}
