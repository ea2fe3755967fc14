//! A handle of a cluster: bootstrap, the view of brokers and leaders, one connection per broker and lane, retries.
//!
//! ```text
//!   Producer, Consumer, Admin ──> Cluster ──┬── view   (what is known: a value)
//!                                           └── links  (open connections)
//! ```
//!
//! Metadata is fetched by one caller at a time; whoever waits meanwhile uses that answer. When no broker of the view can
//! be reached the bootstrap servers are asked again (`metadata.recovery.strategy=rebootstrap`).

mod links;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ottla_env::time::Instant;
use ottla_env::{random, task, time};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub use links::Lane;
pub use view::{Broker, ClusterView, PartitionView, TopicView};

use crate::backoff::Backoff;
use crate::config::{ClientConfig, ConfigError};
use crate::connection::{Address, Connection, ConnectionOptions};
use crate::error::{ConnectionError, Error, check};
use links::Links;

/// A cheap handle of a cluster, shared by the clients made from it.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    bootstrap: Vec<Address>,
    links: Links,
    known: Mutex<Known>,
    /// One permit: whoever holds it is fetching metadata.
    turn: Semaphore,
}

#[derive(Debug)]
struct Known {
    view: Arc<ClusterView>,
    /// Topics that somebody uses; a refresh asks for all of them.
    used: BTreeSet<Arc<str>>,
    /// Grows with each answer, so that waiters see whether somebody else has fetched what they want.
    generation: u64,
    refreshed_at: Option<Instant>,
    stale: bool,
}

/// Which topics to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topics {
    /// Those in use.
    Used,
    /// Every topic of the cluster.
    All,
}

impl Cluster {
    /// Connects to the first bootstrap server that answers and learns the brokers from it.
    ///
    /// # Errors
    /// [`Error::Bootstrap`] when none can be reached.
    pub async fn connect(config: &ClientConfig) -> Result<Self, Error> {
        let cluster = Self::lazy(config)?;
        cluster.refresh(Topics::Used, false).await?;
        Ok(cluster)
    }

    /// A handle that connects when it is first used.
    ///
    /// # Errors
    /// When a bootstrap server is not `host:port`.
    pub fn lazy(config: &ClientConfig) -> Result<Self, Error> {
        let bootstrap = config.bootstrap_servers.iter().map(|s| parse_server(s)).collect::<Result<Vec<_>, _>>()?;
        let options = ConnectionOptions {
            client_id: Some(config.client_id.clone()),
            setup_timeout: config.connection_setup_timeout,
            request_timeout: config.request_timeout,
            max_idle: config.connections_max_idle,
            max_response_bytes: config.receive_message_max_bytes,
            ..ConnectionOptions::default()
        };
        let known =
            Known { view: Arc::default(), used: BTreeSet::new(), generation: 0, refreshed_at: None, stale: true };
        let inner = Inner {
            config: config.clone(),
            bootstrap,
            links: Links::new(options, backoff(config)),
            known: Mutex::new(known),
            turn: Semaphore::new(1),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// Waits between retries as configured.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        backoff(&self.inner.config)
    }

    /// What is known now.
    #[must_use]
    pub fn view(&self) -> Arc<ClusterView> {
        Arc::clone(&self.inner.known.lock().view)
    }

    /// The open connection to a broker, if there is one.
    #[must_use]
    pub fn ready(&self, lane: Lane, broker: i32) -> Option<Connection> {
        let address = self.view().brokers.get(&broker)?.address.clone();
        self.inner.links.ready(lane, &address)
    }

    /// The connection to a broker, made if need be.
    ///
    /// # Errors
    /// When the broker is unknown or cannot be reached.
    pub async fn broker(&self, lane: Lane, broker: i32) -> Result<Connection, Error> {
        let address = self.view().brokers.get(&broker).map(|b| b.address.clone());
        match address {
            Some(address) => self.at(lane, &address).await,
            None => {
                self.mark_stale();
                Err(Error::broker(format!("broker {broker}"), ErrorCode::BrokerNotAvailable.code(), None))
            }
        }
    }

    /// The connection to an address, made if need be.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn at(&self, lane: Lane, address: &Address) -> Result<Connection, Error> {
        let outcome = self.inner.links.get(lane, address).await;
        if outcome.is_err() {
            self.mark_stale();
        }
        Ok(outcome?)
    }

    /// A connection to any broker: an open one if there is, otherwise the first that answers, beginning with a random
    /// broker and ending with the bootstrap servers.
    ///
    /// # Errors
    /// [`Error::Bootstrap`] when none can be reached.
    pub async fn any_broker(&self) -> Result<Connection, Error> {
        let candidates = self.candidates();
        let open = candidates.iter().filter_map(|a| self.inner.links.ready(Lane::General, a));
        if let Some(connection) = open.min_by_key(Connection::in_flight) {
            return Ok(connection);
        }
        let mut last = None;
        for address in &candidates {
            match self.inner.links.get(Lane::General, address).await {
                Ok(connection) => return Ok(connection),
                Err(e) => last = Some(e),
            }
        }
        Err(self.bootstrap_failed(last))
    }

    fn candidates(&self) -> Vec<Address> {
        let mut list: Vec<Address> = self.view().brokers.values().map(|b| b.address.clone()).collect();
        if !list.is_empty() {
            let first = random::below(list.len() as u64) as usize;
            list.rotate_left(first);
        }
        list.extend(self.inner.bootstrap.iter().cloned());
        list
    }

    fn bootstrap_failed(&self, last: Option<ConnectionError>) -> Error {
        let servers = self.inner.config.bootstrap_servers.join(",");
        let last = last.unwrap_or_else(|| ConnectionError::Lost {
            address: servers.clone(),
            cause: "there is no server to try".into(),
        });
        Error::Bootstrap { servers, last }
    }

    /// Has metadata fetched again before it is next relied on.
    pub fn mark_stale(&self) {
        self.inner.known.lock().stale = true;
    }

    /// Whether metadata should be fetched now.
    #[must_use]
    pub fn needs_refresh(&self) -> bool {
        let known = self.inner.known.lock();
        known.stale || known.refreshed_at.is_none_or(|at| at.elapsed() >= self.inner.config.metadata_max_age)
    }

    /// Begins to use a topic: refreshes ask for it from now on.
    pub fn use_topic(&self, topic: &str) {
        let mut known = self.inner.known.lock();
        if !known.used.contains(topic) {
            known.used.insert(topic.into());
            known.stale |= known.view.topic(topic).is_none();
        }
    }

    /// Takes in a leader that a broker named while refusing a request (KIP-951). Returns whether it was news; if it was
    /// none, metadata is marked stale.
    pub fn apply_hint(&self, topic: &str, partition: i32, leader: i32, epoch: i32, broker: Option<Broker>) -> bool {
        let mut known = self.inner.known.lock();
        let news = leader >= 0 && Arc::make_mut(&mut known.view).apply_hint(topic, partition, leader, epoch, broker);
        known.stale |= !news;
        news
    }

    /// Fetches metadata, trying brokers until one answers or `default.api.timeout.ms` is over. If somebody else fetches
    /// it meanwhile that answer counts.
    ///
    /// # Errors
    /// [`Error::Bootstrap`] when no broker can be reached; a broker's refusal.
    pub async fn refresh(&self, topics: Topics, auto_create: bool) -> Result<Arc<ClusterView>, Error> {
        let seen = self.inner.known.lock().generation;
        let cluster = self.clone();
        // A task of its own: whoever asked may not be polled for a while, and must not keep the turn from the others.
        let refreshing =
            task::spawn("client-metadata", async move { cluster.refresh_in_turn(topics, auto_create, seen).await });
        refreshing.await.unwrap_or(Err(Error::Closed))
    }

    async fn refresh_in_turn(&self, topics: Topics, auto_create: bool, seen: u64) -> Result<Arc<ClusterView>, Error> {
        let _turn = self.inner.turn.acquire().await.ok();
        {
            let known = self.inner.known.lock();
            if topics == Topics::Used && known.generation != seen && !known.stale {
                return Ok(Arc::clone(&known.view));
            }
        }
        let mut attempts = Attempts::new(self, "fetching metadata");
        loop {
            match self.fetch_metadata(topics, auto_create).await {
                Ok(view) => return Ok(view),
                Err(e) => attempts.wait_after(e).await?,
            }
        }
    }

    async fn fetch_metadata(&self, topics: Topics, auto_create: bool) -> Result<Arc<ClusterView>, Error> {
        let connection = self.any_broker().await?;
        let version = connection.version::<MetadataRequest<'_>>()?;
        let used: Vec<Arc<str>> = self.inner.known.lock().used.iter().cloned().collect();
        let named = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
        let request = MetadataRequest {
            topics: (topics == Topics::Used).then(|| used.iter().map(|t| named(&**t)).collect()),
            allow_auto_topic_creation: auto_create || version < 4,
            ..Default::default()
        };
        let response = connection.send_at(version, &request, self.inner.config.request_timeout).await?;
        let decoded = response.decode()?;
        check(decoded.error_code, || "metadata".to_owned(), None)?;
        let mut known = self.inner.known.lock();
        Arc::make_mut(&mut known.view).merge(&decoded, topics == Topics::All);
        known.generation += 1;
        known.refreshed_at = Some(Instant::now());
        known.stale = false;
        Ok(Arc::clone(&known.view))
    }

    /// A topic with its partitions, fetched if it is not known. A topic that is being created is waited for.
    ///
    /// # Errors
    /// When it does not exist within `timeout`, or may not be seen.
    pub async fn topic(&self, name: &str, auto_create: bool, timeout: Duration) -> Result<Arc<TopicView>, Error> {
        self.use_topic(name);
        let mut view = self.view();
        let mut attempts = Attempts::within(self, format!("finding topic {name}"), timeout);
        loop {
            let failure = match view.topic(name) {
                Some(topic) if topic.error == ErrorCode::None && !topic.partitions.is_empty() => {
                    return Ok(Arc::clone(topic));
                }
                Some(topic) => Some(Error::broker(format!("topic {name}"), topic.error.code(), None)),
                None => None,
            };
            if let Some(e) = failure {
                attempts.wait_after(e).await?;
            }
            view = match self.refresh(Topics::Used, auto_create).await {
                Ok(view) if view.topic(name).is_some() => view,
                Ok(_) => {
                    // Another caller's answer, from before the topic was in use.
                    self.mark_stale();
                    continue;
                }
                Err(e) => {
                    attempts.wait_after(e).await?;
                    continue;
                }
            };
        }
    }

    /// Closes all connections.
    pub fn close(&self) {
        self.inner.links.close();
    }
}

fn backoff(config: &ClientConfig) -> Backoff {
    Backoff::new(config.retry_backoff, config.retry_backoff_max)
}

fn parse_server(text: &str) -> Result<Address, ConfigError> {
    Address::parse(text).ok_or_else(|| ConfigError::Value {
        name: "bootstrap.servers".to_owned(),
        value: text.to_owned(),
        expected: "host:port",
    })
}

/// Retries of one operation: waits that grow, until its time is over.
#[derive(Debug)]
pub(crate) struct Attempts {
    what: String,
    started: Instant,
    timeout: Duration,
    backoff: Backoff,
}

impl Attempts {
    /// Within `default.api.timeout.ms`.
    pub(crate) fn new(cluster: &Cluster, what: impl Into<String>) -> Self {
        Self::within(cluster, what, cluster.config().default_api_timeout)
    }

    pub(crate) fn within(cluster: &Cluster, what: impl Into<String>, timeout: Duration) -> Self {
        Self { what: what.into(), started: Instant::now(), timeout, backoff: cluster.backoff() }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// `e` itself when it is final, or when the servers were never reached; [`Error::Timeout`] when the time is over.
    pub(crate) async fn wait_after(&mut self, e: Error) -> Result<(), Error> {
        if !e.is_retriable() {
            return Err(e);
        }
        let wait = self.backoff.next(random::next_u64());
        if self.started.elapsed() + wait >= self.timeout {
            return Err(match e {
                Error::Bootstrap { .. } | Error::Timeout { .. } => e,
                last => Error::Timeout { what: self.what.clone(), after: self.timeout, last: Some(Box::new(last)) },
            });
        }
        time::sleep(wait).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_port_is_refused_before_anything_is_sent() {
        let config = ClientConfig { bootstrap_servers: vec!["localhost".to_owned()], ..ClientConfig::default() };
        let refused = Cluster::lazy(&config).expect_err("no port");
        assert_eq!(refused.to_string(), "`localhost` is no value for bootstrap.servers: host:port is expected");
    }
}
