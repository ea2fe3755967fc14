//! Kafka's wire without I/O: frames, api table, messages, record batches, error codes, ids.
//!
//! ```text
//!   bytes ── reader ──> messages::<module>::<Message>   (borrows from the frame)
//!   messages::<module>::<Message> ── writer ──> bytes + holes for record bytes
//! ```

pub mod error_code;
pub mod ids;
pub mod message;
pub mod messages;
pub mod reader;
pub mod writer;

pub use error_code::ErrorCode;
pub use ids::Uuid;
