//! A log directory with a history, in the three states in which a process may have left it.
//!
//! ```text
//!   process 1   orders, a table that is compacted, a small log; records deleted     stopped: the older copies are from here
//!   process 2   more of everything                                                  stopped: recovery points are from here
//!   process 3   more still                                                          KILLED here, or stopped: CLEAN
//!   process 4   compacts the table                                                  killed between .swap and done: SWAPPED
//! ```

use std::path::Path;
use std::sync::Arc;

use ottla_protocol::Uuid;
use ottla_storage::{CleanupPolicy, Log, LogConfig, LogManager, LogManagerOptions, OpenError};

use super::Random;
use super::files::{self, Files};
use super::history::{Writer, Written};
use crate::support::{NOW, format};

/// A topic with segments, transactions and leader epochs, whose first records are deleted.
pub(crate) const ORDERS: &str = "orders";
/// A topic that is compacted.
pub(crate) const TABLE: &str = "table";
/// A topic of a few records.
pub(crate) const SMALL: &str = "small";
pub(crate) const TOPICS: [&str; 3] = [ORDERS, TABLE, SMALL];

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Clean,
    Killed,
    Swapped,
}

/// A directory as a process left it.
pub(crate) struct Image {
    pub(crate) how: How,
    pub(crate) files: Files,
}

impl Image {
    /// Up to where a topic's records are noted to be on the device.
    pub(crate) fn recovery_point(&self, topic: &str) -> i64 {
        let text = String::from_utf8_lossy(&self.files["recovery-point-offset-checkpoint"]).into_owned();
        let of_topic = text.lines().find_map(|line| line.strip_prefix(&format!("{topic} 0 "))?.parse().ok());
        of_topic.expect("noted")
    }
}

/// See the module.
pub(crate) struct Fixture {
    pub(crate) images: Vec<Image>,
    /// Files as they were earlier.
    pub(crate) older: Files,
    pub(crate) orders: Writer,
    pub(crate) table: Writer,
    pub(crate) small: Writer,
}

impl Fixture {
    pub(crate) fn writer(&self, topic: &str) -> &Writer {
        match topic {
            ORDERS => &self.orders,
            TABLE => &self.table,
            _ => &self.small,
        }
    }

    pub(crate) fn written(&self, topic: &str) -> &Written {
        &self.writer(topic).written
    }
}

pub(crate) fn id_of(topic: &str) -> Uuid {
    let mut id = *b"topic id: ......";
    id.iter_mut().skip(10).zip(topic.bytes()).for_each(|(to, from)| *to = from);
    Uuid(id)
}

pub(crate) fn config_of(topic: &str) -> Arc<LogConfig> {
    let compact = topic == TABLE;
    Arc::new(LogConfig {
        cleanup_policy: CleanupPolicy { delete: !compact, compact },
        segment_bytes: if compact { 500 } else { 1_400 },
        index_interval_bytes: 64,
        min_cleanable_dirty_ratio: 0.0,
        // What is written here lies in the past.
        retention_ms: -1,
        ..LogConfig::default()
    })
}

/// Starts on a directory as a broker does that knows its topics.
pub(crate) fn open(root: &Path) -> Result<Arc<LogManager>, OpenError> {
    let manager = LogManager::open(LogManagerOptions {
        dirs: vec![root.to_owned()],
        config_of: Box::new(config_of),
        // On one thread everything that is told is heard.
        recovery_threads: 1,
        ..LogManagerOptions::default()
    })?;
    manager.set_strays_aside(|log| log.topic_id() != id_of(log.topic()));
    Ok(manager)
}

fn log_of(manager: &LogManager, topic: &str) -> Arc<Log> {
    let log = manager.create(topic, 0, id_of(topic), config_of(topic)).expect("opened");
    log.set_high_watermark(log.log_end_offset());
    log
}

pub(crate) fn make(root: &Path, random: &mut Random) -> Fixture {
    ottla_env::fs::create_dir_all(root).expect("made");
    format(root);
    let (mut orders, mut table, mut small) = (Writer::new(), Writer::new(), Writer::new());
    let mut write = |manager: &LogManager, random: &mut Random| {
        let [log, rows, few] = TOPICS.map(|topic| log_of(manager, topic));
        (0..24).for_each(|_| orders.order(&log, random));
        (0..18).for_each(|_| table.row(&rows, random));
        (0..3).for_each(|_| small.row(&few, random));
    };
    let first = open(root).expect("opened");
    write(&first, random);
    let log = log_of(&first, ORDERS);
    log.delete_records_before(log.log_end_offset() / 2).expect("deleted");
    log.delete_old_segments(NOW).expect("removed");
    drop(log);
    first.clean_once(NOW).cleaned.expect("due");
    first.stop(1).expect("stopped");
    drop(first);
    let older = files::take(root);

    let second = open(root).expect("opened");
    write(&second, random);
    second.stop(2).expect("stopped");
    drop(second);

    let third = open(root).expect("opened");
    write(&third, random);
    let killed = files::take(root);
    third.stop(3).expect("stopped");
    drop(third);
    let clean = files::take(root);

    let fourth = open(root).expect("opened");
    fourth.clean_once(NOW).cleaned.expect("due");
    fourth.stop(4).expect("stopped");
    drop(fourth);
    let compacted = files::take(root);
    let new = new_segments(&clean, &compacted);
    // What an earlier compaction removed, and a later one has begun.
    let killed = with(&with(&with_set_aside(killed), &new, ".cleaned"), &new, ".deleted");
    let images = vec![
        Image { how: How::Killed, files: killed },
        Image { how: How::Swapped, files: swapped(&with_set_aside(clean.clone()), &new) },
        Image { how: How::Clean, files: with_set_aside(clean) },
    ];
    Fixture { images, older, orders, table, small }
}

const SEGMENT_FILES: [&str; 3] = [".log", ".index", ".timeindex"];

/// The files of the segments that compaction made.
fn new_segments(before: &Files, after: &Files) -> Files {
    let made = |(name, _): &(&String, &Vec<u8>)| {
        let log = format!("{}.log", name.split('.').next().unwrap_or_default());
        let of_segment = SEGMENT_FILES.iter().any(|suffix| name.ends_with(suffix));
        name.starts_with("table-0/") && of_segment && before.get(&log) != after.get(&log)
    };
    after.iter().filter(made).map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
}

fn with(files: &Files, more: &Files, suffix: &str) -> Files {
    let named = more.iter().map(|(name, bytes)| (format!("{name}{suffix}"), bytes.clone()));
    files.clone().into_iter().chain(named).collect()
}

/// The compacted segments have the name that decides; the old ones are there still.
fn swapped(clean: &Files, new: &Files) -> Files {
    let mut files = with(clean, new, ".swap");
    files.remove(".kafka_cleanshutdown");
    files
}

/// Directories that are on their way out, or that nobody knows.
fn with_set_aside(mut files: Files) -> Files {
    for to in ["gone-0.0123456789abcdef0123456789abcdef-delete", "lost-0.0123456789abcdef0123456789abcdef-stray"] {
        let of_small: Vec<_> =
            files.range("small-0/".to_owned()..).map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        for (name, bytes) in of_small {
            if let Some(name) = name.strip_prefix("small-0/") {
                files.insert(format!("{to}/{name}"), bytes);
            }
        }
    }
    files
}
