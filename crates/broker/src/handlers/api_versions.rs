//! ApiVersions (18), versions 0-5: what every client asks first, on both kinds of listener.
//!
//! * A version above ours is answered with error 35 in version 0, with our ranges, so that the client tries again lower
//!   (KIP-511).
//! * A client software name or version that is not well formed is INVALID_REQUEST.
//! * Version 5 names the cluster and node that the client expects; another one is told to bootstrap again (KIP-1242).
//! * Below version 4 supported features whose first version is 0 are left out (KAFKA-17011).

use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::api_versions_request::ApiVersionsRequest;
use ottla_protocol::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use crate::context::{Answer, Refusal, RequestContext};
use crate::dispatch::{APIS, row_of};

pub(crate) fn handle(cx: RequestContext) -> Result<Answer, Refusal> {
    let max = row_of(ApiKey::ApiVersions).map_or(0, |row| row.max);
    if !(0..=max).contains(&cx.version) {
        let response = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            api_keys: ranges(&cx),
            ..ApiVersionsResponse::default()
        };
        return cx.answer_at(0, &response, Vec::new());
    }
    let request: ApiVersionsRequest<'_> = cx.decode()?;
    let error = verdict(&cx, &request);
    if !error.is_none() {
        cx.count_error(error);
        return cx.answer(&ApiVersionsResponse { error_code: error.code(), ..ApiVersionsResponse::default() });
    }
    let kraft_version = Some(("kraft.version", cx.broker.metadata.kraft_version())).filter(|(_, level)| *level > 0);
    let image = cx.broker.image();
    let supported = cx.broker.features.iter().filter(|f| cx.version >= 4 || f.min > 0);
    let response = ApiVersionsResponse {
        api_keys: ranges(&cx),
        supported_features: supported
            .map(|f| SupportedFeatureKey {
                name: f.name,
                min_version: f.min,
                max_version: f.max,
                ..SupportedFeatureKey::default()
            })
            .collect(),
        finalized_features_epoch: image.offset,
        finalized_features: image
            .features
            .iter()
            .chain(kraft_version)
            .map(|(name, level)| FinalizedFeatureKey {
                name,
                max_version_level: level,
                min_version_level: level,
                ..FinalizedFeatureKey::default()
            })
            .collect(),
        ..ApiVersionsResponse::default()
    };
    cx.answer(&response)
}

fn verdict(cx: &RequestContext, request: &ApiVersionsRequest<'_>) -> ErrorCode {
    if cx.version >= 3 && !(well_formed(request.client_software_name) && well_formed(request.client_software_version)) {
        return ErrorCode::InvalidRequest;
    }
    let other_cluster = request.cluster_id.is_some_and(|id| id != &*cx.broker.cluster_id);
    let other_node = request.node_id >= 0 && request.node_id != cx.broker.config.node_id;
    if other_cluster || other_node { ErrorCode::RebootstrapRequired } else { ErrorCode::None }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn well_formed(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(inner)
}

fn ranges<'a>(cx: &RequestContext) -> Vec<ApiVersion<'a>> {
    APIS.iter()
        .filter(|row| row.is_on(&cx.connection.listener))
        .map(|row| ApiVersion {
            api_key: row.key as i16,
            min_version: row.min,
            max_version: row.max,
            ..ApiVersion::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::well_formed;

    #[test]
    fn software_names_are_what_kafka_takes() {
        for good in ["a", "librdkafka", "apache-kafka-java", "2.15.1"] {
            assert!(well_formed(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ä", "."] {
            assert!(!well_formed(bad), "{bad}");
        }
    }
}
