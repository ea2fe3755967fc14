//! Syncs that a topic asks for before its records are acknowledged (`flush.messages`): one for all that came meanwhile.
//!
//! ```text
//!   appends    a b   c d e f      g h
//!   syncs        ├─ a ─┤├─ b c d ─┤├─ e f g h ─┤       one at a time, each takes what was appended before it
//!   answers            a          b c d        e f g h
//! ```
//! No worker waits for the disk: the sync runs on the pool, and whoever waits for it does so in the purgatory. No lock of the
//! partition is held meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ottla_env::{task, time};
use ottla_storage::StorageError;

use super::partition::Partition;

/// Before a sync that failed for want of space is tried again.
const RETRY: Duration = Duration::from_millis(100);

impl Partition {
    /// Sees to it that everything appended so far is synced soon, and that those who wait for it hear of it.
    pub(super) fn sync_soon(self: &Arc<Self>) {
        if !self.syncing.swap(true, Ordering::SeqCst) {
            task::spawn("group commit", sync(Arc::clone(self)));
        }
    }
}

async fn sync(partition: Arc<Partition>) {
    loop {
        let log = partition.log();
        let flushing = Arc::clone(&log);
        let flushed = task::blocking("flush", move || flushing.flush()).await;
        partition.advance_high_watermark();
        // What has moved to another directory was synced there.
        if let Err(cause) = flushed
            && !partition.has_moved_from(&log)
        {
            if partition.log().dir().check_online().is_err() || matches!(cause, StorageError::Deleted { .. }) {
                // Nothing will be acknowledged any more. The mark stays: nothing is synced any more either.
                return partition.wake_all();
            }
            tracing::warn!(topic = %partition.topic, partition = partition.index, %cause, "a sync is tried again");
            time::sleep(RETRY).await;
        }
        partition.synced.reached(partition.log().ack_offset());
        partition.syncing.store(false, Ordering::SeqCst);
        // Whoever appended before this look left the sync to us.
        if !partition.log().is_flush_due() || partition.syncing.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}
