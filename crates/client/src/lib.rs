//! A native Kafka client: connection, metadata, producer, consumer, admin.
//!
//! ```text
//!   Producer   Consumer   Admin
//!        └────────┼────────┘
//!              Cluster          brokers, leaders, retries
//!                 │
//!             Connection        one socket: frames, versions, timeouts
//! ```
//!
//! It speaks to every Kafka cluster and knows nothing of Ottla's broker beyond Kafka's protocol. Properties have Kafka's
//! names and defaults ([`config`]). All waiting is bounded by a named timeout, all memory by a named limit.
//!
//! Absent: transactions, TLS and SASL, the group protocol of KIP-848, share groups, and the detection of truncated logs by
//! leader epoch (KIP-320; an offset beyond the end is reset as `auto.offset.reset` says).

pub mod admin;
pub mod backoff;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod consumer;
mod coordinator;
pub mod error;
mod offsets;
pub mod producer;
pub mod requests;
mod topic_partition;

pub use admin::Admin;
pub use cluster::Cluster;
pub use config::{ClientConfig, ConsumerConfig, ProducerConfig};
pub use consumer::{Consumer, ConsumerRecord, OffsetAndMetadata};
pub use error::{ConnectionError, Error};
pub use offsets::FoundOffset;
pub use producer::{Delivery, Producer, ProducerRecord, RecordMetadata};
pub use topic_partition::TopicPartition;
