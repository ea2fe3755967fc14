//! Who reads, by the replica id in a Fetch or ListOffsets. An id is a claim, since everybody can write one.
//!
//! | id | who | sees |
//! |---|---|---|
//! | 0 and above | that broker, as a follower | all; takes ClusterAction on the cluster, the id of another registered broker and, where the request has one, its epoch |
//! | -1 | a consumer | up to the high watermark, or the last stable offset |
//! | below, -2 in practice | whoever looks for differences between replicas | all that the asked replica has, leader or not; moves nothing |

use ottla_protocol::ErrorCode;

use crate::context::RequestContext;
use crate::replica::read::Reader;
use crate::security::authorizer::{Operation, Resource};

/// The id of those who are no replica.
const CONSUMER: i32 = -1;
/// `isolation_level` of a consumer that wants committed records only.
const READ_COMMITTED: i8 = 1;

/// The reader, as far as the claim is believed. `epoch` is the broker epoch that the request names, `None` if it has no
/// field for one.
///
/// # Errors
/// CLUSTER_AUTHORIZATION_FAILED for a claim that is not.
pub(crate) fn reader(
    cx: &RequestContext,
    id: i32,
    epoch: Option<i64>,
    isolation_level: i8,
) -> Result<Reader, ErrorCode> {
    match id {
        CONSUMER if isolation_level == READ_COMMITTED => Ok(Reader::Committed),
        CONSUMER => Ok(Reader::Uncommitted),
        ..CONSUMER => Ok(Reader::Debugger),
        id if is_broker(cx, id, epoch) => Ok(Reader::Follower { id }),
        _ => Err(ErrorCode::ClusterAuthorizationFailed),
    }
}

fn is_broker(cx: &RequestContext, id: i32, epoch: Option<i64>) -> bool {
    let image = cx.broker.image();
    let registered = image.cluster.broker(id).is_some_and(|broker| epoch.is_none_or(|epoch| broker.epoch == epoch));
    registered && id != cx.broker.config.node_id && cx.authorized(Operation::ClusterAction, Resource::Cluster)
}
