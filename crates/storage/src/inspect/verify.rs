//! Reads everything in a log directory and says what does not fit together.
//!
//! ```text
//!   directory ── meta.properties, checkpoints
//!       └── partition ── partition.metadata, leader-epoch-checkpoint, leftovers
//!               └── segments in order ── every batch: checksum, records, offsets, epoch
//!                       ├──> offset_index, time_index   entries beside the batches that they point to
//!                       ├──> producers                  .txnindex and .snapshot beside what the batches say
//!                       └──> log_end                    checkpoints beside where the log ends
//! ```
//! One pass: every file is read once from front to back, indexes beside their segment. Memory is bounded by the largest sound
//! batch and by what the log's producers take, of which [`producers::PRODUCERS_MAX`] are followed. Nothing is believed that
//! can be computed: what a batch is is told by its checksum, and every other file is held against the batches.

pub(super) mod broken;
mod epochs;
mod index_entries;
mod log_end;
mod offset_index;
mod partition;
mod partition_id;
mod producers;
mod records;
mod reporter;
mod segment;
mod snapshot_file;
mod time_index;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ottla_env::fs;

use super::directory::{Checkpoints, Directory, Ended};
use super::finding::{Finding, Severity, Watcher};
use super::partition_files::PartitionFiles;
use crate::file_names::{DirKind, parse_partition_dir};
use crate::meta_properties;
use partition_id::TopicIds;
use reporter::Reporter;

/// What was read and found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Partitions.
    pub partitions: u64,
    /// Segments.
    pub segments: u64,
    /// Batches whose checksum fits.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Findings of [`Severity::Damage`].
    pub damage: u64,
    /// Findings of [`Severity::Repairable`].
    pub repairable: u64,
    /// Findings of [`Severity::Note`].
    pub notes: u64,
}

/// Verifies a log directory, or the directory of one partition; which it is is told by its files. Gives how the process that
/// used it ended, and what was read and found. It cannot be told how that ended of a partition's directory outside of a log
/// directory, which is judged as if everything in it had been synced.
///
/// # Errors
/// When the directory is neither, or cannot be read at all. What cannot be read within it is a finding.
pub fn verify(path: &Path, watcher: &mut dyn Watcher) -> io::Result<(Option<Ended>, Totals)> {
    let mut reporter = Reporter::new(watcher);
    if is_partition(path)? {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let parent = if fs::exists(parent.join(meta_properties::FILE_NAME)) {
            Some(Directory::read(parent, &mut reporter)?)
        } else {
            None
        };
        if let Some(parent) = &parent {
            running_note(parent, &mut reporter);
        }
        let ended = parent.as_ref().map(|dir| dir.ended);
        let known = parent.map_or(Checkpoints::default(), |dir| dir.checkpoints_of(&name));
        let judged = ended.unwrap_or(Ended::Cleanly);
        partition::verify(path, &name, judged, known, &mut TopicIds::default(), &mut reporter)?;
        return Ok((ended, reporter.totals()));
    }
    if !fs::exists(path.join(meta_properties::FILE_NAME)) && !has_partitions(path)? {
        let what = format!(
            "{} is neither a log directory (no meta.properties, no partitions) nor a partition's (no .log file)",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let directory = Directory::read(path, &mut reporter)?;
    running_note(&directory, &mut reporter);
    let mut topics = TopicIds::default();
    for name in &directory.partitions {
        let known = directory.checkpoints_of(name);
        partition::verify(&path.join(name), name, directory.ended, known, &mut topics, &mut reporter)?;
    }
    beside_partitions(&directory, &mut reporter);
    Ok((Some(directory.ended), reporter.totals()))
}

/// Bytes that [`verify`] will read of the directory, as far as can be told beforehand.
///
/// # Errors
/// When the directory cannot be read.
pub fn bytes_to_read(path: &Path) -> io::Result<u64> {
    if is_partition(path)? {
        return Ok(PartitionFiles::list(path)?.bytes());
    }
    let partitions = fs::read_dir(path)?.into_iter().filter(|entry| entry.is_dir && is_partition_name(&entry.name));
    // One that goes meanwhile has nothing to read.
    Ok(partitions
        .filter_map(|entry| PartitionFiles::list(&path.join(entry.name)).ok())
        .map(|files| files.bytes())
        .sum())
}

fn is_partition(path: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(path)?.iter().any(|entry| !entry.is_dir && entry.name.ends_with(".log")))
}

fn has_partitions(path: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(path)?.iter().any(|entry| entry.is_dir && is_partition_name(&entry.name)))
}

fn is_partition_name(name: &str) -> bool {
    matches!(parse_partition_dir(name), DirKind::Partition { .. } | DirKind::Future { .. })
}

fn running_note(directory: &Directory, reporter: &mut Reporter<'_>) {
    if let Ended::Running(pid) = directory.ended {
        let who = if pid == 0 { "another process".to_owned() } else { format!("process {pid}") };
        reporter.found(Finding::new(
            Severity::Note,
            &directory.path,
            format!(
                "{who} is using the directory: the ends of logs move while they are read, and are judged leniently"
            ),
        ));
    }
}

/// What lies in the directory besides partitions, and what checkpoints name though it is not there.
fn beside_partitions(directory: &Directory, reporter: &mut Reporter<'_>) {
    for name in &directory.set_aside {
        let what = match parse_partition_dir(name) {
            DirKind::Deleted => "a deleted partition, which goes after file.delete.delay.ms or at the next start",
            _ => "a partition that was set aside; it was not looked into",
        };
        reporter.found(Finding::new(Severity::Note, directory.path.join(name), what));
    }
    let mut gone: BTreeMap<String, ()> = BTreeMap::new();
    for (topic, partition) in directory.in_checkpoints() {
        let name = format!("{topic}-{partition}");
        let is_copy = |name: &String| parse_partition_dir(name) == DirKind::Future { topic, partition };
        if !directory.partitions.contains(&name) && !directory.partitions.iter().any(is_copy) {
            gone.insert(name, ());
        }
    }
    let running = matches!(directory.ended, Ended::Running(_));
    if !gone.is_empty() && !running {
        let names: Vec<_> = gone.into_keys().collect();
        let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(5);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        reporter.found(Finding::new(
            Severity::Note,
            &directory.path,
            format!("checkpoints name partitions that are not here: {shown}{more}; they were deleted or moved, or their directories are lost"),
        ));
    }
}
