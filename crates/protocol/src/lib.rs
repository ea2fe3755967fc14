//! Kafka's wire without I/O: frames, api table, messages, record batches, error codes, ids.
//!
//! ```text
//!   frame    header of a request or response, and where its body begins            frame, api
//!   body     bytes ── reader ──> messages::<module>::<Message>  (borrows)           reader, message, messages
//!            messages::<module>::<Message> ── writer ──> bytes + holes for records   writer
//!   records  batches, walked in place or unpacked within a limit                     record_batch, records, compression
//!            what brokers wrote before Kafka 0.11                                    legacy_records
//!   tables   the same definitions as data, for tools that tell a record field by field               schema
//!   words    error codes, uuids, the keys of control records                         error_code, ids, control_record
//! ```
//!
//! It knows no socket, file, clock or configuration. Bytes from outside never make it panic, and never make it allocate
//! more than a bound that its caller knows: 16 times a frame for a message, a given limit for unpacked records.

#![deny(clippy::indexing_slicing)]

pub mod api;
pub mod compression;
pub mod control_record;
pub mod error_code;
pub mod frame;
pub mod ids;
pub mod legacy_records;
pub mod message;
pub mod messages;
pub mod reader;
pub mod record_batch;
pub mod records;
pub mod schema;
mod varint;
pub mod writer;

pub use error_code::ErrorCode;
pub use ids::Uuid;
