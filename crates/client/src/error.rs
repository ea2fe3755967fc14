//! What can go wrong in a client: narrow errors per operation inside, one [`Error`] at the edge that says what to do.

use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::reader::DecodeError;
use ottla_protocol::writer::EncodeError;

/// What happened to one connection or one request on it. Cheap to clone: all requests in flight share the cause.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectionError {
    /// The name has no address.
    #[error("cannot find the address of {address}: {source}")]
    Resolve {
        /// `host:port` as it was given.
        address: String,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// Nobody accepts there.
    #[error("{address}: {source}")]
    Connect {
        /// `host:port` as it was given.
        address: String,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// Connecting or the first handshake took too long.
    #[error("no connection to {address} within {after:?}")]
    ConnectTimeout {
        /// `host:port` as it was given.
        address: String,
        /// How long we waited.
        after: Duration,
    },
    /// The peer closed the connection, or it broke.
    #[error("the connection to {address} was lost: {cause}")]
    Lost {
        /// `host:port`.
        address: String,
        /// What was seen.
        cause: Arc<str>,
    },
    /// No answer in time. The connection is closed then: answers come in order, so later ones would wait as well.
    #[error("{address} did not answer {api} within {after:?}")]
    Timeout {
        /// `host:port`.
        address: String,
        /// API name.
        api: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// More requests are in flight than the connection may hold.
    #[error("the connection to {address} has its {limit} requests in flight already")]
    Busy {
        /// `host:port`.
        address: String,
        /// The bound.
        limit: usize,
    },
    /// Client and broker have no version of this API in common.
    #[error("{address} speaks {api} {theirs}, this client speaks versions {min} to {max}")]
    NoCommonVersion {
        /// `host:port`.
        address: String,
        /// API name.
        api: &'static str,
        /// What the broker offers, in words.
        theirs: String,
        /// Our first version.
        min: i16,
        /// Our last version.
        max: i16,
    },
    /// The request cannot be written at the version chosen.
    #[error("cannot write the request: {0}")]
    Encode(#[from] EncodeError),
    /// The answer is not what its header claims.
    #[error("{address} sent a {api} response that cannot be read: {source}")]
    Decode {
        /// `host:port`.
        address: Arc<str>,
        /// API name.
        api: &'static str,
        /// Why.
        source: DecodeError,
    },
    /// The broker refused the handshake with an error code.
    #[error("{address} refused the connection: {code}")]
    Refused {
        /// `host:port`.
        address: String,
        /// Kafka's code.
        code: ErrorCode,
    },
}

/// What an operation of the client can end with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A connection failed and the operation may not be, or was not, repeated.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Not one of the bootstrap servers could be reached.
    #[error("no broker can be reached{}: {last}", one_of(.servers))]
    Bootstrap {
        /// The servers as configured.
        servers: String,
        /// The last failure.
        last: ConnectionError,
    },
    /// The broker answered with an error.
    #[error("{context}: {code}{}", detail(.message))]
    Broker {
        /// What was asked for, such as `topic orders`.
        context: String,
        /// Kafka's code.
        code: ErrorCode,
        /// The broker's sentence, if it sent one.
        message: Option<String>,
    },
    /// The operation did not succeed within its time, in spite of retries.
    #[error("{what} did not succeed within {after:?}{}", last_cause(.last))]
    Timeout {
        /// The operation.
        what: String,
        /// Its time.
        after: Duration,
        /// The last retriable failure.
        last: Option<Box<Error>>,
    },
    /// The record is larger than `max.request.size` or `buffer.memory`.
    #[error("a record of {bytes} bytes is larger than {limit} bytes ({property})")]
    RecordTooLarge {
        /// Size of the record.
        bytes: usize,
        /// The bound.
        limit: usize,
        /// The property that sets it.
        property: &'static str,
    },
    /// Record batches that cannot be read.
    #[error("{topic}-{partition} at offset {offset}: {cause}")]
    CorruptRecords {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Where reading stopped.
        offset: i64,
        /// What is wrong.
        cause: String,
    },
    /// No committed offset, or one that is gone, and `auto.offset.reset` is `none`.
    #[error("{topic}-{partition} has no usable offset (asked for {offset}) and auto.offset.reset is none")]
    NoOffset {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The offset that was out of range; -1 when none was committed.
        offset: i64,
    },
    /// The call does not fit the state of the client.
    #[error("{0}")]
    IllegalState(String),
    /// A property has no usable value.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// Names the servers if there are several; a single one is in the last failure.
fn one_of(servers: &str) -> String {
    if servers.contains(',') { format!(", not one of {servers}; the last failure") } else { String::new() }
}

fn detail(message: &Option<String>) -> String {
    message.as_ref().map_or_else(String::new, |m| format!(": {m}"))
}

fn last_cause(last: &Option<Box<Error>>) -> String {
    last.as_ref().map_or_else(String::new, |e| format!("; the last error was: {e}"))
}

impl Error {
    /// A broker's error code about `context`; a code that Kafka 4.4 does not know counts as `UNKNOWN_SERVER_ERROR`.
    #[must_use]
    pub fn broker(context: impl Into<String>, code: i16, message: Option<&str>) -> Self {
        Self::Broker {
            context: context.into(),
            code: ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError),
            message: message.map(str::to_owned),
        }
    }

    /// Kafka's code, if a broker answered with one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same operation may succeed if it is tried again.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connection(e) => e.is_retriable(),
            Self::Broker { code, .. } => code.is_retriable(),
            Self::Bootstrap { .. } | Self::Timeout { .. } => true,
            Self::RecordTooLarge { .. }
            | Self::CorruptRecords { .. }
            | Self::NoOffset { .. }
            | Self::IllegalState(_)
            | Self::Config(_)
            | Self::Closed => false,
        }
    }
}

impl ConnectionError {
    /// Whether another attempt, perhaps on another connection, may succeed.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Lost { .. }
            | Self::Timeout { .. }
            | Self::Busy { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            Self::NoCommonVersion { .. } | Self::Encode(_) | Self::Decode { .. } => false,
        }
    }
}

/// `Ok` for code 0, otherwise [`Error::Broker`].
pub(crate) fn check(code: i16, context: impl FnOnce() -> String, message: Option<&str>) -> Result<(), Error> {
    if code == 0 { Ok(()) } else { Err(Error::broker(context(), code, message)) }
}
