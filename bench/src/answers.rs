//! What the harness reads of a broker's answers, byte by byte.

use anyhow::{Context, Result, ensure};

/// Whether neither the topic of an answer of Metadata 4 nor one of its partitions, of which there are to be so many, has an error.
pub fn leaders(answer: &[u8], expected: u32) -> Result<bool> {
    let mut rest = answer.get(4..).context("a short answer")?;
    for _ in 0..count(&mut rest)? {
        take::<4>(&mut rest)?;
        skip_string(&mut rest)?;
        take::<4>(&mut rest)?;
        skip_string(&mut rest)?;
    }
    skip_string(&mut rest)?;
    take::<4>(&mut rest)?;
    ensure!(count(&mut rest)? == 1, "not one topic");
    let topic_error = i16::from_be_bytes(take(&mut rest)?);
    skip_string(&mut rest)?;
    take::<1>(&mut rest)?;
    let partitions = u32::from_be_bytes(take(&mut rest)?);
    if topic_error != 0 || partitions != expected {
        return Ok(false);
    }
    for _ in 0..partitions {
        let error = take::<2>(&mut rest)? != [0, 0];
        take::<8>(&mut rest)?;
        for _replicas_and_isr in 0..2 {
            for _node in 0..count(&mut rest)? {
                take::<4>(&mut rest)?;
            }
        }
        if error {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether all partitions of the one topic in an answer of Produce 7, so many, took their batch.
pub fn acknowledged(answer: &[u8], partitions: usize) -> Result<bool> {
    let mut rest = answer;
    ensure!(count(&mut rest)? == 1, "not one topic");
    skip_string(&mut rest)?;
    ensure!(count(&mut rest)? == partitions, "not {partitions} partitions");
    for _partition in 0..partitions {
        take::<4>(&mut rest)?;
        if take::<2>(&mut rest)? != [0, 0] {
            return Ok(false);
        }
        // Base offset, append time, log start.
        take::<24>(&mut rest)?;
    }
    Ok(true)
}

/// The records of the one partition in an answer of Fetch 11.
pub fn fetched(answer: &[u8]) -> Result<&[u8]> {
    let mut rest = answer.get(4..).context("a short answer")?;
    let error = i16::from_be_bytes(take(&mut rest)?);
    ensure!(error == 0, "a fetch failed: error {error}");
    take::<4>(&mut rest)?;
    ensure!(count(&mut rest)? == 1, "not one topic");
    skip_string(&mut rest)?;
    ensure!(count(&mut rest)? == 1, "not one partition");
    take::<4>(&mut rest)?;
    let error = i16::from_be_bytes(take(&mut rest)?);
    ensure!(error == 0, "a fetch of a partition failed: error {error}");
    // High watermark, last stable offset, log start.
    take::<24>(&mut rest)?;
    for _aborted in 0..count(&mut rest)? {
        take::<16>(&mut rest)?;
    }
    take::<4>(&mut rest)?;
    let len = count(&mut rest)?;
    rest.get(..len).context("a short answer")
}

/// The offset of the first record of each whole batch, and that after its last one.
pub fn batches(records: &[u8]) -> impl Iterator<Item = (i64, i64)> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let mut header = rest;
        let base = i64::from_be_bytes(take(&mut header).ok()?);
        let len = usize::try_from(i32::from_be_bytes(take(&mut header).ok()?)).ok()?;
        // Leader epoch, magic, checksum, attributes.
        take::<11>(&mut header).ok()?;
        let last = i32::from_be_bytes(take(&mut header).ok()?);
        rest = rest.get(12 + len..)?;
        Some((base, base + i64::from(last) + 1))
    })
}

/// The length of an array; an absent one has none.
fn count(rest: &mut &[u8]) -> Result<usize> {
    Ok(usize::try_from(i32::from_be_bytes(take(rest)?)).unwrap_or(0))
}

/// The next bytes.
pub fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>().context("a short answer")?;
    *rest = left;
    Ok(*taken)
}

fn skip_string(rest: &mut &[u8]) -> Result<()> {
    let len = usize::try_from(i16::from_be_bytes(take(rest)?)).unwrap_or(0);
    *rest = rest.get(len..).context("a short answer")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch;

    fn topic_with_one_partition() -> Vec<u8> {
        [&[0, 0, 0, 1, 0, 1][..], b"t", &[0, 0, 0, 1, 0, 0, 0, 0]].concat()
    }

    #[test]
    fn an_acknowledgement_and_a_refusal_are_told_apart() {
        let answer = |error| [topic_with_one_partition(), vec![0, error], vec![0; 24 + 4]].concat();
        assert!(acknowledged(&answer(0), 1).unwrap());
        assert!(!acknowledged(&answer(6), 1).unwrap());
        assert!(acknowledged(&answer(0)[..30], 1).is_err(), "a short one is neither");
    }

    #[test]
    fn batches_are_found_in_what_was_fetched_and_a_cut_one_is_not() {
        let [mut first, mut second] = [batch(3, 10), batch(16, 100)];
        first[..8].copy_from_slice(&40_i64.to_be_bytes());
        second[..8].copy_from_slice(&43_i64.to_be_bytes());
        let records = [&first[..], &second[..], &second[..second.len() - 1]].concat();
        let mut answer = [&[0; 10][..], &topic_with_one_partition()[..], &[0; 26]].concat();
        // One aborted transaction, no preferred replica.
        answer.extend([&[0, 0, 0, 1][..], &[9; 16], &[0xff; 4]].concat());
        answer.extend((records.len() as i32).to_be_bytes());
        answer.extend(&records);
        let found = fetched(&answer).unwrap();
        assert_eq!(found, records);
        assert_eq!(batches(found).collect::<Vec<_>>(), [(40, 43), (43, 59)]);
        answer[5] = 70;
        assert!(fetched(&answer).is_err(), "an error of the whole answer");
    }
}
