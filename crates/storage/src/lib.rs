//! The partition log on disk, in Kafka's own format (`docs/design/log-format.md` draws it).
//!
//! ```text
//!  log_manager ──> log ──> segments ──> segment ──> offset_index, time_index, transaction_index (entry_file)
//!       │           │                      └──────> batch_scan: from head to head through a file
//!       │           ├──> validator, producer_state, leader_epoch_cache, retention: pure decisions
//!       │           └──> loader ──> recovery, swap_files: what a process finds when it opens a log
//!       ├──> cleaner: compaction, decided by values; it puts segments in place through the log
//!       │   inspect: what tools read of a directory that may be another process's
//!       └──> log_dir, meta_properties, checkpoint, clean_shutdown: what a log directory says of itself
//! ```
//! What is absent: this crate knows offsets, epochs and batches; it knows no request, replica, group or quorum. It
//! encodes a batch anew only where its topic wants another codec: offset and epoch are patched in place, append time costs
//! one checksum. It maps no file into
//! memory, and reads hand out [`FileSlice`]s instead of bytes. Nothing here is async: appends and reads of hot data may
//! run on a network task, everything else belongs on a thread that may block.

mod access;
mod batch_reader;
mod batch_scan;
pub mod checkpoint;
mod clean_shutdown;
mod cleaner;
mod config;
mod entry_file;
mod error;
mod file_names;
pub mod inspect;
mod leader_epoch_cache;
mod loader;
mod log;
mod log_dir;
mod log_folder;
mod log_manager;
pub mod meta_properties;
mod offset_index;
mod open_files;
mod parallel;
mod partition_metadata;
mod producer_snapshot;
mod producer_state;
mod recovery;
mod retention;
mod segment;
mod segments;
mod shortage;
mod snapshot_files;
mod swap_files;
mod time_index;
mod transaction_index;
mod validator;

pub use cleaner::{CleanReport, Cleaned, CleanerConfig, CleanerStats};
pub use config::{CleanupPolicy, LogConfig};
pub use error::{AppendError, CopyError, OpenError, ReadError, RecordError, StorageError};
pub use leader_epoch_cache::{EpochEnd, EpochStart};
pub use loader::RecoveryReport;
pub use log::{AppendInfo, Copied, Log, OpenOptions, ReadInfo, TimestampAndOffset};
pub use log_dir::LogDir;
pub use log_manager::{
    ConfigOf, DirStatus, FoundLog, LogManager, LogManagerOptions, NotedOf, NotedReplica, Placement, Replacement,
    WantedLog,
};
pub use open_files::LogFile;
pub use segment::{DamagedRange, FileSlice};
pub use transaction_index::AbortedTransaction;
pub use validator::AppendOrigin;
