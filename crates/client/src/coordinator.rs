//! The broker that coordinates one group: found, remembered, and forgotten when it says that it is not.

use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use parking_lot::Mutex;

use crate::backoff::Backoff;
use crate::cluster::{Attempts, Cluster, Lane};
use crate::connection::{Address, Connection};
use crate::error::{ConnectionError, Error, check};

/// From this version on a request asks for several coordinators.
const FIRST_VERSION_WITH_KEYS: i16 = 4;

/// The way to a group's coordinator.
#[derive(Debug)]
pub(crate) struct Coordinator {
    cluster: Cluster,
    group: String,
    known: Mutex<Option<Address>>,
}

impl Coordinator {
    pub(crate) fn new(cluster: Cluster, group: &str) -> Self {
        Self { cluster, group: group.to_owned(), known: Mutex::new(None) }
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn backoff(&self) -> Backoff {
        self.cluster.backoff()
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.cluster.config().request_timeout
    }

    /// The connection to it; asks for it first if it is not known.
    pub(crate) async fn connection(&self) -> Result<Connection, Error> {
        let known = self.known.lock().clone();
        let address = match known {
            Some(address) => address,
            None => {
                let found = self.find().await?;
                *self.known.lock() = Some(found.clone());
                found
            }
        };
        self.cluster.at(Lane::Group, &address).await.inspect_err(|_| self.forget())
    }

    /// The next request asks who the coordinator is.
    pub(crate) fn forget(&self) {
        *self.known.lock() = None;
    }

    /// A request on its connection failed.
    pub(crate) fn lost(&self, e: ConnectionError) -> Error {
        self.forget();
        Error::Connection(e)
    }

    /// `Ok` for code 0; forgets a coordinator that is none.
    pub(crate) fn check(&self, code: i16) -> Result<(), Error> {
        if [ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator].map(ErrorCode::code).contains(&code) {
            self.forget();
        }
        check(code, || format!("group {}", self.group), None)
    }

    /// Tries until it succeeds, fails for good, or `default.api.timeout.ms` is over.
    pub(crate) async fn retrying<T, F: Future<Output = Result<T, Error>>>(
        &self,
        what: &str,
        attempt: impl Fn() -> F,
    ) -> Result<T, Error> {
        let mut attempts = Attempts::new(&self.cluster, what);
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(e) => attempts.wait_after(e).await?,
            }
        }
    }

    async fn find(&self) -> Result<Address, Error> {
        let connection = self.cluster.any_broker().await?;
        let version = connection.version::<FindCoordinatorRequest<'_>>()?;
        let request = if version >= FIRST_VERSION_WITH_KEYS {
            FindCoordinatorRequest { coordinator_keys: vec![&self.group], ..Default::default() }
        } else {
            FindCoordinatorRequest { key: &self.group, ..Default::default() }
        };
        let response = connection.send_at(version, &request, self.request_timeout()).await?;
        let decoded = response.decode()?;
        let context = || format!("the coordinator of group {}", self.group);
        let (code, message, host, port) = match decoded.coordinators.first() {
            Some(c) => (c.error_code, c.error_message, c.host, c.port),
            None => (decoded.error_code, decoded.error_message, decoded.host, decoded.port),
        };
        check(code, context, message)?;
        let unusable = || Error::broker(context(), ErrorCode::CoordinatorNotAvailable.code(), None);
        let port = u16::try_from(port).map_err(|_| unusable())?;
        Ok(Address { host: host.to_owned(), port })
    }
}
