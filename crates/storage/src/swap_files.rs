//! What an interrupted compaction left in a log's directory is finished or undone. Kafka: the first passes of
//! `LogLoader.load`; `docs/design/compaction.md` draws the states.
//!
//! ```text
//!   any .cleaned          its compaction was not finished: it goes, and so do .swap files at or above it
//!   .log.swap             finished: what it replaces goes, then the names lose their suffix
//!   other .swap           the batches have their name already: so will the indexes
//! ```
//! Each step is made durable before the next, so that a crash in here leaves one of these states again.

use std::collections::BTreeMap;

use ottla_env::fs::{self, DirEntry, File};
use ottla_env::planted;

use crate::batch_scan::BatchScanner;
use crate::error::StorageError;
use crate::file_names::{CLEANED, DELETED, INDEX, LOG, SWAP, TEMPORARY, TIME_INDEX, TXN_INDEX, parse_offset_file};
use crate::log_folder::LogFolder;

/// Finishes or undoes, removes leftovers, and gives the files that stay, by name, with their lengths.
pub(crate) fn sweep(folder: &LogFolder) -> Result<BTreeMap<String, u64>, StorageError> {
    let found = list(folder)?;
    let is_leftover = |name: &str| [DELETED, TEMPORARY].iter().any(|suffix| name.ends_with(suffix));
    let leftovers: Vec<_> = found.keys().filter(|name| is_leftover(name)).cloned().collect();
    if leftovers.iter().any(|name| name.ends_with(DELETED)) {
        // The process that renamed a segment away may have died before it had synced that: the old name could come back,
        // when nothing here tells any more that it had gone.
        sync(folder)?;
    }
    remove(folder, &leftovers)?;
    if found.keys().any(|name| name.ends_with(CLEANED) || name.ends_with(SWAP)) {
        undo(folder, &found)?;
        finish(folder)?;
        return list(folder);
    }
    Ok(found.into_iter().filter(|(name, _)| !is_leftover(name)).collect())
}

fn list(folder: &LogFolder) -> Result<BTreeMap<String, u64>, StorageError> {
    let entries = fs::read_dir(folder.path())?.into_iter().filter(|entry| !entry.is_dir);
    Ok(entries.map(|DirEntry { name, len, .. }| (name, len)).collect())
}

fn remove(folder: &LogFolder, names: &[String]) -> Result<(), StorageError> {
    names.iter().try_for_each(|name| Ok(fs::remove_file(folder.file(name))?))
}

#[cfg_attr(sim, track_caller)]
fn sync(folder: &LogFolder) -> Result<(), StorageError> {
    Ok(fs::sync_dir(folder.path())?)
}

/// The files with a suffix, and the offsets in their names.
fn with_suffix<'a>(files: &'a BTreeMap<String, u64>, suffix: &str) -> Vec<(i64, &'a str)> {
    let named = files.keys().filter(|name| name.ends_with(suffix));
    named.filter_map(|name| Some((parse_offset_file(name)?.0, name.as_str()))).collect()
}

/// Takes back a compaction, or one of several segments of it, that had not got all its files the suffix `.swap`.
fn undo(folder: &LogFolder, files: &BTreeMap<String, u64>) -> Result<(), StorageError> {
    let cleaned = with_suffix(files, CLEANED);
    let Some(first) = cleaned.iter().map(|(offset, _)| *offset).min() else { return Ok(()) };
    let swaps = with_suffix(files, SWAP);
    let names = |files: &mut dyn Iterator<Item = &(i64, &str)>| files.map(|(_, name)| (*name).to_owned()).collect();
    let half: Vec<String> = names(&mut swaps.iter().filter(|(offset, _)| *offset >= first));
    tracing::info!(path = %folder.path().display(), "an unfinished compaction is undone");
    remove(folder, &half)?;
    // Before the files that tell that these were not finished.
    sync(folder)?;
    remove(folder, &names(&mut cleaned.iter()))
}

/// Puts in place what has the suffix `.swap`.
fn finish(folder: &LogFolder) -> Result<(), StorageError> {
    let files = list(folder)?;
    let logs: Vec<(i64, &str)> =
        with_suffix(&files, SWAP).into_iter().filter(|(_, name)| name.strip_suffix(SWAP).is_some_and(is_log)).collect();
    if !logs.is_empty() {
        tracing::info!(path = %folder.path().display(), segments = logs.len(), "an interrupted compaction is finished");
        if !planted::is("what was compacted stays beside its replacement") {
            remove(folder, &replaced(folder, &files, &logs)?)?;
        }
        // Before the new ones are told from old ones by nothing any more.
        sync(folder)?;
        for (_, name) in &logs {
            drop_suffix(folder, name)?;
        }
        // Before the indexes: beside a .log.swap they would be taken for old ones.
        sync(folder)?;
    }
    let rest: Vec<_> = with_suffix(&files, SWAP).into_iter().filter(|swap| !logs.contains(swap)).collect();
    for (_, name) in &rest {
        drop_suffix(folder, name)?;
    }
    // Before the next pass makes files: beside those, whatever ends in .swap is taken for unfinished.
    if rest.is_empty() { Ok(()) } else { sync(folder) }
}

fn is_log(name: &str) -> bool {
    name.ends_with(LOG)
}

fn drop_suffix(folder: &LogFolder, name: &str) -> Result<(), StorageError> {
    let to = name.strip_suffix(SWAP).unwrap_or(name);
    Ok(fs::rename(folder.file(name), folder.file(to))?)
}

/// The segment files that the finished ones stand for: those from the first one's base offset up to the last one's end.
fn replaced(
    folder: &LogFolder,
    files: &BTreeMap<String, u64>,
    logs: &[(i64, &str)],
) -> Result<Vec<String>, StorageError> {
    let (mut from, mut to) = (i64::MAX, i64::MIN);
    for (base, name) in logs {
        from = from.min(*base);
        to = to.max(end_of(folder, *base, name)?);
    }
    // Also an index alone: its segment may have been renamed away already.
    let is_replaced = |name: &&String| {
        parse_offset_file(name).is_some_and(|(offset, suffix)| {
            (from..to).contains(&offset) && [LOG, INDEX, TIME_INDEX, TXN_INDEX].contains(&suffix)
        })
    };
    Ok(files.keys().filter(is_replaced).cloned().collect())
}

/// The offset after the last batch; one after `base` at least, so that the segment of that name itself is replaced.
fn end_of(folder: &LogFolder, base: i64, name: &str) -> Result<i64, StorageError> {
    let file = File::open(folder.file(name))?;
    let mut end = base.saturating_add(1);
    let mut scanner = BatchScanner::new(&file, 0, file.len()?);
    while let Some(at) = scanner.next()? {
        end = end.max(at.header.next_offset());
    }
    Ok(end)
}
