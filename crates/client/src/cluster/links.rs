//! The open connections of a client: at most one for each broker address and lane, made when it is first needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_env::{random, task, time};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::backoff::Backoff;
use crate::connection::{Address, Connection, ConnectionOptions};
use crate::error::ConnectionError;

/// What a connection is for. Answers come in order, so a request that a broker parks (a fetch, a join) must not stand in
/// front of one that must be quick (a heartbeat).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Metadata, produce, admin.
    General,
    /// Fetches of consumers.
    Fetch,
    /// Join, sync, heartbeat, commit.
    Group,
}

/// All links of a client.
#[derive(Debug)]
pub(super) struct Links {
    options: ConnectionOptions,
    backoff: Backoff,
    links: Mutex<BTreeMap<(Lane, Address), Arc<Link>>>,
}

impl Links {
    pub(super) fn new(options: ConnectionOptions, backoff: Backoff) -> Self {
        Self { options, backoff, links: Mutex::default() }
    }

    /// The connection, if it is open now.
    pub(super) fn ready(&self, lane: Lane, address: &Address) -> Option<Connection> {
        self.links.lock().get(&(lane, address.clone()))?.ready()
    }

    /// The connection, made if need be.
    pub(super) async fn get(&self, lane: Lane, address: &Address) -> Result<Connection, ConnectionError> {
        let link = Arc::clone(
            self.links
                .lock()
                .entry((lane, address.clone()))
                .or_insert_with(|| Arc::new(Link::new(self.backoff.clone()))),
        );
        link.get(address, &self.options).await
    }

    /// Closes all of them.
    pub(super) fn close(&self) {
        for link in self.links.lock().values() {
            if let Some(connection) = link.state.lock().connection.take() {
                connection.close();
            }
        }
    }
}

#[derive(Debug)]
struct Link {
    /// One permit: whoever holds it is connecting, the others wait for the outcome.
    turn: Semaphore,
    state: Mutex<LinkState>,
}

#[derive(Debug)]
struct LinkState {
    connection: Option<Connection>,
    backoff: Backoff,
    not_before: Option<time::Instant>,
}

impl Link {
    fn new(backoff: Backoff) -> Self {
        Self { turn: Semaphore::new(1), state: Mutex::new(LinkState { connection: None, backoff, not_before: None }) }
    }

    fn ready(&self) -> Option<Connection> {
        self.state.lock().connection.as_ref().filter(|c| c.is_open()).cloned()
    }

    /// Connects on a task of its own: a caller that is not polled for a while (a consumer's fetch while the consumer
    /// commits) must not keep the turn from the others.
    async fn get(
        self: Arc<Self>,
        address: &Address,
        options: &ConnectionOptions,
    ) -> Result<Connection, ConnectionError> {
        if let Some(connection) = self.ready() {
            return Ok(connection);
        }
        let (wanted, options) = (address.clone(), options.clone());
        let connecting = task::spawn("client-connect", async move { self.connect(&wanted, &options).await });
        let lost =
            |e: task::JoinError| ConnectionError::Lost { address: address.to_string(), cause: e.to_string().into() };
        connecting.await.unwrap_or_else(|e| Err(lost(e)))
    }

    async fn connect(&self, address: &Address, options: &ConnectionOptions) -> Result<Connection, ConnectionError> {
        // The semaphore is never closed; without a turn we would only connect twice.
        let _turn = self.turn.acquire().await.ok();
        if let Some(connection) = self.ready() {
            return Ok(connection);
        }
        let not_before = self.state.lock().not_before;
        if let Some(at) = not_before {
            time::sleep_until(at).await;
        }
        let outcome = Connection::connect(address, options).await;
        let mut state = self.state.lock();
        match &outcome {
            Ok(connection) => {
                state.connection = Some(connection.clone());
                state.backoff.reset();
                state.not_before = None;
            }
            Err(_) => {
                let wait = state.backoff.next(random::next_u64());
                state.not_before = Some(time::Instant::now() + wait);
            }
        }
        outcome
    }
}
