//! One partition: its segments in order, and everything beside them.

use std::io;
use std::path::Path;

use super::epochs::EpochCheck;
use super::log_end::Loss;
use super::partition_id::{CLUSTER_METADATA, TopicIds};
use super::producers::ProducerCheck;
use super::reporter::Reporter;
use super::{log_end, segment, snapshot_file};
use crate::file_names::SNAPSHOT;
use crate::file_names::{CLEANED, SWAP};
use crate::inspect::directory::{Checkpoints, Ended};
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::inspect::partition_files::PartitionFiles;

/// Holes that are kept until it is known whether compaction made them.
const HOLES_MAX: usize = 20;

/// What is known of a partition while its segments are read.
pub(super) struct Partition {
    pub(super) files: PartitionFiles,
    pub(super) ended: Ended,
    pub(super) known: Checkpoints,
    pub(super) epochs: EpochCheck,
    pub(super) producers: ProducerCheck,
    /// The offset after the last batch; None before the first segment.
    pub(super) next_offset: Option<i64>,
    /// Below this offset every file is as it is to stay.
    pub(super) settled_below: i64,
    /// A checkpoint says so, or batches with fewer records than offsets do.
    pub(super) compacted: bool,
    /// Offsets that are missing between batches.
    pub(super) holes: Vec<Finding>,
    /// Memory that serves batch after batch.
    pub(super) window: Vec<u8>,
}

impl Partition {
    pub(super) fn running(&self) -> bool {
        matches!(self.ended, Ended::Running(_))
    }

    /// Compaction was seen: holes mean nothing then.
    pub(super) fn set_compacted(&mut self) {
        self.compacted = true;
        self.producers.lenient = true;
    }

    /// Offsets are missing, by compaction perhaps.
    pub(super) fn hole(&mut self, finding: Finding) {
        self.producers.lenient = true;
        if self.holes.len() < HOLES_MAX {
            self.holes.push(finding);
        }
    }
}

/// Verifies the partition in `path`, whose directory is called `name`.
pub(super) fn verify(
    path: &Path,
    name: &str,
    ended: Ended,
    known: Checkpoints,
    topics: &mut TopicIds,
    reporter: &mut Reporter<'_>,
) -> io::Result<()> {
    reporter.begin(name);
    let running = matches!(ended, Ended::Running(_));
    let files = match PartitionFiles::list(path) {
        Ok(files) => files,
        Err(error) => {
            reporter.unreadable(path, &error, running);
            return Ok(());
        }
    };
    reporter.totals_mut().partitions += 1;
    topics.check(path, name, reporter);
    beside(&files, reporter);
    let snapshots = files.snapshots.iter().map(|(offset, _)| (*offset, files.file(*offset, SNAPSHOT))).collect();
    let settled_below = settled_below(ended, &known);
    let mut p = Partition {
        epochs: EpochCheck::open(path, settled_below, reporter),
        settled_below,
        compacted: known.clean_until.is_some(),
        producers: ProducerCheck::new(snapshots, known.clean_until.is_some()),
        files,
        ended,
        known,
        next_offset: None,
        holes: Vec::new(),
        window: Vec::new(),
    };
    let segments = p.files.segments.clone();
    for (n, entry) in segments.iter().enumerate() {
        segment::verify(&mut p, entry, segments.get(n + 1).map(|next| next.base_offset), reporter);
    }
    end(&mut p, name, reporter);
    reporter.end_partition();
    Ok(())
}

/// Below this offset everything was written when the process ended, or has been by now: indexes and epochs are written
/// behind the batches.
fn settled_below(ended: Ended, known: &Checkpoints) -> i64 {
    match ended {
        Ended::Cleanly => i64::MAX,
        Ended::Running(_) | Ended::Otherwise => known.recovery_point.unwrap_or(0),
    }
}

/// Where all segments have been read.
fn end(p: &mut Partition, name: &str, reporter: &mut Reporter<'_>) {
    let running = p.running();
    match p.next_offset {
        Some(end) => {
            p.producers.end(end, running, reporter);
            let loss = Loss::of(p.ended, &p.known, end);
            p.epochs.end(end, loss, reporter);
            log_end::check(&p.files.path, &p.known, end, loss, reporter);
        }
        None if p.known.high_watermark.is_some_and(|hw| hw > 0) => {
            let problem =
                format!("there is no .log file, though its high watermark was {}", p.known.high_watermark.unwrap_or(0));
            reporter.found(Finding::new(Severity::Damage, &p.files.path, problem).remedy(
                "all records are gone from here; if another replica has the partition, remove the directory while the broker is stopped, and start: it is copied anew",
            ));
        }
        None => {
            let problem = "there is no .log file; the next start makes an empty one";
            reporter.found(Finding::new(Severity::Note, &p.files.path, problem));
        }
    }
    let compacted = p.compacted && !name.starts_with(CLUSTER_METADATA);
    for hole in p.holes.drain(..).filter(|_| !compacted) {
        reporter.found(hole);
    }
    for (name, _) in &p.files.checkpoints {
        snapshot_file::verify(&p.files.path.join(name), name, running, reporter);
    }
}

/// Files that are no part of the log.
fn beside(files: &PartitionFiles, reporter: &mut Reporter<'_>) {
    let given_up = |name: &String| !name.ends_with(SWAP) && !name.ends_with(CLEANED);
    let waiting = files.leftovers.iter().filter(|name| given_up(name)).count();
    if waiting > 0 {
        let problem = format!("{waiting} of its files are deleted or replaced, or are being written");
        let remedy = "they go after file.delete.delay.ms or at the next start";
        reporter.found(Finding::new(Severity::Note, &files.path, problem).remedy(remedy));
    }
    for name in files.leftovers.iter().filter(|name| !given_up(name)) {
        let (problem, remedy) = if name.ends_with(SWAP) {
            let problem = "a compaction was putting this file in place when the process ended";
            (problem, "the next start finishes it, or goes on with what it replaces if it is broken and that is whole")
        } else {
            ("a compaction was writing this file when the process ended", "the next start removes it")
        };
        reporter.found(Finding::new(Severity::Note, files.path.join(name), problem).remedy(remedy));
    }
    for name in &files.orphans {
        let problem = "the index has no .log file";
        reporter
            .found(Finding::new(Severity::Note, files.path.join(name), problem).remedy("the next start removes it"));
    }
}
