//! The broker: network, dispatch, one handler per API, replicas, purgatory.
//!
//! ```text
//!  socket ─> network/connection ─> dispatch ─> handlers/<api> ─> replica/partition ─> ottla-storage
//!     ^           │  in request order             │ waits                │ high watermark moved
//!     └── bytes + file slices <── context::Answer ─┴──── purgatory <─────┘
//! ```
//!
//! * [`network`] owns sockets: it reads frames under one memory budget, keeps answers in the order of requests, and sends
//!   record bytes from files without touching them.
//! * [`dispatch`] is the table of what is served, where, by whom it may be called and how it is scheduled.
//! * `handlers` holds one file per API; that is where outcomes become Kafka's error codes.
//! * [`group_driver`] carries out what the group coordinator's shards decide.
//! * [`replica`] is this broker's share of the partitions; it follows the metadata image.
//! * [`log_dirs`] looks after the log directories: failed ones, cordoned ones.
//! * [`dynamic_config`] is what the broker does differently while it runs.
//! * [`lifecycle`] starts, registers, heartbeats and stops the whole.
//!
//! The crate knows no controller: it speaks to one through `ottla_metadata::controller_door`, in request bodies.

pub mod auto_topics;
pub mod broker;
pub mod context;
pub mod counters;
pub mod delayed;
pub mod dispatch;
pub mod dynamic_config;
pub mod fetch_session;
pub mod forward;
pub mod group_driver;
mod handlers;
pub mod lifecycle;
pub mod log_dirs;
pub mod network;
pub mod producer_ids;
pub mod purgatory;
pub mod quota;
pub mod replica;
pub mod security;
pub mod topic_log_config;

pub use broker::Broker;
