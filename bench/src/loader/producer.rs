//! A connection that sends requests in the order in which they are due, as many in flight as it takes.

use std::collections::VecDeque;

use anyhow::{Context, Result, ensure};

use super::link::Link;
use super::requests::{Requests, correlation};
use crate::answers;

/// Acknowledgements have 50 bytes.
const READ_BYTES: usize = 1 << 10;

/// One.
pub struct Producer {
    link: Link,
    /// Numbers of requests that are due and not sent.
    waiting: VecDeque<u64>,
    in_flight: VecDeque<u64>,
}

impl Producer {
    /// Connects.
    pub fn open() -> Result<Self> {
        Ok(Self::over(Link::open(READ_BYTES)?))
    }

    /// On a connection that exists.
    pub fn over(link: Link) -> Self {
        Self { link, waiting: VecDeque::new(), in_flight: VecDeque::new() }
    }

    /// Its socket.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Takes a request that is due now.
    pub fn owe(&mut self, n: u64) {
        self.waiting.push_back(n);
    }

    /// Sends what the socket takes.
    pub fn send(&mut self, requests: &mut Requests) -> Result<()> {
        self.link.flush()?;
        while self.link.is_free() {
            let Some(n) = self.waiting.pop_front() else { break };
            self.link.send(requests.write(n))?;
            self.in_flight.push_back(n);
        }
        Ok(())
    }

    /// Tells the number of each request whose acknowledgement has come.
    pub fn receive(&mut self, mut acknowledged: impl FnMut(u64)) -> Result<()> {
        let in_flight = &mut self.in_flight;
        self.link.receive(|answer| {
            let n = in_flight.pop_front().context("an answer that nobody asked for")?;
            check(answer, n)?;
            acknowledged(n);
            Ok(())
        })
    }
}

/// Fails if an answer is not the acknowledgement of the n-th request.
pub fn check(answer: &[u8], n: u64) -> Result<()> {
    let (number, body) = answer.split_first_chunk::<4>().context("a short answer")?;
    ensure!(*number == correlation(n).to_be_bytes(), "an answer out of order");
    ensure!(answers::acknowledged(body, 1)?, "a batch was not acknowledged");
    Ok(())
}
