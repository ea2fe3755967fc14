//! What the manager's threads do, one visit at a time, for simulations that step through it without threads.

use super::LogManager;
use super::maintenance::or_offline;
use crate::shortage::Chore;

impl LogManager {
    /// The flushers' visit: syncs after a roll, and what `flush.ms` asks for.
    pub fn visit_flushers(&self) {
        self.online().for_each(|dir| self.flush_due(dir));
    }

    /// The flushers' checkpoint: changed logs are flushed, producers and recovery points noted.
    pub fn visit_checkpoints(&self) {
        self.online().for_each(|dir| self.checkpoint(dir));
    }

    /// High watermarks and log starts are noted. True if all of them were.
    pub fn visit_notes(&self) -> bool {
        let mut noted = true;
        for dir in self.online() {
            let high_watermarks = (Chore::HighWatermarks, self.write_high_watermarks(dir));
            for (chore, written) in [high_watermarks, (Chore::LogStarts, self.write_log_starts(dir))] {
                noted &= written.is_ok();
                or_offline(dir, chore, written);
            }
        }
        noted
    }

    /// Deleted files whose time has come are removed, and descriptors given back that nobody used.
    pub fn visit_idle(&self, now_ms: i64) {
        self.online().for_each(|dir| dir.remove_due(now_ms));
        self.close_idle_files();
    }
}
