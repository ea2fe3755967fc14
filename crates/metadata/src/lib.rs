//! What every node knows: metadata records, image, delta, and the configuration table.
//!
//! ```text
//!   __cluster_metadata-0 ──> records ──> loader ──> delta ──> image ──> publishers (replica manager, coordinators, …)
//!                                                                  └──> MetadataView (request handlers)
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`topic_name`] | what a topic may be called |
//! | [`records`] | the records of the metadata log, owned, and their frame |
//! | [`image`] | everything the log says as of one offset, immutable and cheap to clone |
//! | [`delta`] | the way from one image to the next, and what changed on it |
//! | [`loader`] | committed batches and snapshots in, images out |
//! | [`publisher`] | whoever follows the images |
//! | [`controller_door`] | how anyone asks the active controller |
//! | [`config`] | every property of broker, topic and group: one row each, and what derives from the rows |
//! | [`topic_name`] | which names a topic may have |
//!
//! What is absent: no request handling, no decisions (those are `controller`'s), no clock, file, socket or task.

pub mod chunked_map;
pub mod config;
pub mod controller_door;
pub mod delta;
pub mod image;
pub mod loader;
pub mod publisher;
pub mod records;
pub mod topic_name;

pub use controller_door::{ControllerDoor, DoorContext, DoorError};
pub use delta::MetadataDelta;
pub use image::MetadataImage;
pub use loader::{CommittedBatch, MetadataLoader, MetadataView};
pub use publisher::MetadataPublisher;
pub use records::MetadataRecord;
