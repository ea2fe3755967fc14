//! A member of a classic group.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::group::api::{JoinRequest, Opaque, Protocol};
use crate::runtime::Token;

/// A member and what it waits for.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    /// Set for a static member.
    pub(crate) group_instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocol_type: String,
    /// Most preferred first.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Opaque,
    /// It has not seen a generation yet, so it cannot send heartbeats.
    pub(crate) is_new: bool,
    /// JoinGroup that waits.
    pub(crate) join: Option<Token>,
    /// SyncGroup that waits.
    pub(crate) sync: Option<Token>,
}

impl Member {
    /// A member that joins.
    pub(crate) fn new(id: Arc<str>, request: JoinRequest, token: Token) -> Self {
        Self {
            id,
            group_instance_id: request.group_instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocol_type: request.protocol_type,
            protocols: request.protocols,
            assignment: Opaque::default(),
            is_new: true,
            join: Some(token),
            sync: None,
        }
    }

    /// Names of its protocols, each once.
    pub(crate) fn protocol_names(&self) -> BTreeSet<&str> {
        self.protocols.iter().map(|p| p.name.as_str()).collect()
    }

    /// Metadata for a protocol; empty if it does not speak it.
    pub(crate) fn metadata(&self, protocol: &str) -> Opaque {
        self.protocols.iter().find(|p| p.name == protocol).map(|p| p.metadata.clone()).unwrap_or_default()
    }

    /// Whether it waits for the group, so that it cannot be expected to send heartbeats.
    pub(crate) fn is_waiting(&self) -> bool {
        self.join.is_some() || self.sync.is_some()
    }
}
