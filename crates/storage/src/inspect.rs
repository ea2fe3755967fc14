//! Looks into log directories without owning them: every file kind is read as it lies there, nothing is written, locked or
//! put right. What it reads may belong to a running broker, of Apache Kafka too, so files may grow, shrink or go meanwhile.
//!
//! ```text
//!   batch_file    a .log or .checkpoint file, batch by batch          ┐
//!   index_files   entries of .index, .timeindex, .txnindex by number  ├── window: one buffer over a file
//!   producers     what a .snapshot says                               ┘
//!   extent        how far a log without gaps is whole
//!   directory, partition_files   what is there, and what the checkpoints say of it
//!   summary       a partition at a glance
//!   verify        everything in a directory held against everything else ──> finding
//! ```
//! Memory is bounded by the largest sound batch of a file: a batch is only taken into memory whole once its checksum fits,
//! and until then passes by in pieces.

mod batch_file;
mod directory;
mod extent;
mod finding;
mod index_files;
mod partition_files;
mod producers;
mod summary;
mod verify;
mod window;

pub use crate::batch_scan::BatchAt;
pub use crate::offset_index::OffsetPosition;
pub use crate::time_index::TimestampOffset;
pub use batch_file::{BatchFile, Step};
pub use directory::{Checkpoints, Directory, Ended};
pub use extent::{Extent, Fault, extent};
pub use finding::{Finding, Severity, Watcher};
pub use index_files::{IndexEntry, IndexFile, OffsetIndexFile, TimeIndexFile, TransactionIndexFile};
pub use partition_files::{PartitionFiles, SegmentEntry};
pub use producers::{LastBatch, SnapshotProducer, read_producers};
pub use summary::{PartitionSummary, SegmentSummary};
pub use verify::{Totals, bytes_to_read, verify};
