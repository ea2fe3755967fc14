//! The table of APIs: what is served, in which versions, on which listener, what it takes to be allowed, how it is
//! scheduled, and the door it goes through. ApiVersions answers from it; nothing is served that is not a line here.
//!
//! Scheduling classes:
//! * `inline`: answered on the connection's task without waiting (an append, a lookup); the door may still give a future
//!   for the part that waits (acks=all, a parked fetch);
//! * `waits`: an async door; later requests of the connection are handled meanwhile;
//! * `forward`: passed on to the controller as it is, if the principal may do what stands in the place of a door to the
//!   cluster.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use ottla_metadata::config::listeners::Listener;
use ottla_protocol::api::ApiKey;
use ottla_protocol::frame;

use crate::broker::Broker;
use crate::context::{Answer, ConnectionInfo, Refusal, RequestContext};
use crate::handlers;
use crate::network::memory::MemoryPermit;
use crate::quota::Bill;
use crate::security::authorizer::Operation;

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct ApiRow {
    /// API.
    pub key: ApiKey,
    /// First version that is advertised.
    pub min: i16,
    /// Last version.
    pub max: i16,
    /// Served to clients.
    pub on_broker: bool,
    /// Served on controller listeners.
    pub on_controller: bool,
    /// The ACL operation that its door asks for, as documentation and for the tests.
    pub operation: &'static str,
    /// How it is scheduled.
    pub class: &'static str,
}

impl ApiRow {
    /// Whether it is served on a listener.
    #[must_use]
    pub fn is_on(&self, listener: &Listener) -> bool {
        if listener.is_controller { self.on_controller } else { self.on_broker }
    }
}

/// The header of a request that the table accepts.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    correlation_id: i32,
    client_id: Option<Range<usize>>,
    body_at: usize,
}

macro_rules! apis {
    ($($key:ident $min:literal..=$max:literal $place:ident $operation:literal $class:ident $door:ident;)*) => {
        /// Every API that is served, by key.
        pub const APIS: &[ApiRow] = &[$(ApiRow {
            key: ApiKey::$key,
            min: $min,
            max: $max,
            on_broker: apis!(@broker $place),
            on_controller: apis!(@controller $place),
            operation: $operation,
            class: stringify!($class),
        }),*];

        fn through_the_door(cx: RequestContext) -> Result<Answer, Refusal> {
            match cx.api {
                $(ApiKey::$key => apis!(@$class cx $door),)*
                // `read` refused it already.
                other => Err(Refusal::UnknownApi(other as i16)),
            }
        }
    };
    (@broker broker) => { true };
    (@broker controller) => { false };
    (@broker both) => { true };
    (@controller broker) => { false };
    (@controller controller) => { true };
    (@controller both) => { true };
    (@inline $cx:ident $door:ident) => { handlers::$door::handle($cx) };
    (@forward $cx:ident $operation:ident) => { handlers::forwarded::handle($cx, Operation::$operation) };
    (@waits $cx:ident $door:ident) => {
        Ok(Answer::Later(Box::pin(async move { let cx = $cx; handlers::$door::handle(&cx).await })))
    };
}

apis! {
    // API                     versions  listener    operation                              class   door
    Produce                    0..=13    broker      "Write on Topic"                       inline  produce;
    Fetch                      4..=18    both        "Read on Topic or ClusterAction"       inline  fetch;
    ListOffsets                1..=11    broker      "Describe on Topic"                    waits   list_offsets;
    Metadata                   0..=13    broker      "Describe on Topic"                    waits   metadata;
    OffsetCommit               2..=10    broker      "Read on Group, Read on Topic"         waits   offset_commit;
    OffsetFetch                1..=10    broker      "Describe on Group and on Topic"       waits   offset_fetch;
    FindCoordinator            0..=6     broker      "Describe on Group"                    waits   find_coordinator;
    JoinGroup                  0..=9     broker      "Read on Group"                        waits   join_group;
    Heartbeat                  0..=4     broker      "Read on Group"                        waits   heartbeat;
    LeaveGroup                 0..=5     broker      "Read on Group"                        waits   leave_group;
    SyncGroup                  0..=5     broker      "Read on Group"                        waits   sync_group;
    DescribeGroups             0..=6     broker      "Describe on Group"                    waits   describe_groups;
    ListGroups                 0..=5     broker      "Describe on Cluster or on Group"      waits   list_groups;
    ApiVersions                0..=5     both        "none"                                 inline  api_versions;
    CreateTopics               2..=7     broker      "Create on Cluster or Topic"           waits   create_topics;
    DeleteTopics               1..=6     broker      "Delete on Topic"                      waits   delete_topics;
    DeleteRecords              0..=2     broker      "Delete on Topic"                      inline  delete_records;
    InitProducerId             0..=5     broker      "IdempotentWrite on Cluster"           waits   init_producer_id;
    OffsetForLeaderEpoch       2..=4     broker      "Describe on Topic"                    inline  offset_for_leader_epoch;
    DescribeConfigs            1..=4     both        "DescribeConfigs on Topic or Cluster"  inline  describe_configs;
    AlterConfigs               0..=2     both        "AlterConfigs on Topic or Cluster"     waits   alter_configs;
    AlterReplicaLogDirs        1..=2     broker      "Alter on Cluster"                     waits   alter_replica_log_dirs;
    DescribeLogDirs            1..=5     broker      "Describe on Cluster"                  waits   describe_log_dirs;
    CreatePartitions           0..=3     broker      "Alter on Topic"                       waits   create_partitions;
    DeleteGroups               0..=3     broker      "Delete on Group"                      waits   delete_groups;
    IncrementalAlterConfigs    0..=1     both        "AlterConfigs on Topic or Cluster"     waits   incremental_alter_configs;
    OffsetDelete               0..=0     broker      "Delete on Group, Read on Topic"       waits   offset_delete;
    Vote                       0..=2     controller  "ClusterAction on Cluster"             forward ClusterAction;
    BeginQuorumEpoch           0..=1     controller  "ClusterAction on Cluster"             forward ClusterAction;
    EndQuorumEpoch             0..=1     controller  "ClusterAction on Cluster"             forward ClusterAction;
    DescribeQuorum             0..=2     both        "Describe on Cluster"                  waits   describe_quorum;
    FetchSnapshot              0..=1     controller  "ClusterAction on Cluster"             forward ClusterAction;
    DescribeCluster            0..=2     both        "none"                                 inline  describe_cluster;
    DescribeTopicPartitions    0..=0     broker      "Describe on Topic"                    inline  describe_topic_partitions;
}

/// Reads and checks a frame's header.
pub(crate) fn read(info: &ConnectionInfo, frame: &[u8]) -> Result<Request, (&'static str, i16, Refusal)> {
    let bytes = frame.get(4..).unwrap_or_default();
    let head = frame::read_request_head(bytes).map_err(|e| ("header", 0, Refusal::BadHeader(e.to_string())))?;
    let served = |row: &&ApiRow| row.is_on(&info.listener);
    let Some(row) = ApiKey::from_code(head.api_key).and_then(row_of).filter(served) else {
        let name = ApiKey::from_code(head.api_key).map_or("unknown API", ApiKey::name);
        return Err((name, head.api_version, Refusal::UnknownApi(head.api_key)));
    };
    // ApiVersions in a version that is too high is answered, with an error and our range (KIP-511).
    let (min, max, api) = (row.min, row.max, row.key.name());
    if row.key != ApiKey::ApiVersions && !(min..=max).contains(&head.api_version) {
        let cause = Refusal::UnsupportedVersion { api, version: head.api_version, min, max };
        return Err((api, head.api_version, cause));
    }
    let client_id = head.client_id.map(|id| {
        let start = 4 + (id.as_ptr() as usize - bytes.as_ptr() as usize);
        start..start + id.len()
    });
    Ok(Request {
        api: row.key,
        version: head.api_version,
        correlation_id: head.correlation_id,
        client_id,
        body_at: 4 + head.body_at,
    })
}

/// Handles a request whose header was accepted.
pub(crate) fn handle(
    broker: &Arc<Broker>,
    info: &Arc<ConnectionInfo>,
    request: &Request,
    frame: BytesMut,
    permit: MemoryPermit,
) -> Result<Answer, Refusal> {
    broker.counters.request(request.api);
    let cx = RequestContext {
        broker: Arc::clone(broker),
        connection: Arc::clone(info),
        api: request.api,
        version: request.version,
        correlation_id: request.correlation_id,
        client_id: request.client_id.clone(),
        frame,
        body_at: request.body_at,
        permit,
    };
    match Bill::open(&cx) {
        None => through_the_door(cx),
        Some(bill) => bill.charge(|| through_the_door(cx)),
    }
}

/// The line of an API.
#[must_use]
pub fn row_of(key: ApiKey) -> Option<&'static ApiRow> {
    APIS.iter().find(|row| row.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exactly Kafka 4.4's ranges, but for Produce, which Kafka advertises from 0 and serves from 3 (KAFKA-18659).
    #[test]
    fn the_table_advertises_kafkas_ranges() {
        for row in APIS {
            let min = if row.key == ApiKey::Produce { 0 } else { row.key.min_version() };
            assert_eq!((row.min, row.max), (min, row.key.max_version()), "{}", row.key.name());
            assert!(!row.on_broker || row.key.on_broker(), "{}", row.key.name());
            assert!(!row.on_controller || row.key.on_controller(), "{}", row.key.name());
        }
        assert!(APIS.windows(2).all(|w| (w[0].key as i16) < (w[1].key as i16)), "ordered by key, no key twice");
    }
}
