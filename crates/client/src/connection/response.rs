//! The answer to a request: awaited as [`Pending`], then owned as [`Response`], from which the caller decodes without
//! copying.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_env::time;
use ottla_protocol::message::Message;
use ottla_protocol::reader::{DecodeError, Reader};
use tokio::sync::oneshot;

use super::Connection;
use crate::error::ConnectionError;
use crate::requests::Request;

/// A request that is queued or sent. Dropping it loses only the answer.
pub struct Pending<R> {
    receiver: oneshot::Receiver<Result<Vec<u8>, ConnectionError>>,
    version: i16,
    connection: Connection,
    _request: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("version", &self.version).field("connection", &self.connection).finish()
    }
}

impl<R: Request> Pending<R> {
    pub(super) fn new(
        receiver: oneshot::Receiver<Result<Vec<u8>, ConnectionError>>,
        version: i16,
        connection: Connection,
    ) -> Self {
        Self { receiver, version, connection, _request: PhantomData }
    }

    /// Waits for the answer. When `timeout` is over the connection is closed.
    ///
    /// # Errors
    /// When the connection is lost or the time is over.
    pub async fn wait(self, timeout: Duration) -> Result<Response<R>, ConnectionError> {
        let address = || self.connection.address().to_owned();
        match time::timeout(timeout, self.receiver).await {
            Ok(Ok(Ok(frame))) => Response::new(frame, self.version, self.connection.address()),
            Ok(Ok(Err(e))) => Err(e),
            Ok(Err(_)) => Err(ConnectionError::Lost { address: address(), cause: "closed by this client".into() }),
            Err(_) => {
                self.connection.close_because(&format!("{} was not answered within {timeout:?}", R::NAME));
                Err(ConnectionError::Timeout { address: address(), api: R::NAME, after: timeout })
            }
        }
    }
}

/// A response frame, owned.
pub struct Response<R> {
    frame: Bytes,
    body_at: usize,
    version: i16,
    address: Arc<str>,
    _request: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Response<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("bytes", &self.frame.len()).field("version", &self.version).finish()
    }
}

impl<R: Request> Response<R> {
    fn new(frame: Vec<u8>, version: i16, address: &str) -> Result<Self, ConnectionError> {
        let address: Arc<str> = address.into();
        let frame = Bytes::from(frame);
        match body_start(&frame, has_tags(R::KEY, R::FIRST_FLEXIBLE, version)) {
            Ok(body_at) => Ok(Self { frame, body_at, version, address, _request: PhantomData }),
            Err(source) => Err(ConnectionError::Decode { address, api: R::NAME, source }),
        }
    }

    /// The version at which it was asked for and answered.
    #[must_use]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// The bytes after the header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.frame.get(self.body_at..).unwrap_or_default()
    }

    /// Reads the body; the result borrows from this response.
    ///
    /// # Errors
    /// When the bytes are not such a response.
    pub fn decode(&self) -> Result<R::Response<'_>, ConnectionError> {
        self.decode_at(self.version)
    }

    /// As [`Self::decode`], at another version than the one asked for.
    pub(super) fn decode_at(&self, version: i16) -> Result<R::Response<'_>, ConnectionError> {
        R::Response::decode(&mut Reader::new(self.body()), version).map_err(|source| ConnectionError::Decode {
            address: Arc::clone(&self.address),
            api: R::NAME,
            source,
        })
    }

    /// A part of this response, such as record bytes that [`Self::decode`] borrowed, kept alive without a copy.
    #[must_use]
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.frame.slice_ref(part)
    }
}

/// Whether the response header ends in tagged fields; that of ApiVersions never does (KIP-511).
fn has_tags(api_key: i16, first_flexible: Option<i16>, version: i16) -> bool {
    const API_VERSIONS: i16 = 18;
    api_key != API_VERSIONS && first_flexible.is_some_and(|first| version >= first)
}

/// Where the body begins, after length, correlation id and perhaps tagged fields.
fn body_start(frame: &[u8], tags: bool) -> Result<usize, DecodeError> {
    let mut r = Reader::new(frame);
    r.take(8)?;
    if tags {
        for _ in 0..r.tag_count()? {
            let (_, after) = r.begin_tag()?;
            r.take_rest_of_tag()?;
            r.end_tag(after)?;
        }
    }
    Ok(frame.len() - r.remaining())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_begins_after_the_header_and_its_tags() {
        assert_eq!(body_start(&[0, 0, 0, 5, 0, 0, 0, 1, 9], false), Ok(8));
        // One unknown tag, number 5, of two bytes.
        assert_eq!(body_start(&[0, 0, 0, 5, 0, 0, 0, 1, 1, 5, 2, 0, 0, 9], true), Ok(13));
        assert!(body_start(&[0, 0, 0, 5, 0, 0, 0, 1, 200], true).is_err());
        assert!(!has_tags(18, Some(3), 4));
        assert!(has_tags(1, Some(12), 12) && !has_tags(1, Some(12), 11) && !has_tags(47, None, 0));
    }
}
