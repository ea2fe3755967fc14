//! A closed loop: one connection, one request in flight. Its thread waits in the socket, so that nothing but the broker and the kernel
//! is in the way.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::latencies::Latencies;
use super::link::Link;
use super::producer;
use super::requests::Requests;
use crate::client::Load;

/// A broker that says nothing for so long says nothing any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than an acknowledgement, so that a read never fills it and tries another one.
const READ_BYTES: usize = 1 << 10;

/// One, connected; its run may be followed by others.
pub struct RoundTrips {
    link: Link,
    requests: Requests,
    sent: u64,
}

impl RoundTrips {
    /// Connects to a broker that has the topic. Each request has one record of so many bytes.
    pub fn connect(topic: &str, size: usize) -> Result<Self> {
        let requests = Requests::new(topic, (1, size), 1, Vec::new());
        Ok(Self { link: Link::open_waiting(READ_BYTES)?, requests, sent: 0 })
    }

    /// Sends so many requests, each when the one before was acknowledged.
    pub fn run(&mut self, requests: u64) -> Result<Load> {
        let began = Instant::now();
        let mut latencies = Latencies::new();
        for n in self.sent..self.sent + requests {
            let frame = self.requests.write(n);
            let sent = Instant::now();
            self.link.send(frame)?;
            let mut is_answered = false;
            while !is_answered {
                self.link.receive(|answer| {
                    is_answered = true;
                    producer::check(answer, n)
                })?;
                ensure!(sent.elapsed() < PATIENCE, "the broker was silent for {PATIENCE:?}");
            }
            latencies.add(sent.elapsed());
        }
        self.sent += requests;
        Ok(Load {
            messages: requests,
            milliseconds: began.elapsed().as_millis() as u64,
            latency_us: latencies.microseconds(),
        })
    }
}
