//! Whether what a compaction decided can be put in place. Kafka does so without a look; here the bytes are read once, for while
//! the old segments are there a broken new one costs nothing.
//!
//! ```text
//!   .log.swap     whole: checksums fit, offsets rise, and they end below the last segment   ──> put in place
//!   otherwise     S4.log S5.log … whole too, each up to the next, up to the last segment    ──> the decision is taken back
//!                 one of them is gone, broken, or ends before the next one begins           ──> the log is not opened
//! ```
//! How many segments a broken one stands for cannot be told, so that all behind its base offset have to be there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ottla_env::fs::File;

use crate::batch_reader::{BatchReader, Step};
use crate::error::StorageError;
use crate::file_names::{LOG, offset_file, parse_offset_file};
use crate::log_folder::LogFolder;

/// See the module.
pub(super) enum Verdict {
    /// Put in place: it stands for the segments that begin within these offsets.
    Sound(Range<i64>),
    /// It is broken, so, and the segments that it stands for are there.
    Broken(String),
}

/// Judges the `.log.swap` files `logs`, by base offset, among the files of the folder.
///
/// # Errors
/// When neither they nor what they stand for is whole.
pub(super) fn judge(
    folder: &LogFolder,
    files: &BTreeMap<String, u64>,
    logs: &[(i64, &str)],
) -> Result<Verdict, StorageError> {
    let segments: Vec<i64> = files.keys().filter_map(|name| parse_offset_file(name)).filter_map(of_log).collect();
    let from = logs.iter().map(|(base, _)| *base).min().unwrap_or(i64::MAX);
    let reason = match end_of(folder, &segments, logs)? {
        Ok(to) => return Ok(Verdict::Sound(from..to)),
        Err(reason) => reason,
    };
    match gap_behind(folder, &segments, from)? {
        None => Ok(Verdict::Broken(reason)),
        Some(gap) => Err(StorageError::Corrupt {
            path: folder.path(),
            reason: format!(
                "a compaction was decided, and neither what it made is whole ({reason}) nor what it replaces ({gap}); if another replica has the partition, remove this directory while the broker is stopped and start: it is copied anew; otherwise put a sound copy of either in place, or move the files that end in .swap away to go on with what is left"
            ),
        }),
    }
}

fn of_log((offset, suffix): (i64, &str)) -> Option<i64> {
    (suffix == LOG).then_some(offset)
}

/// The offset behind the last batch of all, one after each base offset at least, so that the segment of that name itself is
/// replaced; or what is wrong.
fn end_of(folder: &LogFolder, segments: &[i64], logs: &[(i64, &str)]) -> Result<Result<i64, String>, StorageError> {
    let mut end = i64::MIN;
    for (base, name) in logs {
        match read_whole(&folder.file(name), *base)? {
            Ok(to) => end = end.max(to.max(base.saturating_add(1))),
            Err(reason) => return Ok(Err(format!("{name}: {reason}"))),
        }
    }
    // The last segment is never compacted. No checksum covers a base offset, and one that lies would take all segments along.
    let last = segments.last().filter(|last| logs.iter().all(|(base, _)| base < *last));
    match last.filter(|last| end > **last) {
        None => Ok(Ok(end)),
        Some(last) => Ok(Err(format!("it ends at {end}, within the last segment, {}", offset_file(*last, LOG)))),
    }
}

/// Why the segments from `from` on do not hold every batch; None if they do. The last one is recovery's to judge.
fn gap_behind(folder: &LogFolder, segments: &[i64], from: i64) -> Result<Option<String>, StorageError> {
    let Some(first) = segments.iter().position(|base| *base == from) else {
        return Ok(Some(format!("{} is gone", offset_file(from, LOG))));
    };
    let replaced = segments.get(first..).unwrap_or_default();
    if replaced.len() < 2 {
        return Ok(Some(format!("no segment follows {}", offset_file(from, LOG))));
    }
    for (base, next) in replaced.iter().zip(replaced.iter().skip(1)) {
        let name = offset_file(*base, LOG);
        match read_whole(&folder.file(&name), *base)? {
            Ok(end) if end == *next => {}
            Ok(end) => return Ok(Some(format!("{name} ends at {end}, and the next segment begins at {next}"))),
            Err(reason) => return Ok(Some(format!("{name}: {reason}"))),
        }
    }
    Ok(None)
}

/// The offset behind the last batch, or `base`, where the file may begin; or what is wrong with a batch.
fn read_whole(path: &Path, base: i64) -> Result<Result<i64, String>, StorageError> {
    let file = File::open(path)?;
    let mut reader = BatchReader::new(&file, 0, file.len()?);
    let (mut next_offset, mut epoch) = (base, -1);
    loop {
        let position = reader.position();
        let header = match reader.next()? {
            Step::Batch(at) => at.header,
            Step::Broken => return Ok(Err(format!("no sound batch at position {position}"))),
            Step::End => return Ok(Ok(next_offset)),
        };
        let fits = header.base_offset >= next_offset && header.last_offset_delta >= 0;
        if !fits || header.partition_leader_epoch < epoch {
            return Ok(Err(format!("the batch at position {position} contradicts the one before it")));
        }
        (next_offset, epoch) = (header.next_offset(), header.partition_leader_epoch);
    }
}
