//! A connection that reads the first partition of a topic from its end, one fetch after the other, outside of a group.

use std::time::Duration;

use anyhow::{Context, Result};

use super::link::Link;
use crate::{answers, wire};

/// Kafka's `fetch.max.wait.ms`.
const MAX_WAIT: Duration = Duration::from_millis(500);
/// Kafka's `max.partition.fetch.bytes`.
const MAX_BYTES: u32 = 1 << 20;
const READ_BYTES: usize = 256 << 10;

/// One.
pub struct Consumer {
    link: Link,
    topic: &'static str,
    next_offset: i64,
}

impl Consumer {
    /// Connects and asks for what will follow after an offset.
    pub fn open(topic: &'static str, next_offset: i64) -> Result<Self> {
        let mut consumer = Self { link: Link::open(READ_BYTES)?, topic, next_offset };
        consumer.ask()?;
        Ok(consumer)
    }

    /// Its socket.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The offset after the last record that it has got.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Tells the first offset of each batch that has come, and asks for more.
    pub fn receive(&mut self, mut got: impl FnMut(i64) -> Result<()>) -> Result<()> {
        self.link.flush()?;
        let (mut is_answered, mut next_offset) = (false, self.next_offset);
        self.link.receive(|answer| {
            is_answered = true;
            // A broker may begin with batches before the offset that was asked for.
            let batches = answers::batches(answers::fetched(answer.get(4..).context("a short answer")?)?);
            for (first, next) in batches {
                if first >= next_offset {
                    got(first)?;
                    next_offset = next;
                }
            }
            Ok(())
        })?;
        self.next_offset = next_offset;
        if is_answered { self.ask() } else { Ok(()) }
    }

    fn ask(&mut self) -> Result<()> {
        let body = wire::fetch_body(self.topic, self.next_offset, MAX_BYTES, MAX_WAIT);
        self.link.send(&wire::frame(wire::FETCH, 0, &body))
    }
}
