//! Client properties under Kafka's names, typed: one row per property gives the field, its default, its parser and the
//! list of names.
//!
//! ```
//! use ottla_client::ProducerConfig;
//! let mut config = ProducerConfig::default();
//! config.set("bootstrap.servers", "localhost:9092").unwrap();
//! config.set("compression.type", "zstd").unwrap();
//! assert!(config.set("linger", "5").is_err());
//! ```

mod property;

use std::time::Duration;

use ottla_protocol::compression::Compression;

use crate::consumer::Assignor;
pub use property::ConfigError;
use property::{Property, choice_property, properties};

/// When a produced record counts as written (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Nothing is awaited, not even an answer: offsets are unknown (-1).
    None,
    /// The leader has appended it.
    Leader,
    /// All in-sync replicas have it.
    All,
}

impl Acks {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// Where a consumer begins when a partition has no usable committed offset (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the log start.
    Earliest,
    /// At the end: only what comes from now on.
    Latest,
    /// Nowhere: the poll fails.
    None,
}

/// Which records of transactions a consumer sees (`isolation.level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All records up to the high watermark.
    ReadUncommitted,
    /// Records up to the last stable offset, without those of aborted transactions.
    ReadCommitted,
}

impl IsolationLevel {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

choice_property!(Acks, "0, 1 or all": "0" => Acks::None, "1" => Acks::Leader, "all" => Acks::All, "-1" => Acks::All);
choice_property!(OffsetReset, "earliest, latest or none": "earliest" => OffsetReset::Earliest, "latest" => OffsetReset::Latest, "none" => OffsetReset::None);
choice_property!(IsolationLevel, "read_uncommitted or read_committed": "read_uncommitted" => IsolationLevel::ReadUncommitted, "read_committed" => IsolationLevel::ReadCommitted);
impl Property for Compression {
    const EXPECTED: &'static str = "none, gzip, snappy, lz4 or zstd";
    fn parse(text: &str) -> Option<Self> {
        Self::from_name(text)
    }
}

impl Property for Vec<Assignor> {
    const EXPECTED: &'static str =
        "a list of range, roundrobin, sticky, cooperative-sticky, or the names of Kafka's classes for them";
    fn parse(text: &str) -> Option<Self> {
        let list: Option<Self> = text.split(',').map(|name| Assignor::from_name(name.trim())).collect();
        list.filter(|l| !l.is_empty())
    }
}

properties! {
    /// What every client needs to reach a cluster.
    pub struct ClientConfig {
        /// `host:port` of some brokers; the others are learnt from them.
        "bootstrap.servers" bootstrap_servers: Vec<String> = vec!["localhost:9092".to_owned()],
        /// The name by which brokers log and meter this client.
        "client.id" client_id: String = "ottla-client".to_owned(),
        /// How long a request may take.
        "request.timeout.ms" request_timeout: Duration = Duration::from_secs(30),
        /// How long an operation with all its retries may take.
        "default.api.timeout.ms" default_api_timeout: Duration = Duration::from_secs(60),
        /// How long connecting to one address may take.
        "socket.connection.setup.timeout.ms" connection_setup_timeout: Duration = Duration::from_secs(10),
        /// A connection with nothing in flight is closed after this time.
        "connections.max.idle.ms" connections_max_idle: Duration = Duration::from_secs(540),
        /// Cluster metadata older than this is fetched again.
        "metadata.max.age.ms" metadata_max_age: Duration = Duration::from_secs(300),
        /// The first wait before a retry.
        "retry.backoff.ms" retry_backoff: Duration = Duration::from_millis(100),
        /// The longest wait before a retry.
        "retry.backoff.max.ms" retry_backoff_max: Duration = Duration::from_secs(1),
        /// A response that announces more bytes than this closes its connection. (librdkafka's name; Java has no bound.)
        "receive.message.max.bytes" receive_message_max_bytes: usize = 100_000_000,
        /// Where this client runs; brokers may answer its fetches from a replica nearby (KIP-392).
        "client.rack" client_rack: String = String::new(),
    }
}

properties! {
    /// How a [`crate::Producer`] batches, sends and retries.
    pub struct ProducerConfig with client: ClientConfig {
        /// When a record counts as written.
        "acks" acks: Acks = Acks::All,
        /// Whether the broker drops the duplicates that retries may make, and order survives them.
        "enable.idempotence" enable_idempotence: bool = true,
        /// How long a batch that is not full waits for more records.
        "linger.ms" linger: Duration = Duration::from_millis(5),
        /// A batch is sent when it has this many bytes, before compression.
        "batch.size" batch_size: usize = 16_384,
        /// Bytes of records that may wait to be sent or acknowledged; `send` waits while they are used up.
        "buffer.memory" buffer_memory: usize = 33_554_432,
        /// The largest request and the largest record.
        "max.request.size" max_request_size: usize = 1_048_576,
        /// Unacknowledged produce requests per broker.
        "max.in.flight.requests.per.connection" max_in_flight: usize = 5,
        /// How often a batch is sent again. Bound it with `delivery.timeout.ms` instead.
        "retries" retries: u32 = i32::MAX as u32,
        /// How long after `send` a record is acknowledged or fails.
        "delivery.timeout.ms" delivery_timeout: Duration = Duration::from_secs(120),
        /// How long `send` waits for metadata and for buffer memory.
        "max.block.ms" max_block: Duration = Duration::from_secs(60),
        /// The codec of batches.
        "compression.type" compression: Compression = Compression::None,
    }
}

properties! {
    /// How a [`crate::Consumer`] fetches, keeps its place and shares partitions with its group.
    pub struct ConsumerConfig with client: ClientConfig {
        /// The consumer group; none for a consumer that only assigns partitions to itself.
        "group.id" group_id: Option<String> = None,
        /// A name that survives restarts: a static member (KIP-345).
        "group.instance.id" group_instance_id: Option<String> = None,
        /// How long the group waits for a member that is not heard of.
        "session.timeout.ms" session_timeout: Duration = Duration::from_secs(45),
        /// How often a member says that it is alive.
        "heartbeat.interval.ms" heartbeat_interval: Duration = Duration::from_secs(3),
        /// The longest time between polls; afterwards the member leaves its group.
        "max.poll.interval.ms" max_poll_interval: Duration = Duration::from_secs(300),
        /// The most records that one poll returns.
        "max.poll.records" max_poll_records: usize = 500,
        /// Assignors in order of preference.
        "partition.assignment.strategy" assignors: Vec<Assignor> = vec![Assignor::Range, Assignor::CooperativeSticky],
        /// The fewest bytes that a fetch waits for.
        "fetch.min.bytes" fetch_min_bytes: i32 = 1,
        /// How long the broker waits for `fetch.min.bytes`.
        "fetch.max.wait.ms" fetch_max_wait: Duration = Duration::from_millis(500),
        /// The most bytes of a fetch, except that one batch is always returned whole.
        "fetch.max.bytes" fetch_max_bytes: i32 = 52_428_800,
        /// The most bytes of one partition in a fetch, with the same exception.
        "max.partition.fetch.bytes" max_partition_fetch_bytes: i32 = 1_048_576,
        /// Where to begin without a usable committed offset.
        "auto.offset.reset" auto_offset_reset: OffsetReset = OffsetReset::Latest,
        /// Whether positions are committed while polling and when closing.
        "enable.auto.commit" enable_auto_commit: bool = true,
        /// How often.
        "auto.commit.interval.ms" auto_commit_interval: Duration = Duration::from_secs(5),
        /// Which records of transactions are seen.
        "isolation.level" isolation_level: IsolationLevel = IsolationLevel::ReadUncommitted,
        /// Whether record batches are checked against their checksum.
        "check.crcs" check_crcs: bool = true,
        /// Whether asking for an unknown topic may create it.
        "allow.auto.create.topics" allow_auto_create_topics: bool = true,
        /// The most bytes that one batch may decompress to; a batch that claims more is corrupt. (Ottla's own.)
        "max.decompressed.batch.bytes" max_decompressed_batch_bytes: usize = 256 << 20,
    }
}

impl ProducerConfig {
    /// Checks what one row alone cannot.
    ///
    /// # Errors
    /// When idempotence is on and acks, retries or requests in flight do not allow it, or a bound is zero.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let conflict = |text: &str| Err(ConfigError::Conflict(text.to_owned()));
        if self.enable_idempotence && self.acks != Acks::All {
            return conflict("enable.idempotence=true needs acks=all; set acks=all or enable.idempotence=false");
        }
        if self.enable_idempotence && self.max_in_flight > 5 {
            return conflict(
                "enable.idempotence=true allows at most 5 max.in.flight.requests.per.connection: brokers remember five batches",
            );
        }
        if self.enable_idempotence && self.retries == 0 {
            return conflict("enable.idempotence=true needs retries above 0");
        }
        if self.max_in_flight == 0 || self.buffer_memory == 0 || self.max_request_size == 0 {
            return conflict(
                "max.in.flight.requests.per.connection, buffer.memory and max.request.size must be above 0",
            );
        }
        if self.delivery_timeout < self.linger + self.client.request_timeout {
            return conflict("delivery.timeout.ms must be at least linger.ms + request.timeout.ms");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_have_kafkas_names_and_defaults() {
        let mut producer = ProducerConfig::default();
        assert_eq!(
            (producer.acks, producer.linger, producer.batch_size),
            (Acks::All, Duration::from_millis(5), 16_384)
        );
        producer.set("linger.ms", "20").expect("a number");
        producer.set("client.id", "me").expect("a property of every client");
        producer.set("bootstrap.servers", "a:1, b:2").expect("a list");
        assert_eq!(producer.linger, Duration::from_millis(20));
        assert_eq!(producer.client.bootstrap_servers, ["a:1", "b:2"]);
        let mut consumer = ConsumerConfig::default();
        consumer.set("partition.assignment.strategy", "cooperative-sticky").expect("an assignor");
        assert_eq!(consumer.assignors, [Assignor::CooperativeSticky]);
    }

    #[test]
    fn a_wrong_name_is_refused_with_the_nearest_one_and_a_wrong_value_with_what_is_expected() {
        let mut config = ProducerConfig::default();
        let unknown = config.set("compression.typ", "gzip").expect_err("no such property");
        assert_eq!(
            unknown.to_string(),
            "there is no client property `compression.typ`; did you mean `compression.type`?"
        );
        assert!(matches!(config.set("zzzzzzzz", "1"), Err(ConfigError::Unknown { nearest: None, .. })));
        let value = config.set("acks", "2").expect_err("no such acks");
        assert_eq!(value.to_string(), "`2` is no value for acks: 0, 1 or all is expected");
        assert!(config.set("linger.ms", "-1").is_err());
    }

    #[test]
    fn idempotence_demands_what_makes_it_true() {
        let mut config = ProducerConfig::default();
        config.validate().expect("Kafka's defaults fit each other");
        config.acks = Acks::Leader;
        assert!(config.validate().is_err());
        config.enable_idempotence = false;
        config.validate().expect("without idempotence");
        config.delivery_timeout = Duration::from_secs(1);
        assert!(config.validate().is_err());
    }
}
