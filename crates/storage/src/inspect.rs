//! Looks into log directories without owning them: every file kind is read as it lies there, nothing is written, locked or
//! put right. What it reads may belong to a running broker, of Apache Kafka too, so files may grow, shrink or go meanwhile.
//!
//! ```text
//!   batch_file    a .log or .checkpoint file, batch by batch          ┐
//!   index_files   entries of .index, .timeindex, .txnindex by number  ├── window: one buffer over a file
//!   producers     what a .snapshot says                               ┘
//! ```
//! Memory is bounded by the largest sound batch of a file: a batch is only taken into memory whole once its checksum fits,
//! and until then passes by in pieces.

mod batch_file;
mod index_files;
mod producers;
mod window;

pub use crate::batch_scan::BatchAt;
pub use crate::offset_index::OffsetPosition;
pub use crate::time_index::TimestampOffset;
pub use batch_file::{BatchFile, Step};
pub use index_files::{OffsetIndexFile, TimeIndexFile, TransactionIndexFile};
pub use producers::{LastBatch, SnapshotProducer, read_producers};
