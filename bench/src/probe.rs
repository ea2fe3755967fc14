//! The shortest way to a first acknowledged record: Metadata until the topic has a leader, then one Produce, written byte by byte so
//! that no client's start is measured with the broker's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::broker::PORT;

const TOPIC: &str = "first";
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_micros(500);

/// Tries until a record is acknowledged.
pub fn first_record() -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if attempt().unwrap_or(false) {
            return Ok(());
        }
        std::thread::sleep(RETRY);
    }
    bail!("no record was acknowledged within {PATIENCE:?}");
}

/// Whether it was acknowledged; an error of the connection is tried again as well.
fn attempt() -> Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // Metadata 4: one topic, which may be created.
    let mut body = 1_i32.to_be_bytes().to_vec();
    string(&mut body, TOPIC);
    body.push(1);
    let answer = exchange(&mut stream, 3, 4, &body)?;
    if !has_leader(&answer)? {
        return Ok(false);
    }
    // Produce 7: no transaction, acks=all, 10 s.
    let mut body = (-1_i16).to_be_bytes().to_vec();
    body.extend((-1_i16).to_be_bytes());
    body.extend(10_000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    string(&mut body, TOPIC);
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    let batch = batch();
    body.extend((batch.len() as i32).to_be_bytes());
    body.extend(batch);
    let answer = exchange(&mut stream, 0, 7, &body)?;
    // Topics, name, partitions, index, error.
    let at = 4 + 2 + TOPIC.len() + 4 + 4;
    Ok(answer.get(at..at + 2) == Some(&[0, 0]))
}

/// No error of the topic and of its only partition, in an answer of Metadata 4 that lists one broker.
fn has_leader(answer: &[u8]) -> Result<bool> {
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
    let partitions = i32::from_be_bytes(take(&mut rest, 4)?.try_into()?);
    Ok(topic_error == 0 && partitions == 1 && take(&mut rest, 2)? == [0, 0])
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

/// Sends a request with header 1 and gives the answer's body.
fn exchange(stream: &mut TcpStream, key: i16, version: i16, body: &[u8]) -> Result<Vec<u8>> {
    let mut frame = key.to_be_bytes().to_vec();
    frame.extend(version.to_be_bytes());
    frame.extend(1_i32.to_be_bytes());
    string(&mut frame, "probe");
    frame.extend(body);
    let mut whole = (frame.len() as i32).to_be_bytes().to_vec();
    whole.extend(frame);
    stream.write_all(&whole)?;
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = usize::try_from(i32::from_be_bytes(len))?;
    ensure!((4..1 << 20).contains(&len), "an answer of {len} bytes");
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

/// A batch with one record whose value is `x`.
fn batch() -> Vec<u8> {
    // Length 7: attributes, timestamp delta, offset delta, no key (-1), value of 1 byte, no headers.
    let record = [14_u8, 0, 0, 0, 1, 2, b'x', 0];
    let mut checked = Vec::new();
    checked.extend(0_i16.to_be_bytes());
    checked.extend(0_i32.to_be_bytes());
    checked.extend(now_ms().to_be_bytes());
    checked.extend(now_ms().to_be_bytes());
    checked.extend((-1_i64).to_be_bytes());
    checked.extend((-1_i16).to_be_bytes());
    checked.extend((-1_i32).to_be_bytes());
    checked.extend(1_i32.to_be_bytes());
    checked.extend(record);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend((checked.len() as i32 + 9).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64)
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(super::crc32c(b"123456789"), 0xE306_9283);
    }
}
