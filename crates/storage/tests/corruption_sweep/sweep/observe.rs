//! Everything that can be read of a directory, read in every way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record_batch::batches;
use ottla_storage::{Log, LogManager, ReadError};

use super::fixture::{TOPICS, config_of, id_of, open};

/// From an offset to before another.
pub(crate) type Range = (i64, i64);

/// What was seen of one topic's log.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Last stable offset.
    pub(crate) last_stable: i64,
    pub(crate) batches: BTreeMap<i64, Vec<u8>>,
    /// Offsets that readers were told to be damaged.
    pub(crate) damaged: Vec<(i64, i64)>,
    pub(crate) epochs: Vec<(i32, i64)>,
    /// What searches by time found; None: nothing; an error counts as told.
    pub(crate) by_time: Vec<(i64, Result<Option<i64>, String>)>,
    /// What readers of committed records were told to be aborted between two offsets: first offset and producer.
    pub(crate) aborted: Vec<(Range, Vec<(i64, i64)>)>,
    /// Reads that contradict each other.
    pub(crate) contradictions: Vec<String>,
}

/// What was seen of a directory: each topic, or why there is nothing of it.
pub(crate) type View = BTreeMap<&'static str, Result<Seen, String>>;

/// Starts a process on the directory and reads.
pub(crate) fn observe(root: &Path, probes: &BTreeMap<&str, Vec<i64>>) -> Result<(Arc<LogManager>, View), String> {
    let manager = open(root).map_err(|error| error.to_string())?;
    let view = TOPICS.iter().map(|topic| (*topic, log(&manager, topic).map(|log| read(&log, &probes[topic]))));
    let view = view.collect();
    Ok((manager, view))
}

/// The log of a topic, made if it is not there, as by a broker that leads its partition alone.
pub(crate) fn log(manager: &LogManager, topic: &str) -> Result<Arc<Log>, String> {
    let log = manager.create(topic, 0, id_of(topic), config_of(topic)).map_err(|error| error.to_string())?;
    log.set_high_watermark(log.log_end_offset());
    Ok(log)
}

fn read(log: &Log, probes: &[i64]) -> Seen {
    let mut seen = Seen { start: log.log_start_offset(), end: log.log_end_offset(), ..Seen::default() };
    seen.last_stable = log.last_stable_offset();
    // First, when nobody has looked at the bytes yet.
    let by_time = |time: &i64| match log.offset_for_timestamp(*time) {
        Ok(found) => (*time, Ok(found.map(|found| found.offset))),
        Err(error) => (*time, Err(error.to_string())),
    };
    seen.by_time = probes.iter().map(by_time).collect();
    in_order(log, &mut seen);
    from_everywhere(log, &mut seen);
    committed(log, &mut seen);
    // And again, when what is damaged is known.
    seen.by_time.extend(probes.iter().map(by_time));
    seen.epochs = log.epochs().iter().map(|entry| (entry.epoch, entry.start_offset)).collect();
    seen
}

/// As a careful consumer, which goes on behind what it is told to be damaged.
fn in_order(log: &Log, seen: &mut Seen) {
    let mut offset = seen.start;
    while offset < seen.end {
        let before = offset;
        match log.read_verified(offset, 300, i64::MAX, true) {
            Ok(info) => {
                // Compaction may have taken everything up to the end.
                let Some(slice) = info.slice else { break };
                let bytes = slice.read().expect("whole");
                for item in batches(&bytes) {
                    let Ok((header, batch)) = item else {
                        seen.contradictions.push(format!("no batches in the slice at {offset}"));
                        return;
                    };
                    seen.batches.insert(header.base_offset, batch.to_vec());
                    offset = header.next_offset();
                }
            }
            Err(ReadError::Damaged { first_offset, end_offset }) => {
                if !(first_offset..end_offset).contains(&offset) {
                    seen.contradictions.push(format!("{offset} is told to lie in {first_offset}..{end_offset}"));
                }
                seen.damaged.push((first_offset.max(offset), end_offset));
                offset = end_offset;
            }
            Err(error) => {
                seen.damaged.push((offset, seen.end));
                seen.contradictions.push(format!("{offset} cannot be read: {error}"));
                return;
            }
        }
        if offset <= before {
            seen.contradictions.push(format!("a read at {before} does not get on"));
            return;
        }
    }
}

/// From each offset, one batch: the same as before, or the same complaint.
fn from_everywhere(log: &Log, seen: &mut Seen) {
    // A hole of any size may be told as damaged.
    let step = usize::try_from((seen.end - seen.start) / 400 + 1).unwrap_or(usize::MAX);
    for offset in (seen.start..seen.end).step_by(step) {
        let damaged = seen.damaged.iter().any(|(from, to)| (*from..*to).contains(&offset));
        let expected = seen.batches.iter().find(|(base, batch)| last_of(**base, batch) >= offset);
        match log.read_verified(offset, 1, i64::MAX, true) {
            Ok(info) => {
                let bytes = info.slice.map(|slice| slice.read().expect("whole"));
                if damaged || bytes.as_ref() != expected.map(|(_, batch)| batch) {
                    seen.contradictions.push(format!("a read from {offset} brings something else: damaged {damaged}"));
                }
            }
            Err(ReadError::Damaged { .. }) if damaged => {}
            Err(error) => seen.contradictions.push(format!("a read from {offset}: {error}")),
        }
    }
}

fn last_of(base: i64, batch: &[u8]) -> i64 {
    let header = ottla_protocol::record_batch::BatchHeader::read(batch).expect("a batch");
    base + i64::from(header.last_offset_delta)
}

/// Reads of committed records, from every batch.
fn committed(log: &Log, seen: &mut Seen) {
    for base in seen.batches.keys() {
        let slice =
            log.read_committed((*base).max(seen.start), 400, true).map(|info| (info.slice, info.aborted_transactions));
        let (slice, aborted) = match slice {
            Ok((Some(slice), aborted)) => (slice, aborted),
            // Damage may lie on the way to the batch's end.
            Ok((None, _)) if *base >= seen.last_stable || last_of(*base, &seen.batches[base]) >= seen.last_stable => {
                break;
            }
            other => {
                seen.contradictions
                    .push(format!("a read of committed records from {base}: {:?}", other.map(|_| "nothing")));
                return;
            }
        };
        let bytes = slice.read().expect("whole");
        let to = batches(&bytes).flatten().last().map_or(*base, |(header, _)| header.next_offset());
        let told = aborted.iter().map(|t| (t.first_offset, t.producer_id)).collect();
        seen.aborted.push(((*base, to), told));
    }
}
