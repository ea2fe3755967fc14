//! What waits for space on the device of a log directory, or for descriptors. Every chore is tried again by itself, as often as it
//! is due; the operator is told when the first begins to wait and when none does any more, however many tries fail meanwhile.

use parking_lot::Mutex;

/// Something that needs space beside the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Indexes, leader epochs and producer snapshots, with the sync of the logs.
    Flush = 1,
    /// `recovery-point-offset-checkpoint`
    RecoveryPoints = 2,
    /// `log-start-offset-checkpoint`
    LogStarts = 4,
    /// `replication-offset-checkpoint`
    HighWatermarks = 8,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    /// The sum of the chores that wait.
    waiting: Mutex<u8>,
}

impl Shortage {
    /// A chore could not be done for want of space or descriptors. True if it is the first that waits.
    pub(crate) fn begins(&self, chore: Chore) -> bool {
        let mut waiting = self.waiting.lock();
        let before = *waiting;
        *waiting |= chore as u8;
        before == 0
    }

    /// A chore was done, or there was nothing to do. True if it was the last that waited.
    pub(crate) fn ends(&self, chore: Chore) -> bool {
        let mut waiting = self.waiting.lock();
        let before = *waiting;
        *waiting &= !(chore as u8);
        before != 0 && *waiting == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_once_and_ends_once_however_often_is_tried() {
        let shortage = Shortage::default();
        assert!(!shortage.ends(Chore::Flush), "nothing has begun");
        for _ in 0..2 {
            assert!(shortage.begins(Chore::HighWatermarks));
            assert!(!shortage.begins(Chore::HighWatermarks) && !shortage.begins(Chore::Flush));
            assert!(!shortage.ends(Chore::HighWatermarks), "another waits");
            assert!(!shortage.begins(Chore::HighWatermarks) && !shortage.ends(Chore::LogStarts));
            assert!(!shortage.ends(Chore::Flush) && shortage.ends(Chore::HighWatermarks));
            assert!(!shortage.ends(Chore::HighWatermarks));
        }
    }
}
