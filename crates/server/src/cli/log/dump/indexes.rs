//! Entries of `.index`, `.timeindex` and `.txnindex` files, and whether they agree with the `.log` file beside them.

use std::path::Path;

use anyhow::{Context as _, bail};
use ottla_protocol::record_batch::NO_TIMESTAMP;
use ottla_storage::inspect::{BatchAt, BatchFile, OffsetIndexFile, Step, TimeIndexFile, TransactionIndexFile};
use serde_json::json;

use super::complaints::Complaints;
use super::sink::Sink;
use super::{DumpArgs, record};

/// Prints an offset index.
pub(super) fn dump_offsets(
    path: &Path,
    args: &DumpArgs,
    sink: &mut Sink,
    complaints: &mut Complaints,
) -> anyhow::Result<()> {
    let log = path.with_extension("log");
    let file_len = BatchFile::open(&log)?.len();
    let mut index = OffsetIndexFile::open(path)?;
    if index.is_empty() {
        return sink.line("empty", || format!("{} is empty.", path.display()), || json!({}));
    }
    if args.index_sanity_check {
        return sanity(path, index.sanity()?, sink);
    }
    for n in 0..index.len() {
        let entry = index.entry(n)?;
        // Behind the last entry of a preallocated file come zeros.
        if entry.offset == index.base_offset() && n > 0 {
            return Ok(());
        }
        let mut file = BatchFile::open(&log)?;
        file.limit(entry.position.saturating_add(args.max_message_size as u64).min(file_len));
        file.seek(entry.position);
        let Step::Batch(at) = file.next_step()? else {
            bail!("entry {n} of {} points to position {}, where no batch lies", path.display(), entry.position);
        };
        let last_offset = at.header.last_offset();
        if last_offset != entry.offset {
            complaints.offset_mismatch(path, entry.offset, last_offset);
        }
        if !args.verify_index_only {
            sink.line(
                "offset_entry",
                || format!("offset: {} position: {}", entry.offset, entry.position),
                || json!({ "offset": entry.offset, "position": entry.position }),
            )?;
        }
    }
    Ok(())
}

/// Prints a time index.
pub(super) fn dump_times(
    path: &Path,
    args: &DumpArgs,
    sink: &mut Sink,
    complaints: &mut Complaints,
) -> anyhow::Result<()> {
    let mut log = BatchFile::open(&path.with_extension("log"))?;
    let mut offsets = OffsetIndexFile::open(&path.with_extension("index"))?;
    let mut index = TimeIndexFile::open(path)?;
    if args.index_sanity_check {
        return sanity(path, index.sanity()?, sink);
    }
    let mut before = NO_TIMESTAMP;
    for n in 0..index.len() {
        let entry = index.entry(n)?;
        if entry.offset == index.base_offset() && n > 0 {
            return Ok(());
        }
        log.seek(offsets.lookup(entry.offset)?.position);
        match first_batch_reaching(&mut log, entry.offset)? {
            Some(at) if at.header.last_offset() == entry.offset => {
                let largest = largest_timestamp(&mut log, &at)?;
                if largest != entry.timestamp {
                    complaints.timestamp_mismatch(path, entry.timestamp, largest);
                }
                if before >= entry.timestamp {
                    complaints.out_of_order(path, entry.timestamp, before);
                }
            }
            other => {
                let found = other.map_or(-1, |at| at.header.last_offset());
                complaints.offset_not_found(path, entry.offset, found);
            }
        }
        if !args.verify_index_only {
            sink.line(
                "time_entry",
                || format!("timestamp: {} offset: {}", entry.timestamp, entry.offset),
                || json!({ "timestamp": entry.timestamp, "offset": entry.offset }),
            )?;
        }
        before = entry.timestamp;
    }
    Ok(())
}

/// Prints a transaction index.
pub(super) fn dump_transactions(path: &Path, sink: &mut Sink) -> anyhow::Result<()> {
    let mut index = TransactionIndexFile::open(path)?;
    for n in 0..index.len() {
        let (version, t) = index.entry(n)?;
        if version > 0 {
            bail!("entry {n} of {} has version {version}; this release reads 0", path.display());
        }
        sink.line(
            "aborted_transaction",
            || {
                format!(
                    "version: {version} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
                    t.producer_id, t.first_offset, t.last_offset, t.last_stable_offset
                )
            },
            || {
                json!({
                    "version": version, "producer_id": t.producer_id, "first_offset": t.first_offset,
                    "last_offset": t.last_offset, "last_stable_offset": t.last_stable_offset,
                })
            },
        )?;
    }
    Ok(())
}

fn sanity(path: &Path, sane: Result<(), String>, sink: &mut Sink) -> anyhow::Result<()> {
    match sane {
        Ok(()) => sink.line("sane", || format!("{} passed sanity check.", path.display()), || json!({})),
        Err(reason) => bail!("{} would be built again: {reason}", path.display()),
    }
}

fn first_batch_reaching(log: &mut BatchFile, offset: i64) -> anyhow::Result<Option<BatchAt>> {
    loop {
        match log.next_step()? {
            Step::Batch(at) if at.header.last_offset() >= offset => return Ok(Some(at)),
            Step::Batch(_) => {}
            Step::End | Step::Cut { .. } => return Ok(None),
            Step::Broken { position, error } => bail!("no batch at position {position} of the log: {error}"),
        }
    }
}

/// Of the records, not of the head.
fn largest_timestamp(log: &mut BatchFile, at: &BatchAt) -> anyhow::Result<i64> {
    let mut largest = NO_TIMESTAMP;
    let bytes = log.bytes(at).context("the batch of the entry")?;
    record::for_each(at, bytes, &mut Vec::new(), |record| {
        largest = largest.max(record.timestamp);
        Ok(())
    })?;
    Ok(largest)
}
