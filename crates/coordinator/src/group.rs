//! Groups: what members ask, what a group is, and what of it is written down.
//!
//! | module | what it is |
//! |---|---|
//! | [`api`] | requests and answers, owned, in Kafka's words |
//! | [`call`] | a request and the type of its answer |
//! | [`config`] | the settings a group obeys |
//! | `classic` | the classic protocol: the state machine of KIP-62, 134, 345, 394 and 559 |
//! | `offsets` | committed offsets: commit, fetch, delete, expire |
//! | `other_kinds` | groups of protocols that are not served here, known by their records only |
//! | [`records`] | the records of `__consumer_offsets` |

pub mod api;
pub mod call;
pub(crate) mod classic;
pub mod config;
pub(crate) mod offsets;
pub(crate) mod other_kinds;
pub mod records;

use classic::ClassicGroup;
use other_kinds::OtherGroup;

/// A group of any kind.
#[derive(Debug)]
pub(crate) enum Group {
    /// Of the classic protocol, or a simple group: one that only has offsets.
    Classic(Box<ClassicGroup>),
    /// Of a protocol that is not served.
    Other(OtherGroup),
}
