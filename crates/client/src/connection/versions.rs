//! Which versions a broker speaks: the first exchange of every connection.
//!
//! We ask at our newest version. A broker that does not know it answers with error 35 and a body of version 0, which
//! says what it does know; then we ask again (KIP-511).

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::api_versions_request::ApiVersionsRequest;
use ottla_protocol::messages::api_versions_response::ApiVersionsResponse;

use super::Connection;
use crate::error::ConnectionError;
use crate::requests::Request;

/// Name and version that brokers count clients by.
const SOFTWARE: (&str, &str) = ("ottla-client", env!("CARGO_PKG_VERSION"));

/// The APIs and features of one broker.
#[derive(Debug, Clone, Default)]
pub struct ApiVersions {
    ranges: BTreeMap<i16, (i16, i16)>,
    finalized_features: BTreeMap<String, i16>,
}

impl ApiVersions {
    fn of(response: &ApiVersionsResponse<'_>) -> Self {
        Self {
            ranges: response.api_keys.iter().map(|k| (k.api_key, (k.min_version, k.max_version))).collect(),
            finalized_features: response
                .finalized_features
                .iter()
                .map(|f| (f.name.to_owned(), f.max_version_level))
                .collect(),
        }
    }

    /// First and last version of an API, if the broker has it.
    #[must_use]
    pub fn range(&self, api_key: i16) -> Option<(i16, i16)> {
        self.ranges.get(&api_key).copied()
    }

    /// All APIs: key, first and last version.
    pub fn iter(&self) -> impl Iterator<Item = (i16, i16, i16)> + '_ {
        self.ranges.iter().map(|(key, (min, max))| (*key, *min, *max))
    }

    /// The highest version within `min..=max` that the broker has too.
    #[must_use]
    pub fn common(&self, api_key: i16, min: i16, max: i16) -> Option<i16> {
        let (first, last) = self.range(api_key)?;
        let highest = last.min(max);
        (highest >= first.max(min)).then_some(highest)
    }

    /// The level of a finalized feature, such as `metadata.version`.
    #[must_use]
    pub fn finalized_feature(&self, name: &str) -> Option<i16> {
        self.finalized_features.get(name).copied()
    }
}

/// Asks a fresh connection.
pub(super) async fn negotiate(connection: &Connection) -> Result<ApiVersions, ConnectionError> {
    let mut version = ApiVersionsRequest::MAX_VERSION;
    loop {
        let timeout = connection.inner.shared.options.request_timeout;
        let response = connection.send_at(version, &request(version), timeout).await?;
        let unsupported = response.body().starts_with(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
        let decoded = if unsupported { response.decode_at(0)? } else { response.decode()? };
        if !unsupported {
            let code = ErrorCode::from_code(decoded.error_code).unwrap_or(ErrorCode::UnknownServerError);
            return match code {
                ErrorCode::None => Ok(ApiVersions::of(&decoded)),
                code => Err(ConnectionError::Refused { address: connection.address().to_owned(), code }),
            };
        }
        match lower(version, ApiVersions::of(&decoded).range(ApiVersionsRequest::KEY)) {
            Some(next) => version = next,
            None => {
                return Err(ConnectionError::Refused {
                    address: connection.address().to_owned(),
                    code: ErrorCode::UnsupportedVersion,
                });
            }
        }
    }
}

fn request(version: i16) -> ApiVersionsRequest<'static> {
    let (name, number) = if version >= 3 { SOFTWARE } else { ("", "") };
    ApiVersionsRequest { client_software_name: name, client_software_version: number, ..Default::default() }
}

/// The next version to try: what the broker says, or 0 when it says nothing; always lower, so that this ends.
fn lower(tried: i16, offered: Option<(i16, i16)>) -> Option<i16> {
    let next = offered.map_or(0, |(_, last)| last.min(tried - 1));
    (0..tried).contains(&next).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_version_is_the_highest_of_both() {
        let versions = ApiVersions { ranges: BTreeMap::from([(1, (4, 16)), (3, (0, 13))]), ..ApiVersions::default() };
        assert_eq!(versions.common(1, 4, 18), Some(16));
        assert_eq!(versions.common(1, 0, 12), Some(12));
        assert_eq!(versions.common(1, 17, 18), None);
        assert_eq!(versions.common(1, 0, 3), None);
        assert_eq!(versions.common(99, 0, 3), None);
    }

    #[test]
    fn a_refused_version_is_followed_by_a_lower_one_until_there_is_none() {
        assert_eq!(lower(5, Some((0, 4))), Some(4));
        assert_eq!(lower(5, None), Some(0));
        assert_eq!(lower(5, Some((0, 9))), Some(4));
        assert_eq!(lower(0, Some((0, 4))), None);
    }
}
