//! As much of Kafka's protocol as the harness speaks itself, written byte by byte, so that no client's start is measured with the
//! broker's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::answers::{self, take};
use crate::batch::{BatchWriter, Producer};
use crate::broker::PORT;

/// Creation of thousands of partitions takes its time.
const PATIENCE: Duration = Duration::from_secs(600);
/// More partitions, each a record, than one request creates in Kafka.
const PARTITIONS_OF_A_REQUEST: u32 = 5_000;
/// Longer answers are not expected.
pub const ANSWER_MAX: usize = 1 << 24;
/// That a request waits for something to be over.
const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// An API by its key, and the version that is spoken.
pub type Api = (i16, i16);
/// The version that a broker must take so that zstd is possible, and the last one that the floor knows.
pub const PRODUCE: Api = (0, 7);
/// The last one with names of topics.
pub const FETCH: Api = (1, 11);
const LIST_OFFSETS: Api = (2, 1);
const METADATA: Api = (3, 4);
const API_VERSIONS: Api = (18, 0);
const CREATE_TOPICS: Api = (19, 4);
const INIT_PRODUCER_ID: Api = (22, 1);
const CREATE_PARTITIONS: Api = (37, 1);

/// A connection to the broker that is measured.
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects.
    pub fn open() -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", PORT))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// Asks what every client asks first.
    pub fn greet(&mut self) -> Result<()> {
        let answer = self.exchange(API_VERSIONS, &[])?;
        ensure!(answer.get(..2) == Some(&[0, 0]), "the broker does not tell its API versions");
        Ok(())
    }

    /// What is left of it for somebody else's requests.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Whether all partitions of a topic have a leader. A topic that is not there is created, if the broker does so.
    pub fn has_leaders(&mut self, topic: &str, partitions: u32) -> Result<bool> {
        let mut body = 1_i32.to_be_bytes().to_vec();
        string(&mut body, topic);
        body.push(1);
        answers::leaders(&self.exchange(METADATA, &body)?, partitions)
    }

    /// Creates a topic with one replica of each partition, if it is not there, and waits until all have a leader.
    pub fn make_topic(&mut self, topic: &str, partitions: u32) -> Result<()> {
        let first = partitions.min(PARTITIONS_OF_A_REQUEST);
        self.create_topic(topic, first)?;
        self.wait_for_leaders(topic, first)?;
        for more in (first..partitions).step_by(PARTITIONS_OF_A_REQUEST as usize) {
            let count = (more + PARTITIONS_OF_A_REQUEST).min(partitions);
            self.grow_topic(topic, count)?;
            self.wait_for_leaders(topic, count)?;
        }
        Ok(())
    }

    fn wait_for_leaders(&mut self, topic: &str, partitions: u32) -> Result<()> {
        let began = Instant::now();
        while !self.has_leaders(topic, partitions)? {
            ensure!(began.elapsed() < PATIENCE, "{topic} has no leaders after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Creates a topic with one replica of each partition. That it exists is no error.
    fn create_topic(&mut self, topic: &str, partitions: u32) -> Result<()> {
        let mut body = 1_i32.to_be_bytes().to_vec();
        string(&mut body, topic);
        body.extend(partitions.to_be_bytes());
        body.extend(1_i16.to_be_bytes());
        // No assignments, no configurations; ten minutes; not only validated.
        body.extend([0; 8]);
        body.extend(600_000_i32.to_be_bytes());
        body.push(0);
        let code = code_of_topic(&self.exchange(CREATE_TOPICS, &body)?, topic)?;
        ensure!(code == 0 || code == TOPIC_ALREADY_EXISTS, "{topic} cannot be created: error {code}");
        Ok(())
    }

    /// Gives a topic more partitions, up to so many.
    fn grow_topic(&mut self, topic: &str, partitions: u32) -> Result<()> {
        let mut body = 1_i32.to_be_bytes().to_vec();
        string(&mut body, topic);
        body.extend(partitions.to_be_bytes());
        // No assignments; ten minutes; not only validated.
        body.extend((-1_i32).to_be_bytes());
        body.extend(600_000_i32.to_be_bytes());
        body.push(0);
        let code = code_of_topic(&self.exchange(CREATE_PARTITIONS, &body)?, topic)?;
        ensure!(code == 0, "{topic} cannot get {partitions} partitions: error {code}");
        Ok(())
    }

    /// An id for an idempotent producer.
    pub fn producer(&mut self) -> Result<Producer> {
        let mut body = (-1_i16).to_be_bytes().to_vec();
        body.extend(60_000_i32.to_be_bytes());
        let began = Instant::now();
        loop {
            let answer = self.exchange(INIT_PRODUCER_ID, &body)?;
            let mut rest = answer.get(4..).context("a short answer")?;
            let code = i16::from_be_bytes(take(&mut rest)?);
            let (id, epoch) = (i64::from_be_bytes(take(&mut rest)?), i16::from_be_bytes(take(&mut rest)?));
            if code == 0 {
                return Ok(Producer { id, epoch });
            }
            ensure!(
                code == COORDINATOR_LOAD_IN_PROGRESS && began.elapsed() < PATIENCE,
                "the broker gives no producer id: error {code}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The offset after the last record of a topic's first partition.
    pub fn end_offset(&mut self, topic: &str) -> Result<i64> {
        let mut body = (-1_i32).to_be_bytes().to_vec();
        body.extend(1_i32.to_be_bytes());
        string(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(0_i32.to_be_bytes());
        body.extend((-1_i64).to_be_bytes());
        let answer = self.exchange(LIST_OFFSETS, &body)?;
        // Topics, name, partitions, index; error, timestamp, offset.
        let mut rest = answer.get(4 + 2 + topic.len() + 4 + 4..).context("a short answer")?;
        let code = i16::from_be_bytes(take(&mut rest)?);
        ensure!(code == 0, "the end of {topic} cannot be told: error {code}");
        take::<8>(&mut rest)?;
        Ok(i64::from_be_bytes(take(&mut rest)?))
    }

    /// Sends one record to each of the partitions and says whether all were acknowledged.
    pub fn produce(&mut self, topic: &str, partitions: Range<u32>) -> Result<bool> {
        self.produce_batch(topic, partitions, &batch(1, 1))
    }

    /// Sends a batch to each of the partitions and says whether all were acknowledged.
    pub fn produce_batch(&mut self, topic: &str, partitions: Range<u32>, batch: &[u8]) -> Result<bool> {
        let answer = self.exchange(PRODUCE, &produce_body(topic, partitions.clone(), batch))?;
        answers::acknowledged(&answer, partitions.len())
    }

    /// Sends a request and gives the answer's body.
    fn exchange(&mut self, api: Api, body: &[u8]) -> Result<Vec<u8>> {
        self.stream.write_all(&frame(api, 1, body))?;
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let len = usize::try_from(i32::from_be_bytes(len))?;
        ensure!((4..ANSWER_MAX).contains(&len), "an answer of {len} bytes");
        let mut answer = vec![0; len];
        self.stream.read_exact(&mut answer)?;
        Ok(answer.split_off(4))
    }
}

/// The error of the one topic in an answer of CreateTopics or CreatePartitions: throttle time, topics, name, error.
fn code_of_topic(answer: &[u8], topic: &str) -> Result<i16> {
    let mut rest = answer.get(4 + 4 + 2 + topic.len()..).context("a short answer")?;
    Ok(i16::from_be_bytes(take(&mut rest)?))
}

/// A request with header 1, behind its length.
pub fn frame((key, version): Api, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(correlation.to_be_bytes());
    string(&mut frame, "bench");
    frame.extend(body);
    let len = frame.len() as i32 - 4;
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

/// Of a request that sends a batch to each of the partitions; ends with partition, length and batch of the last one.
pub fn produce_body(topic: &str, partitions: Range<u32>, batch: &[u8]) -> Vec<u8> {
    // No transaction, acks=all, 10 s.
    let mut body = (-1_i16).to_be_bytes().to_vec();
    body.extend((-1_i16).to_be_bytes());
    body.extend(10_000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    string(&mut body, topic);
    body.extend((partitions.len() as i32).to_be_bytes());
    for partition in partitions {
        body.extend(partition.to_be_bytes());
        body.extend((batch.len() as i32).to_be_bytes());
        body.extend(batch);
    }
    body
}

/// Of a request for one byte or more of a topic's first partition, outside of a session.
pub fn fetch_body(topic: &str, offset: i64, max_bytes: u32, max_wait: Duration) -> Vec<u8> {
    // A consumer; the least is one byte.
    let mut body = (-1_i32).to_be_bytes().to_vec();
    body.extend((max_wait.as_millis() as i32).to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(max_bytes.to_be_bytes());
    // Uncommitted records too; no session.
    body.push(0);
    body.extend(0_i32.to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    string(&mut body, topic);
    // One partition, the first, of whatever leader epoch.
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    body.extend(offset.to_be_bytes());
    body.extend((-1_i64).to_be_bytes());
    body.extend(max_bytes.to_be_bytes());
    // Nothing is forgotten; no rack.
    body.extend(0_i32.to_be_bytes());
    string(&mut body, "");
    body
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// A batch of records whose values are so many `x`.
pub fn batch(records: u32, size: usize) -> Vec<u8> {
    let (mut writer, value) = (BatchWriter::new(), vec![b'x'; size]);
    (0..records).for_each(|_| writer.add(None, &value));
    writer.finish(0, -1, now_ms())
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64)
}
