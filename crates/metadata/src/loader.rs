//! [`MetadataLoader`]: turns what the quorum committed into images and tells the publishers.
//!
//! ```text
//!   raft driver ──snapshot / committed batches──> MetadataLoader ──delta, image──> publishers, in order
//!                                                       └──> MetadataView::current(), for everybody else
//! ```
//!
//! Records of one batch take effect together. Records between the begin and the end of a metadata transaction (KIP-868)
//! take effect together too, over as many batches as it spans; those of an aborted one never do. Kafka's
//! `MetadataLoader` and `MetadataBatchLoader`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI16, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::delta::MetadataDelta;
use crate::image::{MetadataImage, ReplayError};
use crate::publisher::MetadataPublisher;
use crate::records::MetadataRecord;

/// A committed batch of the metadata log, decoded. Batches of control records are passed with no records, so that the
/// image's offset moves on.
#[derive(Debug, Clone, PartialEq)]
pub struct CommittedBatch {
    /// Offset of its last record.
    pub last_offset: i64,
    /// Leader epoch in which it was appended.
    pub epoch: i32,
    /// Its records.
    pub records: Vec<MetadataRecord>,
}

/// Why the log cannot be followed any further. The node must stop: its view of the cluster would be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A record does not fit the state.
    #[error("metadata log at offset {last_offset}: {source}")]
    Replay {
        /// Last offset of the batch, or of the snapshot.
        last_offset: i64,
        /// What does not fit.
        source: ReplayError,
    },
    /// Records of a transaction out of order.
    #[error("metadata log at offset {last_offset}: {what}")]
    Transaction {
        /// Last offset of the batch.
        last_offset: i64,
        /// What is wrong.
        what: &'static str,
    },
}

/// The latest published image, for whoever wants to look at it. Cheap to clone.
#[derive(Clone)]
pub struct MetadataView {
    image: Arc<ArcSwap<MetadataImage>>,
    kraft_version: Arc<AtomicI16>,
}

impl MetadataView {
    /// A view of one image that never changes, for tests and tools.
    #[must_use]
    pub fn fixed(image: MetadataImage) -> Self {
        Self::new(Arc::new(image))
    }

    fn new(image: Arc<MetadataImage>) -> Self {
        Self { image: Arc::new(ArcSwap::new(image)), kraft_version: Arc::default() }
    }

    /// The image as of now. A request looks once and works on what it got.
    #[must_use]
    pub fn current(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// `kraft.version`, the one finalized feature that is no record of the image but a control record of the quorum; 0 in a
    /// static quorum. As `KRaftMetadataCache.features` of Kafka it is to be told only when it is above 0.
    #[must_use]
    pub fn kraft_version(&self) -> i16 {
        self.kraft_version.load(Ordering::Acquire)
    }
}

impl fmt::Debug for MetadataView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataView").field("offset", &self.current().offset).finish_non_exhaustive()
    }
}

/// What was replayed and is not yet published.
struct Pending {
    delta: MetadataDelta,
    in_transaction: bool,
}

struct State {
    pending: Pending,
    publishers: Vec<Arc<dyn MetadataPublisher>>,
}

/// See the module. Fed by one thread; publishers may be added from any.
pub struct MetadataLoader {
    view: MetadataView,
    state: Mutex<State>,
}

impl fmt::Debug for MetadataLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataLoader").field("view", &self.view).finish_non_exhaustive()
    }
}

impl Default for MetadataLoader {
    fn default() -> Self {
        Self::new()
    }
}

impl MetadataLoader {
    /// A loader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        let empty = Arc::new(MetadataImage::default());
        let view = MetadataView::new(Arc::clone(&empty));
        let pending = Pending { delta: MetadataDelta::new(empty), in_transaction: false };
        Self { view, state: Mutex::new(State { pending, publishers: Vec::new() }) }
    }

    /// A handle on the latest published image.
    #[must_use]
    pub fn view(&self) -> MetadataView {
        self.view.clone()
    }

    /// The latest published image.
    #[must_use]
    pub fn current(&self) -> Arc<MetadataImage> {
        self.view.current()
    }

    /// Notes what the quorum's control records say of `kraft.version`, before the image that may be asked along with it.
    pub fn set_kraft_version(&self, version: i16) {
        self.view.kraft_version.store(version, Ordering::Release);
    }

    /// Whether the log so far ends within a metadata transaction, which whoever leads next has to abort.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.state.lock().pending.in_transaction
    }

    /// Adds a publisher, after those that are there; it is told at once of all there is.
    pub fn add_publisher(&self, publisher: Arc<dyn MetadataPublisher>) {
        let mut state = self.state.lock();
        let image = self.view.current();
        if !image.is_empty() {
            let mut delta = MetadataDelta::for_snapshot(Arc::new(MetadataImage::default()));
            for record in image.to_records() {
                delta.replay(&record).expect("the records that an image writes make an image");
            }
            publisher.publish(&delta, &image);
        }
        state.publishers.push(publisher);
    }

    /// Replaces everything by a snapshot's content. `offset` is the last one in the snapshot: its id's offset less one.
    ///
    /// # Errors
    /// [`LoadError`] when the records make no image.
    pub fn load_snapshot(
        &self,
        offset: i64,
        epoch: i32,
        records: impl IntoIterator<Item = MetadataRecord>,
    ) -> Result<(), LoadError> {
        let mut state = self.state.lock();
        let mut delta = MetadataDelta::for_snapshot(self.view.current());
        for record in records {
            delta.replay(&record).map_err(|source| LoadError::Replay { last_offset: offset, source })?;
        }
        delta.finish_snapshot();
        state.pending = Pending { delta, in_transaction: false };
        self.publish(&mut state, offset, epoch);
        Ok(())
    }

    /// Takes in committed batches, in order, and publishes what they change.
    ///
    /// # Errors
    /// [`LoadError`] when the records do not fit; nothing of the batch at fault is published.
    pub fn load_batches(&self, batches: impl IntoIterator<Item = CommittedBatch>) -> Result<(), LoadError> {
        let mut state = self.state.lock();
        let mut last = None;
        for batch in batches {
            self.replay_batch(&mut state, &batch)?;
            last = Some((batch.last_offset, batch.epoch));
        }
        // One image for all batches that were read together: while a node catches up, one change of topics is told as one.
        if let Some((offset, epoch)) = last
            && !state.pending.in_transaction
        {
            self.publish(&mut state, offset, epoch);
        }
        Ok(())
    }

    fn replay_batch(&self, state: &mut State, batch: &CommittedBatch) -> Result<(), LoadError> {
        let last_offset = batch.last_offset;
        let out_of_order = |what| LoadError::Transaction { last_offset, what };
        let offset_before = last_offset - batch.records.len() as i64;
        for (offset, record) in (offset_before..).zip(&batch.records) {
            match record {
                MetadataRecord::BeginTransaction(_) if state.pending.in_transaction => {
                    return Err(out_of_order("a transaction begins within another"));
                }
                MetadataRecord::BeginTransaction(_) => {
                    // What came before is not part of it and must survive its abort.
                    self.publish(state, offset, batch.epoch);
                    state.pending.in_transaction = true;
                }
                MetadataRecord::EndTransaction(_) if !state.pending.in_transaction => {
                    return Err(out_of_order("a transaction ends that did not begin"));
                }
                MetadataRecord::AbortTransaction(_) if !state.pending.in_transaction => {
                    return Err(out_of_order("a transaction is aborted that did not begin"));
                }
                MetadataRecord::EndTransaction(_) => state.pending.in_transaction = false,
                MetadataRecord::AbortTransaction(_) => {
                    state.pending = Pending { delta: MetadataDelta::new(self.view.current()), in_transaction: false };
                }
                record => {
                    let replayed = state.pending.delta.replay(record);
                    replayed.map_err(|source| LoadError::Replay { last_offset, source })?;
                }
            }
        }
        Ok(())
    }

    /// Makes the pending delta the current image. The view changes before the publishers are told, as in Kafka: what a
    /// publisher sets going may look at the view and must find there what it was told.
    fn publish(&self, state: &mut State, offset: i64, epoch: i32) {
        let image = Arc::new(state.pending.delta.apply(offset, epoch));
        self.view.image.store(Arc::clone(&image));
        let fresh = Pending { delta: MetadataDelta::new(Arc::clone(&image)), in_transaction: false };
        let published = std::mem::replace(&mut state.pending, fresh);
        for publisher in &state.publishers {
            tracing::trace!(publisher = publisher.name(), offset, epoch, "publishing metadata");
            publisher.publish(&published.delta, &image);
        }
    }
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
