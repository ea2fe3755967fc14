//! A broker's life: it registers with the controller, heartbeats until it is unfenced, opens its listeners, serves, and
//! stops in order.
//!
//! ```text
//!   register ─> catch up ─> publishers follow ─> heartbeat: unfence ─> accept ─> …
//!   … ─> stop accepting ─> controlled shutdown ─> close ─> flush
//! ```

use std::sync::Arc;
use std::time::Duration;

use ottla_env::net::TcpListener;
use ottla_env::{random, task, time};
use ottla_metadata::config::listeners::Listener;
use ottla_metadata::controller_door::DoorContext;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use ottla_protocol::messages::broker_registration_request::{
    BrokerRegistrationRequest, Feature, Listener as Registered,
};
use ottla_protocol::messages::broker_registration_response::BrokerRegistrationResponse;
use ottla_protocol::reader::DecodeError;
use ottla_protocol::{ErrorCode, Uuid};
use tokio::sync::watch;

use crate::broker::Broker;
use crate::forward::{self, ForwardError};
use crate::log_dirs;
use crate::network::{acceptor, reaper};

const REGISTRATION_VERSION: i16 = 4;
const HEARTBEAT_VERSION: i16 = 2;
/// Pause between two questions whether the broker is unfenced: on one node it is at the second.
const UNFENCE_POLL: Duration = Duration::from_millis(1);
/// How long connections may take to end once they are told to.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// Pause before a failed registration is tried again: the controller in this process is elected within milliseconds.
const REGISTER_RETRY: Duration = Duration::from_millis(2);
/// Pause before a failed heartbeat is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Why a broker cannot live.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// The controller refused the registration for good.
    #[error("the controller refuses to register this broker: {0}")]
    Refused(ErrorCode),
    /// The controller cannot be asked.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The controller's answer makes no sense.
    #[error("the controller's answer cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// No registration within `initial.broker.registration.timeout.ms`.
    #[error("not registered within initial.broker.registration.timeout.ms ({0} ms); the last cause was: {1}")]
    TimedOut(i64, String),
}

/// A listener with its socket.
#[derive(Debug)]
pub struct BoundListener {
    /// What it is.
    pub listener: Arc<Listener>,
    /// Where it accepts.
    pub socket: TcpListener,
    /// The port that it is bound to.
    pub port: u16,
}

/// What a broker says of itself when it registers.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Listeners by name, host and port, as clients are told.
    pub endpoints: Vec<(String, String, u16, i16)>,
    /// Directory ids.
    pub log_dirs: Vec<Uuid>,
    /// The epoch it had when it last stopped cleanly; -1 when it did not.
    pub previous_epoch: i64,
}

/// Registers the broker and waits until it has caught up with the metadata: everything that was committed before the
/// registration is in its image then, and publishers may follow. Gives the time by the monotonic clock at which the
/// patience of [`unfence`] ends.
///
/// # Errors
/// When the controller refuses, or does not answer in time.
pub async fn register(broker: &Arc<Broker>, registration: &Registration) -> Result<i64, LifecycleError> {
    let timeout_ms = broker.config.initial_broker_registration_timeout_ms;
    let due = time::monotonic_ms() + timeout_ms;
    let mut lacking = "the controller has not answered".to_owned();
    let registering = keep_registering(broker, registration, &mut lacking);
    match time::timeout(Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0)), registering).await {
        Ok(Ok(())) if time::monotonic_ms() >= due => {
            Err(LifecycleError::TimedOut(timeout_ms, "its time was over when it was registered".to_owned()))
        }
        Ok(registered) => registered.map(|()| due),
        Err(_) => Err(LifecycleError::TimedOut(timeout_ms, lacking)),
    }
}

/// Until it is done, or refused for good; `lacking` tells what it waits for.
async fn keep_registering(
    broker: &Broker,
    registration: &Registration,
    lacking: &mut String,
) -> Result<(), LifecycleError> {
    let incarnation = Uuid::from_random_bytes(random::bytes16());
    loop {
        match try_register(broker, registration, incarnation).await {
            Ok(epoch) => {
                broker.set_epoch(epoch);
                break;
            }
            Err(LifecycleError::Refused(code)) if !worth_retrying(code) => return Err(LifecycleError::Refused(code)),
            Err(cause) => *lacking = cause.to_string(),
        }
        time::sleep(REGISTER_RETRY).await;
    }
    "the metadata did not arrive".clone_into(lacking);
    // A broker's epoch is the offset of its registration.
    while broker.image().offset < broker.epoch() {
        time::sleep(UNFENCE_POLL).await;
    }
    Ok(())
}

/// Heartbeats until the controller unfences the broker, at most until `due_ms`.
///
/// # Errors
/// When the controller does not answer in time.
pub async fn unfence(broker: &Arc<Broker>, due_ms: i64) -> Result<(), LifecycleError> {
    loop {
        let cause = match heartbeat(broker, false).await {
            Ok(beat) if !beat.fenced => return Ok(()),
            Ok(_) => "the controller keeps this broker fenced".to_owned(),
            Err(cause) => cause.to_string(),
        };
        if time::monotonic_ms() >= due_ms {
            return Err(LifecycleError::TimedOut(broker.config.initial_broker_registration_timeout_ms, cause));
        }
        time::sleep(UNFENCE_POLL).await;
    }
}

/// An old registration may still be alive, or the controller not yet be elected.
fn worth_retrying(code: ErrorCode) -> bool {
    code.is_retriable() || code == ErrorCode::DuplicateBrokerRegistration
}

async fn try_register(
    broker: &Broker,
    registration: &Registration,
    incarnation_id: Uuid,
) -> Result<i64, LifecycleError> {
    let listeners = registration.endpoints.iter().map(|(name, host, port, security_protocol)| Registered {
        name,
        host,
        port: *port,
        security_protocol: *security_protocol,
        ..Registered::default()
    });
    let features = broker.features.iter().map(|f| Feature {
        name: f.name,
        min_supported_version: f.min,
        max_supported_version: f.max,
        ..Feature::default()
    });
    let request = BrokerRegistrationRequest {
        broker_id: broker.config.node_id,
        cluster_id: &broker.cluster_id,
        incarnation_id,
        listeners: listeners.collect(),
        features: features.collect(),
        rack: broker.config.broker_rack.as_deref(),
        log_dirs: registration.log_dirs.clone(),
        previous_broker_epoch: registration.previous_epoch,
        ..BrokerRegistrationRequest::default()
    };
    let key = ApiKey::BrokerRegistration;
    let body = broker
        .ask_controller(
            DoorContext::of_this_node(&broker.config.inter_broker_listener_name),
            key,
            REGISTRATION_VERSION,
            &request,
        )
        .await?;
    let response: BrokerRegistrationResponse<'_> = forward::decode(&body, REGISTRATION_VERSION)?;
    match code(response.error_code) {
        ErrorCode::None => Ok(response.broker_epoch),
        code => Err(LifecycleError::Refused(code)),
    }
}

struct Beat {
    fenced: bool,
    should_shut_down: bool,
}

async fn heartbeat(broker: &Broker, want_shut_down: bool) -> Result<Beat, LifecycleError> {
    let offline_log_dirs = log_dirs::offline(broker);
    let request = BrokerHeartbeatRequest {
        broker_id: broker.config.node_id,
        broker_epoch: broker.epoch(),
        current_metadata_offset: broker.image().offset,
        want_fence: false,
        want_shut_down,
        offline_log_dirs: offline_log_dirs.clone(),
        cordoned_log_dirs: log_dirs::cordoned(broker),
        ..BrokerHeartbeatRequest::default()
    };
    let body = broker
        .ask_controller(
            DoorContext::of_this_node(&broker.config.inter_broker_listener_name),
            ApiKey::BrokerHeartbeat,
            HEARTBEAT_VERSION,
            &request,
        )
        .await?;
    let response: BrokerHeartbeatResponse<'_> = forward::decode(&body, HEARTBEAT_VERSION)?;
    match code(response.error_code) {
        ErrorCode::None => {
            broker.log_dirs.told(&offline_log_dirs);
            Ok(Beat { fenced: response.is_fenced, should_shut_down: response.should_shut_down })
        }
        code => Err(LifecycleError::Refused(code)),
    }
}

fn code(number: i16) -> ErrorCode {
    ErrorCode::from_code(number).unwrap_or(ErrorCode::UnknownServerError)
}

/// What runs while the broker lives.
#[derive(Debug)]
pub struct Running {
    broker: Arc<Broker>,
    stopping: watch::Sender<bool>,
    log_dirs: task::JoinHandle<Option<String>>,
    moves: Vec<task::JoinHandle<()>>,
}

/// Opens the listeners and starts the background tasks.
#[must_use]
pub fn start(broker: &Arc<Broker>, listeners: Vec<BoundListener>) -> Running {
    let (stopping, stopped) = watch::channel(false);
    for bound in listeners {
        task::spawn("acceptor", acceptor::run(bound.socket, bound.listener, Arc::clone(broker), stopped.clone()));
    }
    let max_idle_ms = broker.config.connections_max_idle_ms;
    task::spawn("reaper", reaper::run(Arc::clone(&broker.connections), max_idle_ms));
    task::spawn("groups", Arc::clone(&broker.groups).run(stopped.clone()));
    let assignments = Arc::clone(broker.replicas.assignments());
    task::spawn("directory assignments", assignments.run(Arc::clone(broker), stopped.clone()));
    let moves = broker.replicas.moves();
    tracing::info!(workers = moves.workers(), "replicas may move between log directories");
    let worker = |n| task::spawn("replica moves", Arc::clone(moves).run(n, Arc::clone(broker), stopped.clone()));
    let moves = (0..moves.workers()).map(worker).collect();
    let log_dirs = task::spawn("log directories", log_dirs::run(Arc::clone(broker), stopped.clone()));
    task::spawn("heartbeat", beat_for_ever(Arc::clone(broker), stopped));
    Running { broker: Arc::clone(broker), stopping, log_dirs, moves }
}

async fn beat_for_ever(broker: Arc<Broker>, mut stopping: watch::Receiver<bool>) {
    let interval = Duration::from_millis(u64::try_from(broker.config.broker_heartbeat_interval_ms).unwrap_or(2000));
    loop {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            () = broker.log_dirs.has_news() => {}
            () = time::sleep(interval) => {}
        }
        let mut told = heartbeat(&broker, false).await;
        while let Err(cause) = told {
            tracing::warn!(%cause, "the controller did not take this broker's heartbeat");
            if log_dirs::offline(&broker).is_empty() {
                break;
            }
            // A directory that failed is told of without waiting for the next one.
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                () = time::sleep(RETRY) => {}
            }
            told = heartbeat(&broker, false).await;
        }
    }
}

impl Running {
    /// Resolves with a sentence when the broker cannot go on.
    pub async fn gave_up(&mut self) -> String {
        match (&mut self.log_dirs).await {
            Ok(Some(cause)) => cause,
            Ok(None) => std::future::pending().await,
            Err(cause) => cause.to_string(),
        }
    }

    /// Stops accepting, lets the controller move leaderships away, closes the connections. At most `patience`.
    pub async fn stop(self, patience: Duration) {
        // Nobody listens any more when the broker is already gone.
        let _ = self.stopping.send(true);
        let handed_over = async {
            loop {
                match heartbeat(&self.broker, true).await {
                    Ok(beat) if beat.should_shut_down => return,
                    Ok(_) => time::sleep(RETRY).await,
                    Err(cause) => {
                        tracing::warn!(%cause, "stopping without the controller's consent");
                        return;
                    }
                }
            }
        };
        if time::timeout(patience, handed_over).await.is_err() {
            tracing::warn!(?patience, "the controller did not let this broker go in time; stopping all the same");
        }
        self.broker.groups.stop();
        self.broker.connections.close_all();
        for partition in self.broker.replicas.online() {
            partition.wake_all();
        }
        for moving in self.moves {
            if time::timeout(CLOSE_PATIENCE, moving).await.is_err() {
                tracing::warn!("a replica that moves between log directories did not stop in time");
            }
        }
        // Nothing is appended once the last connection has ended, so what is flushed next is all there is.
        let closed = async {
            while !self.broker.connections.is_empty() {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        if time::timeout(CLOSE_PATIENCE, closed).await.is_err() {
            tracing::warn!(left = self.broker.connections.len(), "connections did not end in time");
        }
    }
}

/// The endpoints that a broker registers, from its bound listeners.
#[must_use]
pub fn endpoints(bound: &[BoundListener]) -> Vec<(String, String, u16, i16)> {
    let clients = bound.iter().filter(|b| !b.listener.is_controller);
    clients
        .map(|b| {
            let Listener { name, protocol, advertised, .. } = &*b.listener;
            let port = if advertised.port == 0 { b.port } else { advertised.port };
            (name.clone(), advertised.host.clone(), port, *protocol as i16)
        })
        .collect()
}

/// Where clients are told to find the broker, as `NAME://host:port`.
#[must_use]
pub fn addresses(broker: &Broker) -> Vec<String> {
    let image = broker.image();
    let registered = image.cluster.broker(broker.config.node_id);
    let listeners = registered.into_iter().flat_map(|r| &r.listeners);
    listeners.map(|l| format!("{}://{}:{}", l.name, l.host, l.port)).collect()
}
