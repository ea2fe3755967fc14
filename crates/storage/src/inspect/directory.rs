//! What a log directory says of itself and of its partitions, as far as its files can be understood.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::fs;

use super::finding::{Finding, Severity, Watcher};
use crate::checkpoint::{self, HIGH_WATERMARK, LOG_START, Offsets, RECOVERY_POINT};
use crate::clean_shutdown;
use crate::error::StorageError;
use crate::file_names::{DirKind, parse_partition_dir};
use crate::meta_properties::{self, MetaProperties};

/// Up to where each log is compacted.
const CLEANER: &str = "cleaner-offset-checkpoint";
/// The lock that a running broker holds.
const LOCK: &str = ".lock";

/// How the process that used the directory last ended, if it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A process holds the lock: files change while they are read. 0 if it cannot be told which.
    Running(u32),
    /// It was stopped, and everything was synced.
    Cleanly,
    /// It was killed or the power went: what lies behind the recovery points may be torn, and the next start looks at it.
    Otherwise,
}

/// What the checkpoints say of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoints {
    /// Synced up to here.
    pub recovery_point: Option<i64>,
    /// Replicated up to here, and shown to consumers.
    pub high_watermark: Option<i64>,
    /// First offset that consumers may read, where it was moved.
    pub log_start: Option<i64>,
    /// Compacted up to here. Only compacted topics have it.
    pub clean_until: Option<i64>,
}

/// See the module.
#[derive(Debug)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// To whom it belongs; None when the file is missing or broken.
    pub meta: Option<MetaProperties>,
    /// How its last process ended.
    pub ended: Ended,
    /// Names of the directories of partitions, and of copies of partitions that move here, sorted.
    pub partitions: Vec<String>,
    /// Names of other directories: deleted, strays.
    pub set_aside: Vec<String>,
    checkpoints: BTreeMap<(Arc<str>, i32), Checkpoints>,
}

impl Directory {
    /// Reads what the directory says; what of that is broken is told to the watcher.
    ///
    /// # Errors
    /// When the directory itself cannot be read.
    pub fn read(path: &Path, watcher: &mut dyn Watcher) -> io::Result<Self> {
        let entries = fs::read_dir(path)?;
        let meta = read_meta(path, watcher);
        let ended = ended(path)?;
        let mut checkpoints: BTreeMap<(Arc<str>, i32), Checkpoints> = BTreeMap::new();
        for (name, what_then, set) in CHECKPOINTS {
            let file = path.join(name);
            // Kafka makes an empty one and fills it with the first checkpoint.
            if fs::file_len(&file).is_ok_and(|len| len == 0) {
                continue;
            }
            match checkpoint::read(&file) {
                Ok(offsets) => merge(&mut checkpoints, offsets, *set),
                Err(StorageError::Corrupt { reason, .. }) => watcher.found(
                    Finding::new(Severity::Repairable, file, format!("the checkpoint cannot be understood: {reason}"))
                        .remedy(*what_then),
                ),
                Err(other) => watcher.found(Finding::new(Severity::Damage, file, other.to_string())),
            }
        }
        let mut directory =
            Self { path: path.to_owned(), meta, ended, partitions: Vec::new(), set_aside: Vec::new(), checkpoints };
        for entry in entries.into_iter().filter(|entry| entry.is_dir) {
            match parse_partition_dir(&entry.name) {
                DirKind::Partition { .. } | DirKind::Future { .. } => directory.partitions.push(entry.name),
                DirKind::Deleted | DirKind::SetAside => directory.set_aside.push(entry.name),
                DirKind::Other => {}
            }
        }
        directory.partitions.sort();
        directory.set_aside.sort();
        Ok(directory)
    }

    /// What the checkpoints say of a partition, by the name of its directory.
    #[must_use]
    pub fn checkpoints_of(&self, name: &str) -> Checkpoints {
        let (DirKind::Partition { topic, partition } | DirKind::Future { topic, partition }) =
            parse_partition_dir(name)
        else {
            return Checkpoints::default();
        };
        self.checkpoints.get(&(Arc::from(topic), partition)).copied().unwrap_or_default()
    }

    /// Partitions that a checkpoint names.
    pub(super) fn in_checkpoints(&self) -> impl Iterator<Item = (&str, i32)> {
        self.checkpoints.keys().map(|(topic, partition)| (&**topic, *partition))
    }
}

type Set = fn(&mut Checkpoints, i64);

/// The files, what follows when one cannot be used, and what it says.
const CHECKPOINTS: &[(&str, &str, Set)] = &[
    (
        RECOVERY_POINT,
        "Ottla's next start reads all logs of the directory again; Apache Kafka does not start until the file is removed, and then does the same",
        |c, offset| c.recovery_point = Some(offset),
    ),
    (
        HIGH_WATERMARK,
        "Ottla's next start begins with high watermarks of 0, which rise again as replicas fetch; Apache Kafka does not start until the file is removed",
        |c, offset| c.high_watermark = Some(offset),
    ),
    (
        LOG_START,
        "Ottla's next start lets logs begin with their first segment, so that records deleted by DeleteRecords can be seen until retention removes them; Apache Kafka does not start until the file is removed",
        |c, offset| c.log_start = Some(offset),
    ),
    (
        CLEANER,
        "remove it while the broker is stopped: compacted logs are then cleaned from their start again",
        |c, offset| c.clean_until = Some(offset),
    ),
];

fn merge(into: &mut BTreeMap<(Arc<str>, i32), Checkpoints>, offsets: Offsets, set: Set) {
    for (partition, offset) in offsets {
        set(into.entry(partition).or_default(), offset);
    }
}

fn read_meta(path: &Path, watcher: &mut dyn Watcher) -> Option<MetaProperties> {
    let file = path.join(meta_properties::FILE_NAME);
    let remedy = "write it anew with cluster.id, node.id and version=1 as another directory of the node has them, and with a directory.id of its own";
    match MetaProperties::read(path) {
        Ok(Some(meta)) => return Some(meta),
        Ok(None) => watcher.found(
            Finding::new(Severity::Damage, file, "the file is missing, so no broker opens the directory")
                .remedy(remedy),
        ),
        Err(error) => watcher.found(
            Finding::new(Severity::Damage, file, format!("no broker opens the directory: {error}")).remedy(remedy),
        ),
    }
    None
}

fn ended(path: &Path) -> io::Result<Ended> {
    Ok(match fs::lock_holder(path.join(LOCK))? {
        Some(pid) => Ended::Running(pid),
        None if fs::exists(path.join(clean_shutdown::FILE_NAME)) => Ended::Cleanly,
        None => Ended::Otherwise,
    })
}
