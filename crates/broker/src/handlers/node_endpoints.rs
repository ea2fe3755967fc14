//! KIP-951: an answer of NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH says who leads and where that broker is, so that
//! the client need not ask for metadata first.

use std::collections::BTreeSet;

use ottla_metadata::image::MetadataImage;
use ottla_protocol::ErrorCode;

use crate::context::RequestContext;

/// Where a broker is reached on the listener that the request came in on.
pub(super) struct NodeAddress<'a> {
    pub(super) id: i32,
    pub(super) host: &'a str,
    pub(super) port: i32,
    pub(super) rack: Option<&'a str>,
}

/// The leader and leader epoch of a partition when an error asks for the hint.
pub(super) fn current_leader(
    image: &MetadataImage,
    topic: &str,
    partition: i32,
    code: ErrorCode,
) -> Option<(i32, i32)> {
    if !matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
        return None;
    }
    let registration = image.topics.partition(topic, partition)?;
    Some((registration.leader, registration.leader_epoch))
}

/// The addresses of those leaders that are alive; a hint names no address that it does not know.
pub(super) fn addresses<'a>(
    cx: &RequestContext,
    image: &'a MetadataImage,
    leaders: &BTreeSet<i32>,
) -> Vec<NodeAddress<'a>> {
    let listener = &cx.connection.listener.name;
    let address = |id: &i32| {
        let broker = image.cluster.brokers.get(id).filter(|b| !b.fenced)?;
        let endpoint = broker.listeners.iter().find(|e| *e.name == **listener)?;
        Some(NodeAddress {
            id: *id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: broker.rack.as_deref(),
        })
    };
    leaders.iter().filter_map(address).collect()
}
