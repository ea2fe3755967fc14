//! One TCP connection to a broker: requests go out one after the other without waiting, answers come back in the same
//! order.
//!
//! ```text
//!   send / start ──> queue (in order) ──> writer task ──> socket
//!        │                                                  │
//!     Pending <── in flight (same order) <── reader task <──┘
//! ```
//!
//! Bounds: requests in flight ([`ConnectionOptions::max_in_flight`], a permit held from queueing to the answer), size of
//! a response ([`ConnectionOptions::max_response_bytes`]), time of a request, idle time. A buffer grows with the bytes
//! that arrived, never with the length that a peer announced. When the last [`Connection`] handle is dropped both tasks
//! end and the socket closes.

mod address;
mod frames;
mod response;
mod shared;
mod versions;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use ottla_env::net::{self, TcpStream};
use ottla_env::{task, time};
use ottla_protocol::writer::Writer;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

pub use address::Address;
pub use response::{Pending, Response};
pub use versions::ApiVersions;

use crate::error::ConnectionError;
use crate::requests::Request;
use shared::{InFlight, Outgoing, Shared, read_loop, write_loop};

/// The bounds of a connection and who we say we are.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// `client.id` of the request header.
    pub client_id: Option<String>,
    /// Time for connecting and the first handshake.
    pub setup_timeout: Duration,
    /// Time for a request, unless the call says otherwise.
    pub request_timeout: Duration,
    /// A connection with nothing in flight is closed after this time.
    pub max_idle: Duration,
    /// A response that announces more bytes closes the connection.
    pub max_response_bytes: usize,
    /// Requests queued or unanswered.
    pub max_in_flight: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: Some("ottla-client".to_owned()),
            setup_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_idle: Duration::from_secs(540),
            max_response_bytes: 100_000_000,
            max_in_flight: 128,
        }
    }
}

/// A handle of one connection; cheap to clone.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

/// Ends the tasks when the last handle goes.
struct Inner {
    shared: Arc<Shared>,
    tasks: [task::JoinHandle<()>; 2],
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.close("closed by this client");
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.inner.shared.address)
            .field("open", &self.is_open())
            .finish()
    }
}

impl Connection {
    /// Connects and negotiates versions (ApiVersions, KIP-511).
    ///
    /// # Errors
    /// When the name does not resolve, nobody accepts, the peer speaks no Kafka, or all of it takes longer than
    /// [`ConnectionOptions::setup_timeout`].
    pub async fn connect(address: &Address, options: &ConnectionOptions) -> Result<Self, ConnectionError> {
        let setup = async {
            let connection = Self::over(Self::open(address).await?, address, options);
            let versions = versions::negotiate(&connection).await?;
            // Only this function sets it, once per connection.
            let _ = connection.inner.shared.versions.set(versions);
            Ok(connection)
        };
        time::timeout(options.setup_timeout, setup).await.unwrap_or_else(|_| {
            Err(ConnectionError::ConnectTimeout { address: address.to_string(), after: options.setup_timeout })
        })
    }

    /// Tries each address of the name in turn.
    async fn open(address: &Address) -> Result<TcpStream, ConnectionError> {
        let resolve_error =
            |source| ConnectionError::Resolve { address: address.to_string(), source: Arc::new(source) };
        let candidates = net::resolve(&address.host, address.port).await.map_err(resolve_error)?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for candidate in candidates {
            match TcpStream::connect(candidate).await {
                Ok(stream) => return Ok(stream),
                Err(e) => last = e,
            }
        }
        Err(ConnectionError::Connect { address: address.to_string(), source: Arc::new(last) })
    }

    /// Starts the two tasks of a connection over a stream that is connected already.
    fn over(stream: TcpStream, address: &Address, options: &ConnectionOptions) -> Self {
        let shared = Arc::new(Shared {
            address: address.to_string().into(),
            permits: Arc::new(Semaphore::new(options.max_in_flight)),
            options: options.clone(),
            next_correlation_id: AtomicI32::new(0),
            versions: OnceLock::new(),
            state: Mutex::default(),
            wake_writer: Notify::new(),
        });
        let stream = Arc::new(stream);
        let tasks = [
            task::spawn("client-reader", read_loop(Arc::clone(&stream), Arc::clone(&shared))),
            task::spawn("client-writer", write_loop(stream, Arc::clone(&shared))),
        ];
        Self { inner: Arc::new(Inner { shared, tasks }) }
    }

    /// `host:port` of the peer.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.shared.address
    }

    /// Whether it can still take requests.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.shared.state.lock().closed.is_none()
    }

    /// Requests queued or unanswered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let state = self.inner.shared.state.lock();
        state.in_flight.len() + state.outgoing.iter().filter(|o| o.written.is_some()).count()
    }

    /// What the broker offers; nothing before the handshake is over.
    #[must_use]
    pub fn versions(&self) -> &ApiVersions {
        self.inner.shared.versions.get_or_init(ApiVersions::default)
    }

    /// The highest version of `R` that both sides speak and that is at most `max`.
    ///
    /// # Errors
    /// When there is none.
    pub fn version_at_most<R: Request>(&self, max: i16) -> Result<i16, ConnectionError> {
        let (min, max) = (R::MIN_VERSION, R::MAX_VERSION.min(max));
        self.versions().common(R::KEY, min, max).ok_or_else(|| ConnectionError::NoCommonVersion {
            address: self.address().to_owned(),
            api: R::NAME,
            theirs: match self.versions().range(R::KEY) {
                Some((first, last)) => format!("versions {first} to {last}"),
                None => "not at all".to_owned(),
            },
            min,
            max,
        })
    }

    /// The highest version of `R` that both sides speak.
    ///
    /// # Errors
    /// When there is none.
    pub fn version<R: Request>(&self) -> Result<i16, ConnectionError> {
        self.version_at_most::<R>(R::MAX_VERSION)
    }

    /// Sends at the highest common version and waits for the answer.
    ///
    /// # Errors
    /// When there is no common version, the connection is lost, or the answer takes longer than the request timeout.
    pub async fn send<R: Request>(&self, request: &R) -> Result<Response<R::Owned>, ConnectionError> {
        self.send_at(self.version::<R>()?, request, self.inner.shared.options.request_timeout).await
    }

    /// Sends at `version` and waits at most `timeout` for the answer; afterwards the connection is closed, for answers
    /// come in order.
    ///
    /// # Errors
    /// When the request cannot be written at that version, the connection is lost, or the time is over.
    pub async fn send_at<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<Response<R::Owned>, ConnectionError> {
        let permits = Arc::clone(&self.inner.shared.permits);
        let permit = permits.acquire_owned().await.map_err(|_| self.inner.shared.lost("closed"))?;
        self.enqueue(version, request, permit)?.wait(timeout).await
    }

    /// Queues a request now, in the order of calls, and returns what will be its answer.
    ///
    /// # Errors
    /// [`ConnectionError::Busy`] when too many are in flight; otherwise as [`Self::send_at`].
    pub fn start<R: Request>(&self, version: i16, request: &R) -> Result<Pending<R::Owned>, ConnectionError> {
        let permit = self.try_permit()?;
        self.enqueue(version, request, permit)
    }

    /// Queues a request that is never answered (produce with acks=0). The receiver is told when it was written.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_unanswered<R: Request>(
        &self,
        version: i16,
        request: &R,
    ) -> Result<oneshot::Receiver<Result<(), ConnectionError>>, ConnectionError> {
        let permit = self.try_permit()?;
        let (_, bytes) = self.encode(version, request)?;
        let (sender, receiver) = oneshot::channel();
        self.inner.shared.push(Outgoing { bytes, written: Some((sender, permit)) }, None)?;
        Ok(receiver)
    }

    fn try_permit(&self) -> Result<OwnedSemaphorePermit, ConnectionError> {
        let shared = &self.inner.shared;
        Arc::clone(&shared.permits).try_acquire_owned().map_err(|_| ConnectionError::Busy {
            address: shared.address.to_string(),
            limit: shared.options.max_in_flight,
        })
    }

    fn enqueue<R: Request>(
        &self,
        version: i16,
        request: &R,
        permit: OwnedSemaphorePermit,
    ) -> Result<Pending<R::Owned>, ConnectionError> {
        let (correlation_id, bytes) = self.encode(version, request)?;
        let (answer, receiver) = oneshot::channel();
        let in_flight = InFlight { correlation_id, answer, _permit: permit };
        self.inner.shared.push(Outgoing { bytes, written: None }, Some(in_flight))?;
        Ok(Pending::new(receiver, version, self.clone()))
    }

    fn encode<R: Request>(&self, version: i16, request: &R) -> Result<(i32, Vec<u8>), ConnectionError> {
        let shared = &self.inner.shared;
        let correlation_id = shared.next_correlation_id.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let mut w = Writer::new();
        request.encode_frame(&mut w, version, correlation_id, shared.options.client_id.as_deref())?;
        Ok((correlation_id, w.into_bytes()))
    }

    /// Closes it: what is in flight fails, later requests fail at once.
    pub fn close(&self) {
        self.inner.shared.close("closed by this client");
    }

    fn close_because(&self, cause: &str) {
        self.inner.shared.close(cause);
    }
}
