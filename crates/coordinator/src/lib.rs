//! Group coordination as pure state machines over coordinator records.
//!
//! ```text
//!   request, now ──> GroupShard ──> Effect::Write { records } ──> the driver appends them to __consumer_offsets
//!                        ^  └─────> Effect::Reply               └──> written(offset | code), committed(high watermark)
//!                        └── replay(key, value): a log that is loaded
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`shard`] | [`GroupShard`]: all groups of one partition of `__consumer_offsets`, and its contract with the driver |
//! | [`runtime`] | writes on their way to being committed, and the replies that wait for them; common to all coordinators |
//! | `timeline` | a value with its committed and its latest version |
//! | `timer` | deadlines by key |
//! | [`group`] | what a group is: requests and answers, the classic protocol, committed offsets, records |
//!
//! What is absent: no clock, random source, file, socket, task or lock. Time arrives as [`Now`], randomness as bytes in a
//! request. What topics exist is not known here either: the handlers ask the metadata image. The design is in
//! `docs/design/coordinators.md`.

pub mod group;
pub mod runtime;
pub mod shard;
mod timeline;
mod timer;
mod turn;

pub use group::records::{CoordinatorRecord, RecordError};
pub use runtime::{Now, WriteId};
pub use shard::{Effect, GroupShard};
