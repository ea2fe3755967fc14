//! A partition that is found twice under one name. What can cost no record is done; the rest is left to the operator.
//!
//! | found | then |
//! |---|---|
//! | logs of two topics | that of the topic which has the name now is opened, the other set aside; while nobody knows, it stays |
//! | logs of one topic, one of which has no record | the one with records |
//! | logs of one topic, both with records | no start, with advice: as in Kafka, which gives none |
//! | copies that move, of two topics | as of logs; while nobody knows, the longer one goes on and the other is set aside |
//! | copies that move, of one topic | the longest |

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_protocol::Uuid;

use super::{Logs, NotedOf, NotedReplica, moves, remove, strays};
use crate::error::OpenError;
use crate::file_names::STRAY_DIR;
use crate::log::Log;

/// One of two logs of a partition, as an operator can tell it from the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLog {
    /// Its own directory.
    pub path: PathBuf,
    /// Where it ends.
    pub log_end_offset: i64,
    /// Its newest leader epoch; -1 for none.
    pub leader_epoch: i32,
    /// The largest timestamp of a record, in ms; None if none has one, or it cannot be read.
    pub newest_timestamp: Option<i64>,
    /// Whether the metadata notes its log directory for the replica.
    pub is_noted: bool,
}

impl FoundLog {
    fn of(log: &Log, noted: Option<NotedReplica>) -> Self {
        let newest = log.offset_of_max_timestamp().ok().flatten();
        Self {
            path: log.path(),
            log_end_offset: log.log_end_offset(),
            leader_epoch: log.epochs().last().map_or(-1, |entry| entry.epoch),
            newest_timestamp: newest.map(|found| found.timestamp),
            is_noted: noted.is_some_and(|noted| noted.directory == log.directory_id()),
        }
    }
}

impl fmt::Display for FoundLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, log_end_offset, leader_epoch, newest_timestamp, .. } = self;
        write!(f, "{} (log end offset {log_end_offset}, leader epoch {leader_epoch}", path.display())?;
        match newest_timestamp {
            Some(timestamp) => write!(f, ", newest timestamp {timestamp})"),
            None => write!(f, ")"),
        }
    }
}

/// Which of two logs of one topic to keep, and what to do with the other. Whoever was elected later was used later; of two
/// without an election between them, the one that the metadata notes.
fn advice(a: &FoundLog, b: &FoundLog) -> String {
    let signs = [
        (a.leader_epoch.cmp(&b.leader_epoch), "its leader epoch is newer"),
        (a.is_noted.cmp(&b.is_noted), "the metadata notes its log directory"),
        (a.log_end_offset.cmp(&b.log_end_offset), "it ends later"),
        (a.newest_timestamp.cmp(&b.newest_timestamp), "its records are newer"),
    ];
    let (order, why) =
        signs.into_iter().find(|(order, _)| order.is_ne()).unwrap_or((Ordering::Equal, "they seem alike"));
    let (keep, other) = if order.is_ge() { (a, b) } else { (b, a) };
    let (keep, other) = (keep.path.display(), other.path.display());
    format!(
        "keep {keep}, since {why}: rename {other} to {other}{STRAY_DIR} and start again; nothing of it is removed then"
    )
}

/// The logs by partition, one for each.
pub(super) fn collect(opened: Vec<Arc<Log>>, noted_of: &NotedOf) -> Result<Logs, OpenError> {
    let mut logs = Logs::new();
    for log in opened {
        let partitions = logs.entry(Arc::clone(log.topic())).or_default();
        let log = match partitions.remove(&log.partition()) {
            Some(other) => one_log(other, log, noted_of)?,
            None => log,
        };
        log.dir().count_log(1);
        partitions.insert(log.partition(), log);
    }
    Ok(logs)
}

fn one_log(a: Arc<Log>, b: Arc<Log>, noted_of: &NotedOf) -> Result<Arc<Log>, OpenError> {
    a.dir().count_log(-1);
    let noted = noted_of(a.topic(), a.partition());
    if a.topic_id() != b.topic_id() {
        return Ok(log_of_the_topic(a, b, noted));
    }
    // It was left in a directory that failed while the log was made there, before it was made elsewhere. There is no record in
    // it that could be missed, and nobody but an operator could tell Kafka's broker so, which does not start.
    let is_empty = |log: &Log| log.log_end_offset() == 0 && log.size_bytes() == 0;
    let (kept, empty) = match (is_empty(&a), is_empty(&b)) {
        (false, false) => {
            let mut found = [a, b].map(|log| FoundLog::of(&log, noted));
            // They are opened by several threads.
            found.sort_by(|a, b| a.path.cmp(&b.path));
            let [a, b] = &found;
            return Err(OpenError::DuplicatePartition { advice: advice(a, b), found: Box::new(found) });
        }
        (true, _) => (b, a),
        (false, true) => (a, b),
    };
    tracing::warn!(kept = %kept.path().display(), removed = %empty.path().display(),
        "a partition is there twice, once without a record");
    if let Err(error) = remove::remove_at_once(&empty) {
        tracing::error!(path = %empty.path().display(), %error, "a log that is of no use is left to the next start");
    }
    Ok(kept)
}

/// A loss of power brought the log of a deleted topic back, or a disk that was away did.
fn log_of_the_topic(a: Arc<Log>, b: Arc<Log>, noted: Option<NotedReplica>) -> Arc<Log> {
    let topic_id = noted.map(|noted| noted.topic_id);
    let (kept, other) = if topic_id == Some(b.topic_id()) { (b, a) } else { (a, b) };
    if topic_id == Some(kept.topic_id()) {
        set_aside(&other);
    } else {
        // The first image of the metadata tells: `LogManager::set_strays_aside` and `create_all` set aside what is not of it.
        tracing::warn!(opened = %kept.path().display(), closed = %other.path().display(),
            "a partition's name is there twice, of two topics");
    }
    kept
}

/// Of several copies under one name the one that goes on.
pub(super) fn one_copy_each(copies: Vec<Arc<Log>>, logs: &Logs, noted_of: &NotedOf) -> Vec<Arc<Log>> {
    let mut kept: BTreeMap<(Arc<str>, i32), Arc<Log>> = BTreeMap::new();
    for copy in copies {
        let (topic, partition) = (Arc::clone(copy.topic()), copy.partition());
        let log = || logs.get(&topic)?.get(&partition).map(|log| log.topic_id());
        let topic_id = noted_of(&topic, partition).map(|noted| noted.topic_id).or_else(log);
        let key = (topic, partition);
        let copy = match kept.remove(&key) {
            Some(other) => one_copy(other, copy, topic_id),
            None => copy,
        };
        kept.insert(key, copy);
    }
    kept.into_values().collect()
}

fn one_copy(a: Arc<Log>, b: Arc<Log>, topic_id: Option<Uuid>) -> Arc<Log> {
    // The recovery point is that of both: what it promises counts for each, though one may hold nothing of it.
    let rank = |copy: &Log| (topic_id == Some(copy.topic_id()), copy.log_end_offset(), copy.size_bytes());
    let (kept, other) = if rank(&a) >= rank(&b) { (a, b) } else { (b, a) };
    if kept.topic_id() == other.topic_id() {
        moves::remove(&other);
    } else {
        // However short one is, what it was copied from may be gone.
        set_aside(&other);
    }
    kept
}

fn set_aside(log: &Log) {
    // Should the power bring its name back, the next start does the same.
    if let Err(error) = strays::set_log_aside(log) {
        tracing::error!(path = %log.path().display(), %error,
            "a log of an earlier topic cannot be set aside; the next start tries again");
    }
}
