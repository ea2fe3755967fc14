//! The door through which everything asks the active controller: [`ControllerDoor`].
//!
//! ```text
//!   broker: handlers/create_topics.rs ─┐                        ┌─ this node's controller (its event loop)
//!   broker: lifecycle (registration) ──┼──> ControllerDoor ─────┤
//!   broker: replica manager (ISR) ─────┘     bytes in and out   └─ another node's, over the wire, with an Envelope
//! ```
//!
//! Requests and responses cross it as the bytes of their bodies, exactly what an Envelope (KIP-590) carries, so that a
//! controller in the same process and one at the other end of a connection are asked alike. It is defined here because
//! `broker` and `controller` know nothing of each other; `server` passes the one to the other.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// Who asks: what the controller needs for authorization and logs, and an Envelope for forwarding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorContext {
    /// Kafka's notation, such as `User:ANONYMOUS`.
    pub principal: String,
    /// The client id of the request's header, if it had one.
    pub client_id: Option<String>,
    /// Where the client is; `None` when this node asks for itself.
    pub client_address: Option<IpAddr>,
    /// Name of the listener on which the request came.
    pub listener: String,
}

impl DoorContext {
    /// The context of what a node asks for itself, such as its registration.
    #[must_use]
    pub fn of_this_node(listener: &str) -> Self {
        Self { principal: "User:ANONYMOUS".into(), client_id: None, client_address: None, listener: listener.into() }
    }
}

/// Why there is no answer. An answer that refuses is an answer: its body carries Kafka's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// No active controller is known, or the one asked is active no longer (`NOT_CONTROLLER`); try again.
    #[error("no active controller is known; it may be being elected")]
    NotController,
    /// The request was not answered in time and may yet take effect (`REQUEST_TIMED_OUT`).
    #[error("the controller did not answer within {after_ms} ms")]
    TimedOut {
        /// How long it was waited for.
        after_ms: i64,
    },
    /// The controller does not serve this API or version (`UNSUPPORTED_VERSION`).
    #[error("the controller does not serve API key {api_key} version {version}")]
    Unsupported {
        /// API key.
        api_key: i16,
        /// Version.
        version: i16,
    },
    /// The body is not the request (`INVALID_REQUEST`).
    #[error("the controller cannot read the request: {0}")]
    Malformed(String),
    /// The controller has too many requests waiting (`REQUEST_TIMED_OUT`, so that clients come back later).
    #[error("the controller's queue is full")]
    Busy,
    /// This process is stopping.
    #[error("the controller is stopping")]
    Stopping,
}

/// What [`ControllerDoor::request`] gives: the response's body.
pub type DoorAnswer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, DoorError>> + Send + 'a>>;

/// The active controller, wherever it is.
///
/// MUST answer once what the request wants is committed (or refused); MUST NOT hold a lock across that wait. Dropping
/// the future gives up the answer, not the request.
pub trait ControllerDoor: Send + Sync {
    /// Takes the body (without header) of a request that brokers forward or controllers serve, and gives the body of the
    /// response at the same version.
    fn request<'a>(&'a self, context: DoorContext, api_key: i16, version: i16, body: Vec<u8>) -> DoorAnswer<'a>;
}
