//! Administration: topics, configurations, groups, offsets, the cluster itself.
//!
//! Questions are asked again while errors are retriable, within `default.api.timeout.ms`. Changes are not repeated once
//! they were sent: after a lost connection nobody knows whether they happened, and the error says so. Where a call is
//! about several things each has its own outcome.

mod cluster;
mod configs;
mod groups;
mod log_dirs;
mod offsets;
mod topics;

use crate::cluster::{Attempts, Cluster};
use crate::config::ClientConfig;
use crate::connection::Response;
use crate::error::Error;
use crate::requests::Request;

pub use cluster::{ClusterDescription, DescribedBroker};
pub use configs::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource};
pub use groups::{DescribedGroup, DescribedMember, ListedGroup};
pub use log_dirs::{LogDirDescription, ReplicaInfo};
pub use offsets::OffsetSpec;
pub use topics::{CreatedTopic, NewTopic};

/// An administrator's handle of a cluster; cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    cluster: Cluster,
}

impl Admin {
    /// Connects to the cluster.
    ///
    /// # Errors
    /// When no bootstrap server can be reached.
    pub async fn connect(config: &ClientConfig) -> Result<Self, Error> {
        Ok(Self { cluster: Cluster::connect(config).await? })
    }

    /// On a cluster handle that exists already.
    #[must_use]
    pub fn with_cluster(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Sends a request to any broker, once. A broker forwards what only the controller decides.
    async fn ask_any<R: Request>(&self, request: &R) -> Result<Response<R::Owned>, Error> {
        Ok(self.cluster.any_broker().await?.send(request).await?)
    }

    /// Repeats a question until it is answered.
    async fn retrying<T, F: Future<Output = Result<T, Error>>>(
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

    /// `request.timeout.ms` for the fields in which a broker is told how long to wait.
    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }
}
