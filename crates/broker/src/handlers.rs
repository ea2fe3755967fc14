//! One file per API: parse, authorize, do, answer. Outcomes of the layers below become Kafka's error codes here and only
//! here, by matches that name every case.

pub(crate) mod api_versions;
pub(crate) mod fetch;
pub(crate) mod init_producer_id;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
mod node_endpoints;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod partition_errors;
pub(crate) mod produce;
