//! What is committed goes to the [`MetadataLoader`] in order, and beside the controller's task: publishers may have thousands
//! of files to make, and the quorum must not wait for them.
//!
//! ```text
//!   raft driver ──Load──> queue of [`LOADS_MAX`] ──> loading task ──> MetadataLoader ──> publishers
//!        ^                                                │
//!        └────────── everything below is loaded ──────────┘
//! ```
//!
//! When the queue is full nothing more is read from the log until there is room; nobody waits for it.

use std::sync::Arc;

use ottla_metadata::loader::LoadError;
use ottla_metadata::{CommittedBatch, MetadataLoader, MetadataRecord};
use tokio::sync::{mpsc, watch};

/// Pieces that wait for the loader, each of the records that were read at once.
const LOADS_MAX: usize = 4;

/// Offset below which everything was loaded and published, or why the log cannot be followed any further.
pub(crate) type Loaded = Result<i64, LoadError>;

/// A piece of work for the loader.
#[derive(Debug)]
pub(crate) enum Load {
    /// Committed batches; everything below `end_offset` is loaded then.
    Batches {
        /// Those.
        batches: Vec<CommittedBatch>,
        /// Where they end.
        end_offset: i64,
    },
    /// A snapshot in place of everything before.
    Snapshot {
        /// The first offset behind it.
        end_offset: i64,
        /// Leader epoch of its last record.
        epoch: i32,
        /// Its content.
        records: Vec<MetadataRecord>,
    },
}

/// The way to the loading task, which ends once it is dropped and the queue is empty.
#[derive(Debug)]
pub(crate) struct LoadQueue(mpsc::Sender<Load>);

impl LoadQueue {
    /// A place in the queue; `None` if there is none now.
    pub(crate) fn place(&self) -> Option<mpsc::Permit<'_, Load>> {
        self.0.try_reserve().ok()
    }

    /// As [`Self::place`], and waits for it.
    pub(crate) async fn wait_for_place(&self) -> Option<mpsc::Permit<'_, Load>> {
        self.0.reserve().await.ok()
    }
}

/// The loading task, to be spawned.
#[derive(Debug)]
pub(crate) struct LoadTask {
    loader: Arc<MetadataLoader>,
    work: mpsc::Receiver<Load>,
    loaded: watch::Sender<Loaded>,
}

/// A queue in front of a loader that has everything below `loaded`; the task that empties it; and how far that is.
pub(crate) fn load_queue(loader: Arc<MetadataLoader>, loaded: i64) -> (LoadQueue, LoadTask, watch::Receiver<Loaded>) {
    let (queue, work) = mpsc::channel(LOADS_MAX);
    let (loaded, watched) = watch::channel(Ok(loaded));
    (LoadQueue(queue), LoadTask { loader, work, loaded }, watched)
}

impl LoadTask {
    /// Runs until the queue is dropped and empty, or a piece does not fit.
    pub(crate) async fn run(mut self) {
        while let Some(load) = self.work.recv().await {
            let outcome = self.load(load);
            let failed = outcome.is_err();
            // What it was before is known.
            let _ = self.loaded.send_replace(outcome);
            if failed {
                return;
            }
        }
    }

    fn load(&self, load: Load) -> Loaded {
        match load {
            Load::Batches { batches, end_offset } => {
                self.loader.load_batches(batches)?;
                Ok(end_offset)
            }
            Load::Snapshot { end_offset, epoch, records } => {
                self.loader.load_snapshot(end_offset - 1, epoch, records)?;
                Ok(end_offset)
            }
        }
    }
}
