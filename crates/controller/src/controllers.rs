//! ControllerRegistration (70): controllers say where they are and what they support (KIP-919).

use ottla_metadata::records::{ControllerEndpoint, ControllerFeature, RegisterControllerRecord};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::ids::Uuid;
use ottla_protocol::messages::controller_registration_request::ControllerRegistrationRequest;
use ottla_protocol::messages::controller_registration_response::ControllerRegistrationResponse;
use ottla_protocol::writer::EncodeError;

use crate::decision::{Decision, View};
use crate::features::{self, CONTROLLER_REGISTRATION_SINCE};
use crate::options::ControllerOptions;

/// Notes a controller.
pub(crate) fn register(
    view: &View<'_>,
    request: &ControllerRegistrationRequest<'_>,
    version: i16,
) -> Result<Decision, EncodeError> {
    if view.image.features.metadata_version() < CONTROLLER_REGISTRATION_SINCE {
        let response = ControllerRegistrationResponse {
            error_code: ErrorCode::UnsupportedVersion as i16,
            error_message: Some("The current MetadataVersion is too old to support controller registrations."),
            ..Default::default()
        };
        return Decision::new(vec![], &response, version);
    }
    let endpoint = |l: &ottla_protocol::messages::controller_registration_request::Listener<'_>| ControllerEndpoint {
        name: l.name.to_owned(),
        host: l.host.to_owned(),
        port: l.port,
        security_protocol: l.security_protocol,
    };
    let feature = |f: &ottla_protocol::messages::controller_registration_request::Feature<'_>| ControllerFeature {
        name: f.name.to_owned(),
        min_supported_version: f.min_supported_version,
        max_supported_version: f.max_supported_version,
    };
    let record = RegisterControllerRecord {
        controller_id: request.controller_id,
        incarnation_id: request.incarnation_id,
        zk_migration_ready: request.zk_migration_ready,
        end_points: request.listeners.iter().map(endpoint).collect(),
        features: request.features.iter().map(feature).collect(),
    };
    Decision::new(vec![record.into()], &ControllerRegistrationResponse::default(), version)
}

/// The active controller's registration of itself, once in each of its lives.
pub(crate) fn own_registration(options: &ControllerOptions, incarnation_id: Uuid) -> RegisterControllerRecord {
    let endpoint = |l: &crate::options::ControllerListener| ControllerEndpoint {
        name: l.endpoint.listener.clone(),
        host: l.endpoint.host.clone(),
        port: l.endpoint.port,
        security_protocol: l.security_protocol,
    };
    let feature = |(name, min, max): (&'static str, i16, i16)| ControllerFeature {
        name: name.to_owned(),
        min_supported_version: min,
        max_supported_version: max,
    };
    RegisterControllerRecord {
        controller_id: options.node_id,
        incarnation_id,
        zk_migration_ready: false,
        end_points: options.listeners.iter().map(endpoint).collect(),
        features: features::supported().map(feature).collect(),
    }
}
