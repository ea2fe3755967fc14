//! `__cluster_metadata-0` as the driver needs it: an ordinary log of `storage`, written by the quorum alone.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::time;
use ottla_protocol::ids::Uuid;
use ottla_storage::{AppendOrigin, CleanupPolicy, Log, LogConfig, LogDir, OpenOptions, StorageError};

use crate::error::ControllerError;
use crate::quorum_wire::METADATA_TOPIC;

/// Space of the device that is kept for the log: when partitions have filled the rest, the cluster can still be told to
/// delete some.
const RESERVE_BYTES: u64 = 4 << 20;

/// The file with the log's id.
const PARTITION_METADATA: &str = "partition.metadata";

/// The metadata log.
#[derive(Debug)]
pub(crate) struct MetadataLog(Arc<Log>);

impl MetadataLog {
    /// Where the log lies in a log directory.
    pub(crate) fn folder(dir: &LogDir) -> PathBuf {
        dir.path().join(format!("{METADATA_TOPIC}-0"))
    }

    /// Up to where it is noted to be on the device.
    pub(crate) fn noted(dir: &LogDir) -> Result<Option<i64>, ControllerError> {
        Ok(dir.noted_recovery_point(METADATA_TOPIC, 0)?)
    }

    /// Opens the log, or makes it. Nothing expires by itself: what a snapshot covers goes when the core says so.
    pub(crate) fn open(
        dir: &Arc<LogDir>,
        segment_bytes: usize,
        segment_ms: i64,
        options: OpenOptions,
    ) -> Result<Self, ControllerError> {
        let config = LogConfig {
            cleanup_policy: CleanupPolicy { delete: false, compact: false },
            segment_bytes,
            segment_ms,
            reserve_bytes: RESERVE_BYTES,
            ..LogConfig::default()
        };
        let opened = Log::open(dir, METADATA_TOPIC, 0, Uuid::METADATA_TOPIC, Arc::new(config), options);
        opened.map(Self).map_err(|error| match error {
            StorageError::TopicIdMismatch { path, found, wanted } => ControllerError::PartitionMetadata {
                path: path.join(PARTITION_METADATA),
                reason: format!("it has the topic id {found} in place of {wanted}"),
            },
            StorageError::Corrupt { path, reason } if path.ends_with(PARTITION_METADATA) => {
                ControllerError::PartitionMetadata { path, reason }
            }
            other => other.into(),
        })
    }

    /// Its directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// Appends a batch that a leader of `epoch` made, at the log's end.
    pub(crate) fn append(&self, bytes: &mut [u8], epoch: i32) -> Result<(), ControllerError> {
        self.0.append_as_leader(bytes, epoch, AppendOrigin::RaftLeader, time::wall_clock_ms())?;
        Ok(())
    }

    /// Appends a batch as another leader made it.
    pub(crate) fn append_fetched(&self, bytes: &[u8]) -> Result<(), ControllerError> {
        self.0.append_as_follower(bytes)?;
        Ok(())
    }

    /// Cuts the log back.
    pub(crate) fn truncate_to(&self, offset: i64) -> Result<(), ControllerError> {
        Ok(self.0.truncate_to(offset)?)
    }

    /// Empties the log: it goes on at `offset`, behind a snapshot.
    pub(crate) fn restart_at(&self, offset: i64) -> Result<(), ControllerError> {
        Ok(self.0.truncate_fully_and_start_at(offset)?)
    }

    /// Waits for the device.
    pub(crate) fn sync(&self) -> Result<(), ControllerError> {
        Ok(self.0.flush()?)
    }

    /// Notes how far the log is synced: the next start lets nothing below go.
    pub(crate) fn note_synced(&self) -> Result<(), ControllerError> {
        Ok(self.0.note_recovery_point()?)
    }

    /// Whole batches from the one that holds `from` on: at least one, unless the log ends there.
    pub(crate) fn read(&self, from: i64, max_bytes: u32) -> Result<Vec<u8>, ControllerError> {
        let info = self.0.read_verified(from, max_bytes, self.0.log_end_offset(), true)?;
        let io = |source| ControllerError::Io { path: self.path(), source };
        info.slice.map_or(Ok(Vec::new()), |slice| slice.read().map_err(io))
    }

    /// First offset that can be read.
    pub(crate) fn start_offset(&self) -> i64 {
        self.0.log_start_offset()
    }

    /// Offset of the next record.
    pub(crate) fn end_offset(&self) -> i64 {
        self.0.log_end_offset()
    }

    /// Gives up what a snapshot covers, which is committed.
    pub(crate) fn delete_before(&self, offset: i64) -> Result<(), ControllerError> {
        self.0.set_high_watermark(offset);
        self.0.advance_log_start_offset(offset)?;
        self.0.delete_old_segments(time::wall_clock_ms())?;
        Ok(())
    }

    /// The last act of a clean stop.
    pub(crate) fn close(&self) -> Result<(), ControllerError> {
        self.0.close()?;
        self.note_synced()
    }
}
