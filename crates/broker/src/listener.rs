//! A listener as a value: name, security protocol, where it is bound and what clients are told.

use std::sync::Arc;

/// How bytes travel on a listener. Only plaintext is served yet; the configuration refuses the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
}

impl SecurityProtocol {
    /// Kafka's number (`org.apache.kafka.common.security.auth.SecurityProtocol`).
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::Plaintext => 0,
        }
    }
}

/// Which table of APIs a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerRole {
    /// Clients and other brokers.
    Broker,
    /// The metadata quorum (`controller.listener.names`).
    Controller,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Name, such as `PLAINTEXT`.
    pub name: Arc<str>,
    /// Protocol.
    pub protocol: SecurityProtocol,
    /// What it serves.
    pub role: ListenerRole,
    /// Host to bind; empty means every address.
    pub bind_host: String,
    /// Port to bind; 0 means any free one.
    pub bind_port: u16,
    /// Host that clients are told; `None` for the one they are bound to.
    pub advertised_host: Option<String>,
    /// Port that clients are told; 0 means the one that was bound.
    pub advertised_port: u16,
}
