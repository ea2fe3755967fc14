//! DescribeCluster.

use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;

use super::Admin;
use crate::connection::Address;
use crate::error::{Error, check};

/// The first version that tells fenced brokers.
const FIRST_VERSION_WITH_FENCED: i16 = 2;

/// A cluster and its brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Cluster id.
    pub cluster_id: String,
    /// The broker that forwards to the controller; -1 when there is none.
    pub controller_id: i32,
    /// Brokers by id, fenced ones included where the cluster tells them.
    pub brokers: Vec<DescribedBroker>,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedBroker {
    /// Node id.
    pub id: i32,
    /// Advertised listener.
    pub address: Address,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether the controller keeps clients away from it.
    pub is_fenced: bool,
}

impl Admin {
    /// The cluster id, the brokers, who is asked for the controller.
    ///
    /// # Errors
    /// When no broker answers, or the cluster may not be described.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        self.retrying("describing the cluster", || async {
            let connection = self.cluster.any_broker().await?;
            let include_fenced_brokers =
                connection.version::<DescribeClusterRequest<'_>>()? >= FIRST_VERSION_WITH_FENCED;
            let request = DescribeClusterRequest { include_fenced_brokers, ..Default::default() };
            let response = connection.send(&request).await?;
            let decoded = response.decode()?;
            check(decoded.error_code, || "the cluster".to_owned(), decoded.error_message)?;
            let broker =
                |b: &ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker<'_>| DescribedBroker {
                    id: b.broker_id,
                    address: Address { host: b.host.to_owned(), port: u16::try_from(b.port).unwrap_or(0) },
                    rack: b.rack.map(str::to_owned),
                    is_fenced: b.is_fenced,
                };
            let mut brokers: Vec<DescribedBroker> = decoded.brokers.iter().map(broker).collect();
            brokers.sort_by_key(|b| b.id);
            Ok(ClusterDescription {
                cluster_id: decoded.cluster_id.to_owned(),
                controller_id: decoded.controller_id,
                brokers,
            })
        })
        .await
    }
}
