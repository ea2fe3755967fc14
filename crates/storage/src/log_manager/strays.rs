//! Strays: directories of partitions that metadata does not know. They are renamed, not removed, as Kafka does: should the
//! metadata be at fault, the records are still there.
//!
//! Nobody waits for their names to be durable: one that a loss of power brings back is a stray again at the next start.

use std::path::Path;
use std::sync::Arc;

use ottla_env::{fs, random};
use ottla_protocol::Uuid;

use crate::error::StorageError;
use crate::file_names::{FUTURE_DIR, LOG, STRAY_DIR, partition_dir, stray_dir};
use crate::log::Log;
use crate::log_dir::LogDir;
use crate::partition_metadata;

/// Sets an open log aside.
pub(super) fn set_log_aside(log: &Log) -> Result<(), StorageError> {
    let from = log.path();
    let to = log.set_aside()?;
    tracing::warn!(from = %from.display(), to = %to.display(), topic_id = %log.topic_id(),
        "a log that metadata does not know is set aside; remove its directory when nobody misses it");
    Ok(())
}

/// Sets aside what lies under a partition's name, was not opened at the start, and belongs to another topic id, or holds
/// records and does not say whose: of an earlier topic of that name perhaps, whose partition.metadata went with the power.
pub(super) fn set_unopened_aside(
    dirs: &[Arc<LogDir>],
    topic: &str,
    partition: i32,
    topic_id: Uuid,
) -> Result<(), StorageError> {
    for dir in dirs.iter().filter(|dir| dir.check_online().is_ok()) {
        let path = dir.path().join(partition_dir(topic, partition));
        if !fs::exists(&path) {
            continue;
        }
        let found = match partition_metadata::read(&path)? {
            Some(found) if found == topic_id => continue,
            Some(found) => found,
            None if has_records(&path)? => Uuid::ZERO,
            None => continue,
        };
        let to = dir.rename(&path, &stray_dir(topic, partition, random::bytes16()))?;
        tracing::warn!(from = %path.display(), to = %to.display(), topic_id = %found,
            "a directory that metadata does not know is set aside; remove it when nobody misses it");
    }
    Ok(())
}

/// What was to be the copy of a log that moves, and does not say of which topic: it was being made when the power went, and
/// goes, if it holds no records.
pub(super) fn set_copy_aside(dir: &LogDir, path: &Path) -> Result<(), StorageError> {
    if !has_records(path)? {
        dir.remove_later(path.to_owned(), true, 0);
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(FUTURE_DIR).unwrap_or(&name);
    let to = dir.rename(path, &format!("{name}{STRAY_DIR}"))?;
    tracing::warn!(from = %path.display(), to = %to.display(),
        "the copy of a log that does not say of which topic is set aside; remove it when nobody misses it");
    Ok(())
}

fn has_records(path: &Path) -> Result<bool, StorageError> {
    Ok(fs::read_dir(path)?.iter().any(|entry| entry.name.ends_with(LOG) && entry.len > 0))
}
