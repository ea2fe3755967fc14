//! What only the quorum decides: the KRaft core and the control operations as pure functions.
//!
//! ```text
//!   ControllerDoor ──> event_loop (one task) ──> operations ──> topics, partitions, brokers, … (deciders)
//!                          │       ▲                                        │ records, response
//!                          │       └────────────────────────────────────────┘
//!                          └──> raft_driver ──> raft (the pure core)
//!                                   ├──> metadata_log (storage), snapshot_file, quorum_store (files)
//!                                   └──> load_queue ──> MetadataLoader ──> images, publishers (a task of their own)
//! ```
//!
//! | Where | What |
//! |---|---|
//! | [`raft`] | one replica of the quorum: events in, effects out |
//! | `raft_driver`, `quorum_store`, `metadata_log`, `load_queue` | the effects carried out |
//! | `soundness` | what a start refuses to cut off |
//! | `batches`, `control_records`, `snapshot_file`, `quorum_wire` | bytes of the log, of snapshots, of the quorum's requests |
//! | `quorum_controller`, `event_loop`, `activation`, `operations`, `pending` | the handle, the task, its first records, its table of requests, its answers |
//! | `topics`, `partitions`, `partition_change`, `placement`, `alter_partition`, `directories` | what becomes of partitions |
//! | `brokers`, `sessions`, `controllers`, `producer_ids` | what becomes of nodes |
//! | `describe_cluster`, `describe_quorum` | what any controller says of itself |
//! | `configs`, `alter_configs`, [`features`] | settings and levels |
//! | [`mod@format`] | what `storage format` writes |
//!
//! What is absent: deciders know no clock, file, socket or task; they get the time and randomness as arguments, and only
//! `event_loop` and `raft_driver` act. Nothing here knows that there is a broker in the same process: it registers
//! through the same door as a remote one. See `docs/design/controller.md`.

mod activation;
mod alter_configs;
mod alter_partition;
mod batches;
mod brokers;
mod configs;
mod control_records;
mod controllers;
mod decision;
mod describe_cluster;
mod describe_quorum;
mod directories;
mod error;
mod event_loop;
pub mod features;
pub mod format;
mod load_queue;
mod metadata_log;
mod operations;
mod options;
mod partition_change;
mod partitions;
mod pending;
mod placement;
mod producer_ids;
mod quorum_controller;
mod quorum_store;
mod quorum_wire;
pub mod raft;
mod raft_driver;
mod sessions;
mod snapshot_file;
mod soundness;
#[cfg(test)]
mod testing;
mod topics;

pub use batches::BatchFault;
pub use error::ControllerError;
pub use options::{ControllerListener, ControllerOptions, QuorumOptions};
pub use quorum_controller::QuorumController;
pub use quorum_wire::METADATA_TOPIC;
pub use snapshot_file::SnapshotError;
pub use soundness::Loss;
