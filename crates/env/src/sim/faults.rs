//! What a simulated disk refuses, by chance or by appointment, and the effect before which its host stops.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::rng::Rng;

/// What a disk can be asked to fail at.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DiskOperation {
    /// Reading content.
    Read,
    /// Writing content, cutting a file, reserving room.
    Write,
    /// Syncing a file or directory. What was pending may be lost for good, although it can still be read.
    Sync,
    /// Creating, renaming, removing.
    Name,
}

/// How often operations fail, per million; all zero by default.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct DiskFaults {
    /// Reads that fail with EIO.
    pub read_errors: u32,
    /// Reads that return less than they could.
    pub short_reads: u32,
    /// Reads before which one bit of what they ask for changes on the medium, for good.
    pub bit_rot: u32,
    /// Writes that fail with EIO, with a part written.
    pub write_errors: u32,
    /// Writes that the system takes in pieces, each an effect of its own.
    pub short_writes: u32,
    /// Syncs that fail with EIO.
    pub sync_errors: u32,
    /// Creations, renames and removals that fail with EIO.
    pub name_errors: u32,
}

impl DiskFaults {
    fn rate(&self, operation: DiskOperation) -> u32 {
        match operation {
            DiskOperation::Read => self.read_errors,
            DiskOperation::Write => self.write_errors,
            DiskOperation::Sync => self.sync_errors,
            DiskOperation::Name => self.name_errors,
        }
    }
}

/// The faults of one disk. An *effect* is whatever changes what the disk holds or promises: a write, a change of length
/// or name, a sync. After the effect that was appointed the disk is stopped: nothing reaches it any more, until the
/// host is restarted.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rates: DiskFaults,
    /// Where they hold; everywhere if absent.
    below: Option<PathBuf>,
    /// Whether they hold for the operation at hand.
    here: bool,
    /// Operations counted down to a failure.
    appointments: BTreeMap<DiskOperation, u64>,
    effects: u64,
    stop_at: Option<u64>,
    /// Syncs of directories up to the one before which it stops.
    dir_syncs_left: Option<u64>,
    stopped: bool,
}

impl Faults {
    pub(super) fn set(&mut self, rates: DiskFaults, below: Option<&Path>) {
        self.rates = rates;
        self.below = below.map(Path::to_owned);
    }

    /// An operation on `path` begins.
    pub(super) fn begin(&mut self, path: &Path) -> Result<(), Errno> {
        self.here = self.below.as_ref().is_none_or(|below| path.starts_with(below));
        if self.stopped { Err(Errno::IO) } else { Ok(()) }
    }

    /// The rates that hold for the operation at hand.
    pub(super) fn rates(&self) -> DiskFaults {
        if self.here { self.rates } else { DiskFaults::default() }
    }

    /// Counts an effect; fails when it is the one before which the host stops.
    pub(super) fn effect(&mut self) -> Result<(), Errno> {
        self.effects += 1;
        self.stopped |= self.stop_at.is_some_and(|at| self.effects >= at);
        if self.stopped { Err(Errno::IO) } else { Ok(()) }
    }

    /// Whether an operation fails now, by appointment or by chance.
    pub(super) fn fails(&mut self, operation: DiskOperation, rng: &mut Rng) -> bool {
        if let Some(left) = self.appointments.get_mut(&operation) {
            *left -= 1;
            if *left == 0 {
                self.appointments.remove(&operation);
                return true;
            }
        }
        rng.per_million(self.rates().rate(operation))
    }

    pub(super) fn fail_at(&mut self, operation: DiskOperation, nth: u64) {
        self.appointments.insert(operation, nth.max(1));
    }

    pub(super) fn stop_at(&mut self, nth: u64) {
        self.stop_at = Some(self.effects + nth.max(1));
    }

    pub(super) fn stop_at_dir_sync(&mut self, nth: u64) {
        self.dir_syncs_left = Some(nth.max(1));
    }

    /// The next effect is a sync of a directory.
    pub(super) fn pass_dir_sync(&mut self) {
        if let Some(left) = &mut self.dir_syncs_left {
            *left -= 1;
            if *left == 0 {
                self.dir_syncs_left = None;
                self.stop_at(1);
            }
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn effects(&self) -> u64 {
        self.effects
    }

    /// A new process may use the disk.
    pub(super) fn restart(&mut self) {
        (self.stop_at, self.dir_syncs_left, self.stopped) = (None, None, false);
    }
}
