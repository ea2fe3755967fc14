//! An open loop: requests are due at a fixed rate, whatever became of those before.
//!
//! ```text
//!   due(n) ──> producer n mod connections ── n-th request ──> broker ── acknowledgement ──> latency, if nobody consumes
//!                                                               └── fetch ──> each consumer ──> latency of the n-th batch
//! ```
//! A latency is the time from when a request was due until its acknowledgement, or until a consumer has its batch. Which batch that is
//! its offset tells: a load with consumers has one connection and one partition, and nobody else writes to it.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::consumer::Consumer;
use super::latencies::Latencies;
use super::poller::Poller;
use super::producer::Producer;
use super::requests::{RECORDS, Requests, VALUE_BYTES};
use super::schedule::Schedule;
use crate::client::Load;
use crate::wire::Connection;

/// Requests that are due and not acknowledged; a broker with more cannot keep up.
const BEHIND_MAX: u64 = 100_000;

/// What is asked of the broker.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OpenLoop {
    /// Connections that send, in turn.
    pub connections: u32,
    /// Partitions of the topic, hit without an order.
    pub partitions: u32,
    /// Idempotent producers that send in turn, those of one connection always on it; 0 for batches without one.
    pub producer_ids: u32,
    /// Connections that read.
    pub consumers: u32,
    /// Requests of all connections together, each with one batch of [`RECORDS`] records.
    pub per_second: u64,
}

/// One, connected; its run may be followed by others.
pub struct Running {
    load: OpenLoop,
    requests: Requests,
    producers: Vec<Producer>,
    consumers: Vec<Consumer>,
    poller: Poller,
    ready: Vec<usize>,
    /// Of the first batch.
    first_offset: i64,
    /// Requests of former runs.
    sent: u64,
}

/// One run.
struct Lap {
    schedule: Schedule,
    /// Its first request, the next one to be sent, and the first one after it.
    first: u64,
    next: u64,
    end: u64,
    acknowledged: u64,
    latencies: Latencies,
}

impl Running {
    /// Connects to a broker that has the topic.
    pub fn connect(topic: &'static str, load: OpenLoop) -> Result<Self> {
        ensure!(load.producer_ids == 0 || load.partitions == 1, "a producer numbers the records of each partition");
        ensure!(load.producer_ids.is_multiple_of(load.connections), "a producer's requests go over one connection");
        ensure!(load.consumers == 0 || (load.partitions, load.connections) == (1, 1), "offsets tell batches apart");
        let mut connection = Connection::open()?;
        let ids = (0..load.producer_ids).map(|_| connection.producer()).collect::<Result<Vec<_>>>()?;
        let first_offset = connection.end_offset(topic)?;
        let requests = Requests::new(topic, (RECORDS, VALUE_BYTES), load.partitions, ids);
        let producers = (0..load.connections).map(|_| Producer::open()).collect::<Result<_>>()?;
        let consumers = (0..load.consumers).map(|_| Consumer::open(topic, first_offset)).collect::<Result<_>>()?;
        Self::over(load, requests, producers, consumers, first_offset)
    }

    fn over(
        load: OpenLoop,
        requests: Requests,
        producers: Vec<Producer>,
        consumers: Vec<Consumer>,
        first_offset: i64,
    ) -> Result<Self> {
        let poller = Poller::new()?;
        let links = producers.iter().map(Producer::link).chain(consumers.iter().map(Consumer::link));
        links.enumerate().try_for_each(|(number, link)| poller.add(link, number))?;
        Ok(Self { load, requests, producers, consumers, poller, ready: Vec::new(), first_offset, sent: 0 })
    }

    /// Sends so many requests, and waits until all are acknowledged and consumed.
    pub fn run(&mut self, requests: u64) -> Result<Load> {
        let began = Instant::now();
        let mut lap = Lap {
            schedule: Schedule::new(began, self.load.per_second),
            first: self.sent,
            next: self.sent,
            end: self.sent + requests,
            acknowledged: 0,
            latencies: Latencies::new(),
        };
        self.sent += requests;
        let end = self.first_offset + i64::try_from(self.sent)? * i64::from(RECORDS);
        while lap.acknowledged < requests || self.consumers.iter().any(|consumer| consumer.next_offset() < end) {
            let next_due = self.send_what_is_due(&mut lap)?;
            self.poller.wait(next_due, &mut self.ready)?;
            self.serve(&mut lap)?;
        }
        Ok(Load {
            messages: requests * u64::from(RECORDS),
            milliseconds: began.elapsed().as_millis() as u64,
            latency_us: lap.latencies.microseconds(),
        })
    }

    /// Tells when the next request will be due, if one will.
    fn send_what_is_due(&mut self, lap: &mut Lap) -> Result<Option<Instant>> {
        let connections = self.producers.len() as u64;
        while lap.next < lap.end {
            let due = lap.schedule.due(lap.next - lap.first);
            if due > Instant::now() {
                return Ok(Some(due));
            }
            let producer = self.producers.get_mut((lap.next % connections) as usize).context("of them all")?;
            producer.owe(lap.next);
            producer.send(&mut self.requests)?;
            lap.next += 1;
            let behind = lap.next - lap.first - lap.acknowledged;
            ensure!(behind < BEHIND_MAX, "the broker is {behind} requests behind: it cannot keep up");
        }
        Ok(None)
    }

    /// Reads from the sockets that have something, and writes to those that take something again.
    fn serve(&mut self, lap: &mut Lap) -> Result<()> {
        let is_consumed = !self.consumers.is_empty();
        for &number in &self.ready {
            if let Some(producer) = self.producers.get_mut(number) {
                producer.receive(|n| {
                    lap.acknowledged += 1;
                    if !is_consumed {
                        lap.latencies.add(lap.schedule.late(n - lap.first, Instant::now()));
                    }
                })?;
                producer.send(&mut self.requests)?;
            } else if let Some(consumer) = self.consumers.get_mut(number - self.producers.len()) {
                consumer.receive(|offset| {
                    let n = batch_number(self.first_offset, offset)?;
                    lap.latencies.add(lap.schedule.late(n - lap.first, Instant::now()));
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// Which batch begins at an offset.
fn batch_number(first_offset: i64, offset: i64) -> Result<u64> {
    let records = i64::from(RECORDS);
    let since = offset - first_offset;
    ensure!(since >= 0 && since % records == 0, "a batch at offset {offset} is not of this load");
    Ok((since / records) as u64)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::loader::link::Link;

    /// Acknowledges batches to the one partition of topic `t`, the first one after a stall.
    fn stalling_broker(mut connection: TcpStream, stall: Duration) {
        let (mut len, mut is_first) = ([0; 4], true);
        while connection.read_exact(&mut len).is_ok() {
            let mut request = vec![0; i32::from_be_bytes(len) as usize];
            connection.read_exact(&mut request).unwrap();
            if std::mem::take(&mut is_first) {
                std::thread::sleep(stall);
            }
            let topic = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1];
            let answer = [&[0, 0, 0, 49][..], &request[4..8], &topic, &[0; 4 + 2 + 24 + 4]].concat();
            connection.write_all(&answer).unwrap();
        }
    }

    /// If each request were timed from when it was sent, and sent once the one before was answered, one of 200 would be late, which 99 %
    /// do not show.
    #[test]
    fn a_stall_counts_for_every_request_that_was_due_in_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connection = listener.accept().unwrap().0;
        let broker = std::thread::spawn(|| stalling_broker(connection, Duration::from_millis(100)));
        stream.set_nonblocking(true).unwrap();
        let load = OpenLoop { connections: 1, partitions: 1, producer_ids: 0, consumers: 0, per_second: 1_000 };
        let producer = Producer::over(Link::over(stream, 1 << 10));
        let requests = Requests::new("t", (RECORDS, VALUE_BYTES), 1, Vec::new());
        let mut running = Running::over(load, requests, vec![producer], Vec::new(), 0).unwrap();
        let load = running.run(200).unwrap();
        let [_, p99, _] = load.latency_us;
        assert!(p99 > 95_000.0, "of 200 requests two may be later than {p99} us");
        assert_eq!(load.messages, 200 * u64::from(RECORDS));
        assert!(load.milliseconds >= 199, "{} ms for what is due in 199", load.milliseconds);
        drop(running);
        broker.join().unwrap();
    }

    #[test]
    fn offsets_tell_batches_apart_and_strangers_are_not_counted() {
        assert_eq!(batch_number(5, 5).unwrap(), 0);
        assert_eq!(batch_number(5, 5 + 3 * i64::from(RECORDS)).unwrap(), 3);
        assert!(batch_number(5, 6).is_err());
        assert!(batch_number(5, 4).is_err());
    }
}
