//! The table of what the active controller decides: API, and the decider that takes it. What concerns the quorum itself
//! (Fetch, Vote and so on) goes to the core instead; see `event_loop`.

use ottla_metadata::controller_door::DoorError;
use ottla_protocol::api::ApiKey;
use ottla_protocol::message::Message;
use ottla_protocol::reader::Reader;
use ottla_protocol::writer::EncodeError;

use crate::brokers::{BrokerDecision, News};
use crate::decision::{Decision, View};
use crate::{alter_configs, alter_partition, brokers, controllers, directories, partitions, producer_ids, topics};

/// What was decided, and what is to be remembered about who asked.
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    pub(crate) news: Option<News>,
}

impl From<BrokerDecision> for Decided {
    fn from(decided: BrokerDecision) -> Self {
        Self { decision: decided.decision, news: decided.news }
    }
}

impl From<Decision> for Decided {
    fn from(decision: Decision) -> Self {
        Self { decision, news: None }
    }
}

/// Decides one request.
pub(crate) fn decide(view: &View<'_>, api_key: i16, version: i16, body: &[u8]) -> Result<Decided, DoorError> {
    let unsupported = DoorError::Unsupported { api_key, version };
    let api = ApiKey::from_code(api_key).filter(|api| api.has_version(version)).ok_or(unsupported.clone())?;
    match api {
        ApiKey::CreateTopics => run(view, version, body, topics::create_topics),
        ApiKey::DeleteTopics => run(view, version, body, topics::delete_topics),
        ApiKey::CreatePartitions => run(view, version, body, partitions::create_partitions),
        ApiKey::AlterConfigs => run(view, version, body, alter_configs::alter),
        ApiKey::IncrementalAlterConfigs => run(view, version, body, alter_configs::incremental_alter),
        ApiKey::AlterPartition => run(view, version, body, alter_partition::alter_partition),
        ApiKey::BrokerRegistration => run(view, version, body, brokers::register),
        ApiKey::UnregisterBroker => run(view, version, body, brokers::unregister),
        ApiKey::AllocateProducerIds => run(view, version, body, producer_ids::allocate),
        ApiKey::ControllerRegistration => run(view, version, body, controllers::register),
        ApiKey::AssignReplicasToDirs => run(view, version, body, directories::assign_replicas),
        ApiKey::BrokerHeartbeat => run(view, version, body, brokers::heartbeat),
        _ => Err(unsupported),
    }
}

fn run<'a, M: Message<'a>, D: Into<Decided>>(
    view: &View<'_>,
    version: i16,
    body: &'a [u8],
    decider: impl FnOnce(&View<'_>, &M, i16) -> Result<D, EncodeError>,
) -> Result<Decided, DoorError> {
    let request = M::decode(&mut Reader::new(body), version).map_err(|e| malformed(&e))?;
    decider(view, &request, version).map(Into::into).map_err(|e| malformed(&e))
}

/// A response that cannot be encoded comes from a request with a name too long for it, so both are the request's fault.
pub(crate) fn malformed(error: &dyn std::fmt::Display) -> DoorError {
    DoorError::Malformed(error.to_string())
}
