//! As much of Kafka's protocol as the harness speaks itself, written byte by byte, so that no client's start is measured with the
//! broker's: Metadata, CreateTopics, Produce.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::batch::BatchWriter;
use crate::broker::PORT;

/// Creation of thousands of partitions takes its time.
const PATIENCE: Duration = Duration::from_secs(600);

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

    /// Whether all partitions of a topic have a leader. A topic that is not there is created, if the broker does so.
    pub fn has_leaders(&mut self, topic: &str, partitions: u32) -> Result<bool> {
        // Metadata 4: one topic, which may be created.
        let mut body = 1_i32.to_be_bytes().to_vec();
        string(&mut body, topic);
        body.push(1);
        leaders(&self.exchange(3, 4, &body)?, partitions)
    }

    /// Creates a topic with one replica of each partition, if it is not there, and waits until all have a leader.
    pub fn make_topic(&mut self, topic: &str, partitions: u32) -> Result<()> {
        self.create_topic(topic, partitions)?;
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
        let answer = self.exchange(19, 4, &body)?;
        // Throttle time, topics, name, error.
        let at = 4 + 4 + 2 + topic.len();
        let code = answer.get(at..at + 2).context("a short answer")?;
        ensure!(
            code == [0, 0] || code == [0, 36],
            "{topic} cannot be created: error {}",
            i16::from_be_bytes([code[0], code[1]])
        );
        Ok(())
    }

    /// Sends one record to each of the partitions and says whether all were acknowledged.
    pub fn produce(&mut self, topic: &str, partitions: std::ops::Range<u32>) -> Result<bool> {
        self.produce_batch(topic, partitions, &batch(1, 1))
    }

    /// Sends a batch to each of the partitions and says whether all were acknowledged.
    pub fn produce_batch(&mut self, topic: &str, partitions: std::ops::Range<u32>, batch: &[u8]) -> Result<bool> {
        // Produce 7: no transaction, acks=all, 10 s.
        let mut body = (-1_i16).to_be_bytes().to_vec();
        body.extend((-1_i16).to_be_bytes());
        body.extend(10_000_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        string(&mut body, topic);
        body.extend((partitions.len() as i32).to_be_bytes());
        for partition in partitions.clone() {
            body.extend(partition.to_be_bytes());
            body.extend((batch.len() as i32).to_be_bytes());
            body.extend(batch);
        }
        let answer = self.exchange(0, 7, &body)?;
        // Topics, name, partitions; of each its index, error, base offset, append time, log start.
        let each = 4 + 2 + 8 + 8 + 8;
        let first = 4 + 2 + topic.len() + 4;
        let ok = (0..partitions.len()).all(|n| answer.get(first + n * each + 4..first + n * each + 6) == Some(&[0, 0]));
        Ok(ok)
    }

    /// Reads from the first partition of a topic, and gives how long the answer was.
    pub fn fetch(&mut self, topic: &str, offset: i64, max_bytes: u32) -> Result<usize> {
        // Fetch 11: a consumer that waits for nothing, outside of a session.
        let mut body = (-1_i32).to_be_bytes().to_vec();
        body.extend(0_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        body.extend(max_bytes.to_be_bytes());
        body.push(0);
        body.extend(0_i32.to_be_bytes());
        body.extend((-1_i32).to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        string(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(0_i32.to_be_bytes());
        body.extend((-1_i32).to_be_bytes());
        body.extend(offset.to_be_bytes());
        body.extend((-1_i64).to_be_bytes());
        body.extend(max_bytes.to_be_bytes());
        body.extend(0_i32.to_be_bytes());
        string(&mut body, "");
        let answer = self.exchange(1, 11, &body)?;
        ensure!(answer.get(4..6) == Some(&[0, 0]), "the fetch of {topic} at {offset} failed");
        Ok(answer.len())
    }

    /// Sends a request with header 1 and gives the answer's body.
    fn exchange(&mut self, key: i16, version: i16, body: &[u8]) -> Result<Vec<u8>> {
        let mut frame = key.to_be_bytes().to_vec();
        frame.extend(version.to_be_bytes());
        frame.extend(1_i32.to_be_bytes());
        string(&mut frame, "bench");
        frame.extend(body);
        let mut whole = (frame.len() as i32).to_be_bytes().to_vec();
        whole.extend(frame);
        self.stream.write_all(&whole)?;
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let len = usize::try_from(i32::from_be_bytes(len))?;
        ensure!((4..1 << 24).contains(&len), "an answer of {len} bytes");
        let mut answer = vec![0; len];
        self.stream.read_exact(&mut answer)?;
        Ok(answer.split_off(4))
    }
}

/// No error of the topic and of its partitions, in an answer of Metadata 4.
fn leaders(answer: &[u8], expected: u32) -> Result<bool> {
    let mut rest = answer.get(4..).context("a short answer")?;
    let brokers = i32::from_be_bytes(take(&mut rest, 4)?.try_into()?);
    for _ in 0..brokers {
        take(&mut rest, 4)?;
        skip_string(&mut rest)?;
        take(&mut rest, 4)?;
        skip_string(&mut rest)?;
    }
    skip_string(&mut rest)?;
    take(&mut rest, 4)?;
    ensure!(i32::from_be_bytes(take(&mut rest, 4)?.try_into()?) == 1, "not one topic");
    let topic_error = i16::from_be_bytes(take(&mut rest, 2)?.try_into()?);
    skip_string(&mut rest)?;
    take(&mut rest, 1)?;
    let partitions = u32::from_be_bytes(take(&mut rest, 4)?.try_into()?);
    if topic_error != 0 || partitions != expected {
        return Ok(false);
    }
    for _ in 0..partitions {
        let error = take(&mut rest, 2)? != [0, 0];
        take(&mut rest, 8)?;
        for _replicas_and_isr in 0..2 {
            let nodes = u32::from_be_bytes(take(&mut rest, 4)?.try_into()?);
            take(&mut rest, nodes as usize * 4)?;
        }
        if error {
            return Ok(false);
        }
    }
    Ok(true)
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Result<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(n).context("a short answer")?;
    *rest = left;
    Ok(taken)
}

fn skip_string(rest: &mut &[u8]) -> Result<()> {
    let len = i16::from_be_bytes(take(rest, 2)?.try_into()?);
    take(rest, usize::try_from(len).unwrap_or(0)).map(drop)
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
