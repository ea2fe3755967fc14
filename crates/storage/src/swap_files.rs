//! What an interrupted compaction left in a log's directory is finished or undone. Kafka: the first passes of
//! `LogLoader.load`; `docs/design/compaction.md` draws the states.
//!
//! ```text
//!   any .cleaned          its compaction was not finished: it goes, and so do .swap files at or above it
//!   .log.swap, sound      finished: what it replaces goes, then the names lose their suffix
//!   .log.swap, broken     taken back, if what it replaces is there still: it is .cleaned again, see above
//!   other .swap           the batches have their name already: so will the indexes
//! ```
//! Each step is made durable before the next, so that a crash in here leaves one of these states again.

mod verdict;

use std::collections::BTreeMap;
use std::ops::Range;

use ottla_env::fs::{self, DirEntry};
use ottla_env::planted;

use crate::error::StorageError;
use crate::file_names::{CLEANED, DELETED, INDEX, LOG, SWAP, TEMPORARY, TIME_INDEX, TXN_INDEX, parse_offset_file};
use crate::log_folder::LogFolder;
use verdict::Verdict;

/// Finishes or undoes, removes leftovers, and gives the files that stay, by name, with their lengths.
pub(crate) fn sweep(folder: &LogFolder) -> Result<BTreeMap<String, u64>, StorageError> {
    let mut found = list(folder)?;
    let mut is_unsynced = false;
    if found.keys().any(|name| name.ends_with(CLEANED) || name.ends_with(SWAP)) {
        undo(folder, &found)?;
        is_unsynced = finish(folder)?;
        found = list(folder)?;
    }
    // Only now: while a log cannot be opened, a segment that was renamed away may be all that is left of its records.
    let is_leftover = |name: &str| [DELETED, TEMPORARY].iter().any(|suffix| name.ends_with(suffix));
    let leftovers: Vec<_> = found.keys().filter(|name| is_leftover(name)).cloned().collect();
    if is_unsynced || leftovers.iter().any(|name| name.ends_with(DELETED)) {
        // Before the next pass makes files: beside those, whatever ends in .swap is taken for unfinished. And the process that
        // renamed a segment away may have died before it had synced that: the old name could come back, when nothing here tells
        // any more that it had gone.
        sync(folder)?;
    }
    remove(folder, &leftovers)?;
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

/// Puts in place what has the suffix `.swap`, or takes it back. True if the last names are yet to be synced.
fn finish(folder: &LogFolder) -> Result<bool, StorageError> {
    let files = list(folder)?;
    let logs: Vec<(i64, &str)> =
        with_suffix(&files, SWAP).into_iter().filter(|(_, name)| name.strip_suffix(SWAP).is_some_and(is_log)).collect();
    if !logs.is_empty() {
        match verdict::judge(folder, &files, &logs)? {
            Verdict::Sound(replaced) => put_in_place(folder, &files, &logs, &replaced)?,
            Verdict::Broken(reason) => take_back(folder, &logs, &reason)?,
        }
    }
    let is_named = logs.is_empty();
    let files = list(folder)?;
    let rest = with_suffix(&files, SWAP);
    if is_named && !rest.is_empty() {
        // By a process that may have died before it had synced the names of the batches: see put_in_place.
        sync(folder)?;
    }
    for (_, name) in &rest {
        drop_suffix(folder, name)?;
    }
    Ok(!rest.is_empty())
}

fn put_in_place(
    folder: &LogFolder,
    files: &BTreeMap<String, u64>,
    logs: &[(i64, &str)],
    replaced: &Range<i64>,
) -> Result<(), StorageError> {
    tracing::info!(path = %folder.path().display(), segments = logs.len(), "an interrupted compaction is finished");
    // The process that decided it may have died before it had synced that: without their names the new ones would be undone, when
    // some of the old ones have gone.
    sync(folder)?;
    if !planted::is("what was compacted stays beside its replacement") {
        remove(folder, &segment_files(files, replaced))?;
    }
    // Before the new ones are told from old ones by nothing any more.
    sync(folder)?;
    for (_, name) in logs {
        drop_suffix(folder, name)?;
    }
    // Before the indexes: beside a .log.swap they would be taken for old ones.
    sync(folder)
}

/// The first segment was the last to get the suffix that decides. Without it all of them are undone, now or at another start.
fn take_back(folder: &LogFolder, logs: &[(i64, &str)], reason: &str) -> Result<(), StorageError> {
    tracing::warn!(path = %folder.path().display(), reason,
        "what a compaction made is broken; it is dropped, and the segments that it was to replace, which are whole, stay");
    let Some((_, first)) = logs.iter().min() else { return Ok(()) };
    let cleaned = format!("{}{CLEANED}", first.strip_suffix(SWAP).unwrap_or(first));
    fs::rename(folder.file(first), folder.file(&cleaned))?;
    sync(folder)?;
    undo(folder, &list(folder)?)
}

fn is_log(name: &str) -> bool {
    name.ends_with(LOG)
}

fn drop_suffix(folder: &LogFolder, name: &str) -> Result<(), StorageError> {
    let to = name.strip_suffix(SWAP).unwrap_or(name);
    Ok(fs::rename(folder.file(name), folder.file(to))?)
}

/// The files of the segments that begin within these offsets.
fn segment_files(files: &BTreeMap<String, u64>, within: &Range<i64>) -> Vec<String> {
    // Also an index alone: its segment may have been renamed away already.
    let is_replaced = |name: &&String| {
        parse_offset_file(name).is_some_and(|(offset, suffix)| {
            within.contains(&offset) && [LOG, INDEX, TIME_INDEX, TXN_INDEX].contains(&suffix)
        })
    };
    files.keys().filter(is_replaced).cloned().collect()
}
