//! When each broker was last heard of (Kafka: `BrokerHeartbeatManager`). Soft state: it is not in the log, and a controller
//! that becomes active gives every broker a full session.

use std::collections::BTreeMap;

use ottla_metadata::image::MetadataImage;

/// What the last heartbeat said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) broker: i32,
    /// The broker has applied the metadata log up to this offset.
    pub(crate) metadata_offset: i64,
    /// Since when the broker is shutting down in an orderly way: what the others must know before it may go.
    pub(crate) shutdown_offset: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    heard_ms: i64,
    metadata_offset: i64,
    shutdown_offset: Option<i64>,
}

/// The sessions of all brokers.
#[derive(Debug)]
pub(crate) struct Sessions {
    timeout_ms: i64,
    /// The broker of this node, until it registers: what is registered under its id is an earlier life of this process,
    /// which is over, since this one holds the lock of its directories.
    earlier_life: Option<i32>,
    sessions: BTreeMap<i32, Session>,
}

impl Sessions {
    /// `timeout_ms` is `broker.session.timeout.ms`.
    pub(crate) fn new(timeout_ms: i64) -> Self {
        Self { timeout_ms, earlier_life: None, sessions: BTreeMap::new() }
    }

    /// This process has just begun, as node `id`.
    pub(crate) fn begin_life(&mut self, id: i32) {
        self.earlier_life = Some(id);
    }

    /// Gives every broker that is not fenced a full session: this controller has just become active.
    pub(crate) fn restart(&mut self, image: &MetadataImage, now_ms: i64) {
        let fresh = Session { heard_ms: now_ms, metadata_offset: -1, shutdown_offset: None };
        let alive = image.cluster.brokers.values().filter(|b| !b.fenced);
        self.sessions = alive.map(|b| (b.id, fresh)).collect();
    }

    /// A broker was heard of.
    pub(crate) fn heard(&mut self, heartbeat: Heartbeat, now_ms: i64) {
        let shutdown_offset =
            heartbeat.shutdown_offset.or_else(|| self.sessions.get(&heartbeat.broker).and_then(|s| s.shutdown_offset));
        let session = Session { heard_ms: now_ms, metadata_offset: heartbeat.metadata_offset, shutdown_offset };
        self.sessions.insert(heartbeat.broker, session);
    }

    /// A broker registered: it begins a new life with a full session.
    pub(crate) fn registered(&mut self, broker: i32, now_ms: i64) {
        if self.earlier_life == Some(broker) {
            self.earlier_life = None;
        }
        self.sessions.remove(&broker);
        self.heard(Heartbeat { broker, metadata_offset: -1, shutdown_offset: None }, now_ms);
    }

    /// Whether another process may not take this broker's id now.
    pub(crate) fn holds_id(&self, broker: i32, now_ms: i64) -> bool {
        self.earlier_life != Some(broker) && self.is_alive(broker, now_ms)
    }

    /// Whether a broker was heard of within the session timeout.
    fn is_alive(&self, broker: i32, now_ms: i64) -> bool {
        self.sessions.get(&broker).is_some_and(|s| now_ms < s.heard_ms.saturating_add(self.timeout_ms))
    }

    /// Brokers that are not fenced although nothing was heard of them for too long.
    pub(crate) fn expired(&self, image: &MetadataImage, now_ms: i64) -> Vec<i32> {
        let silent = |id: &i32| !self.is_alive(*id, now_ms);
        image.cluster.brokers.values().filter(|b| !b.fenced).map(|b| b.id).filter(silent).collect()
    }

    /// When the next session of a broker that is not fenced ends.
    pub(crate) fn next_expiry_ms(&self, image: &MetadataImage) -> Option<i64> {
        let alive = image.cluster.brokers.values().filter(|b| !b.fenced);
        alive.map(|b| self.sessions.get(&b.id).map_or(0, |s| s.heard_ms.saturating_add(self.timeout_ms))).min()
    }

    /// Whether every broker that goes on knows of the shutdown of this one.
    pub(crate) fn others_know_of_shutdown(&self, image: &MetadataImage, broker: i32) -> bool {
        let Some(offset) = self.sessions.get(&broker).and_then(|s| s.shutdown_offset) else { return true };
        let others = image.cluster.brokers.values().filter(|b| b.id != broker && b.is_active());
        others.into_iter().all(|b| self.sessions.get(&b.id).is_some_and(|s| s.metadata_offset >= offset))
    }
}
