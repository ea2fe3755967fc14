//! What was read of a damaged directory, held against the undamaged one and against what was appended.

use std::collections::BTreeMap;

use ottla_protocol::record_batch::{self, BatchHeader};

use super::fixture::TABLE;
use super::history::{Aborted, Written};
use super::observe::Seen;

/// What a reader could notice if somebody told him how it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Difference {
    /// Records are missing.
    Lost,
    /// Records are there again that were deleted or compacted away.
    Back,
    /// A batch has another leader epoch, which no checksum covers.
    BatchEpoch,
    /// A batch of a compacted log stands at another offset, which none covers either.
    BatchOffset,
    /// A search by time passes by a record that is there.
    Time,
    /// Readers of committed records are told of other aborted transactions than there are.
    Aborted,
    /// The leader epochs are not those of the batches.
    Epochs,
    /// Readers of committed records are let see less, or more.
    LastStable,
}

/// Compares what was seen of a topic, of which everything below `durable` was on the device; `Err`: something was served that must never be.
pub(crate) fn judge(
    topic: &str,
    truth: &Seen,
    seen: &Seen,
    written: &Written,
    durable: i64,
) -> Result<Vec<Difference>, String> {
    if let Some(contradiction) = seen.contradictions.first() {
        return Err(contradiction.clone());
    }
    let mut differences = batches(topic, truth, seen, written, durable)?;
    if differences.is_empty() && seen.end == truth.end && epochs(seen) != epochs(truth) {
        differences.push(Difference::Epochs);
    }
    // Of a marker that is lost nobody knows.
    if !differences.contains(&Difference::Lost) && seen.end == truth.end && seen.last_stable != truth.last_stable {
        differences.push(Difference::LastStable);
    }
    if let Some(what) = by_time(seen)? {
        differences.push(what);
    }
    if aborted(seen, written).is_some() {
        differences.push(Difference::Aborted);
    }
    Ok(differences)
}

/// Where the first epoch began is not known any more once its first batches are gone.
fn epochs(seen: &Seen) -> Vec<(i32, i64)> {
    let from = |(n, (epoch, start)): (usize, &(i32, i64))| (*epoch, if n == 0 { 0 } else { *start });
    seen.epochs.iter().enumerate().map(from).collect()
}

fn batches(topic: &str, truth: &Seen, seen: &Seen, written: &Written, durable: i64) -> Result<Vec<Difference>, String> {
    let mut differences = Vec::new();
    for (base, batch) in &seen.batches {
        if truth.batches.get(base) == Some(batch) {
            continue;
        }
        let same_but = |skip: std::ops::Range<usize>, other: &[u8]| {
            other.len() == batch.len() && (0..batch.len()).all(|at| skip.contains(&at) || other[at] == batch[at])
        };
        let ever = || truth.batches.get(base).into_iter().chain(written.batches.get(base));
        let earlier = || written.compacted.get(base).into_iter().flatten();
        differences.push(if written.batches.get(base) == Some(batch) || earlier().any(|earlier| earlier == batch) {
            Difference::Back
        } else if ever().any(|other| same_but(12..16, other)) {
            Difference::BatchEpoch
        } else if topic == TABLE && truth.batches.values().any(|other| same_but(0..8, other)) {
            Difference::BatchOffset
        } else {
            return Err(format!("a batch at {base} was never written"));
        });
    }
    let told = |base: i64| seen.damaged.iter().any(|(from, to)| (*from..*to).contains(&base));
    let lost: Vec<i64> = truth.batches.keys().filter(|base| !seen.batches.contains_key(base)).copied().collect();
    let skipped = |base: &&i64| topic != TABLE && (seen.start..seen.end).contains(base) && !told(**base);
    if let Some(base) = lost.iter().find(skipped) {
        return Err(format!("the batch at {base} is passed over without a word"));
    }
    if lost.iter().any(|base| *base < durable) {
        differences.push(Difference::Lost);
    }
    Ok(differences)
}

/// Each search by time should have found the first record that is served and not too old.
fn by_time(seen: &Seen) -> Result<Option<Difference>, String> {
    let records = records(&seen.batches)?;
    for (time, found) in &seen.by_time {
        let right =
            records.iter().find(|(offset, stamp)| **offset >= seen.start && *stamp >= time).map(|(offset, _)| *offset);
        match found {
            Ok(found) if *found == right => {}
            Err(_) if !seen.damaged.is_empty() => {}
            Ok(_) | Err(_) => return Ok(Some(Difference::Time)),
        }
    }
    Ok(None)
}

/// Timestamps by offset.
fn records(batches: &BTreeMap<i64, Vec<u8>>) -> Result<BTreeMap<i64, i64>, String> {
    let mut all = BTreeMap::new();
    for (base, batch) in batches {
        let header = BatchHeader::read(batch).map_err(|error| format!("{base}: {error:?}"))?;
        let mut scratch = Vec::new();
        for record in
            record_batch::records(batch, &mut scratch, 1 << 20).map_err(|error| format!("{base}: {error:?}"))?
        {
            let record = record.map_err(|error| format!("{base}: {error:?}"))?;
            let offset = base + i64::from(record.offset_delta);
            all.insert(offset, header.base_timestamp + record.timestamp_delta);
        }
    }
    Ok(all)
}

/// The first read of committed records that was told something wrong. Whether a transaction was aborted that has lost its
/// marker is not known; and of one that has lost its beginning, what is left begins with what is left.
fn aborted(seen: &Seen, written: &Written) -> Option<(i64, i64)> {
    let wrong = seen.aborted.iter().find(|((from, to), told)| {
        let overlap = |t: &&Aborted| t.marker >= *from && t.first < *to;
        let all: Vec<_> = written.aborted.iter().filter(overlap).collect();
        let is_it = |t: &Aborted, (first, producer_id): (i64, i64)| {
            // Where the marker before is lost, it seems to begin with the transaction before.
            let earlier = Aborted { first, producer_id, marker: t.first };
            let lost = seen.damaged.iter().any(|(from, to)| *from < t.first && first < *to);
            let alone = || batches_of(seen, &earlier).next().is_none();
            producer_id == t.producer_id && first <= first_left(seen, t) && (lost || alone())
        };
        let is_left = |t: &Aborted| seen.batches.contains_key(&t.marker) && has_data(seen, t, *from, *to);
        let missing = all.iter().any(|t| is_left(t) && !told.iter().any(|told| is_it(t, *told)));
        // Those that begin behind what was read, beyond something damaged perhaps, do no harm.
        let invented = told.iter().any(|told| !written.aborted.iter().any(|t| is_it(t, *told)));
        missing || invented
    });
    wrong.map(|(range, _)| *range)
}

/// The batches of a transaction that are there.
fn batches_of<'a>(seen: &'a Seen, of: &'a Aborted) -> impl Iterator<Item = (i64, BatchHeader)> + 'a {
    let batches = seen.batches.range(of.first..of.marker.max(of.first));
    let headers = batches.filter_map(|(base, batch)| Some((*base, BatchHeader::read(batch).ok()?)));
    headers.filter(|(_, header)| header.producer_id == of.producer_id)
}

fn first_left(seen: &Seen, of: &Aborted) -> i64 {
    batches_of(seen, of).next().map_or(of.marker, |(base, _)| base)
}

/// Whether a reader of `from..to` gets records of a transaction.
fn has_data(seen: &Seen, of: &Aborted, from: i64, to: i64) -> bool {
    batches_of(seen, of).any(|(base, header)| base < to && base + i64::from(header.last_offset_delta) >= from)
}
