//! Frames of a connection: a length, a header, a body.
//!
//! ```text
//! request   len i32 | api_key i16 | api_version i16 | correlation_id i32 | client_id | tags (v2) | body
//! response  len i32 | correlation_id i32 | tags (v1) | body
//! ```
//!
//! A request of a flexible version has header v2 and its response header v1 (KIP-482), but the answer to ApiVersions
//! always has header v0, because its reader does not yet know what the broker speaks (KIP-511). `client_id` keeps its
//! classic two-byte length in every version.

use crate::api::ApiKey;
use crate::message::Message;
use crate::reader::{DecodeError, Reader};
use crate::writer::{EncodeError, Writer};

/// Bytes of the length that begins every frame.
pub const LENGTH_BYTES: usize = 4;

/// What a request says about itself before its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// Which API; it may be one that we do not know.
    pub api_key: i16,
    /// Version of header and body; it may be one that we do not know.
    pub api_version: i16,
    /// The client's number for the request, given back in the response.
    pub correlation_id: i32,
    /// The client's `client.id`.
    pub client_id: Option<&'a str>,
    /// Where the body begins in the frame.
    pub body_at: usize,
}

/// A frame whose header cannot be read; the connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request header is broken: {0}")]
pub struct FrameError(#[from] pub DecodeError);

/// Reads the header of a request frame (without its length) and allocates nothing.
///
/// The key and the version choose the header's version; an unknown key is read as header v1, so that a log line can name
/// what was asked.
///
/// # Errors
/// When the bytes end within the header, or the client id is not UTF-8.
pub fn read_request_head(frame: &[u8]) -> Result<RequestHead<'_>, FrameError> {
    let mut r = Reader::new(frame);
    let (api_key, api_version, correlation_id) = (r.i16()?, r.i16()?, r.i32()?);
    let client_id = r.nullable_string(false)?;
    if ApiKey::from_code(api_key).is_some_and(|key| key.request_header_version(api_version) >= 2) {
        skip_tags(&mut r)?;
    }
    Ok(RequestHead { api_key, api_version, correlation_id, client_id, body_at: frame.len() - r.remaining() })
}

/// Reads the header of a response frame (without its length) to a request of this key and version: the correlation id,
/// and where the body begins.
///
/// # Errors
/// When the bytes end within the header.
pub fn read_response_head(frame: &[u8], api_key: i16, api_version: i16) -> Result<(i32, usize), FrameError> {
    let mut r = Reader::new(frame);
    let correlation_id = r.i32()?;
    if ApiKey::from_code(api_key).is_some_and(|key| key.response_header_version(api_version) >= 1) {
        skip_tags(&mut r)?;
    }
    Ok((correlation_id, frame.len() - r.remaining()))
}

/// No tagged field of a header is defined; those of a newer peer are passed over.
fn skip_tags(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    for _ in 0..r.tag_count()? {
        let (_, after) = r.begin_tag()?;
        r.skip_tag(after);
    }
    Ok(())
}

/// Begins a response frame in an empty writer: room for the length, then the header that the request's key and version
/// ask for.
pub fn begin_response(w: &mut Writer, correlation_id: i32, api_key: i16, api_version: i16) {
    debug_assert!(w.is_empty(), "a writer holds one frame");
    w.i32(0);
    w.i32(correlation_id);
    if ApiKey::from_code(api_key).is_some_and(|key| key.response_header_version(api_version) >= 1) {
        w.tag_count(0);
    }
}

/// Ends a frame: writes its length, in which holes count as the bytes that will be sent for them.
pub fn finish_response(w: &mut Writer) {
    w.patch_u32(0, w.total_len().saturating_sub(LENGTH_BYTES) as u32);
}

/// Writes a whole request frame, its length included, into an empty writer.
///
/// # Errors
/// When the body cannot be written at this version.
pub fn encode_request<'a, M: Message<'a>>(
    w: &mut Writer,
    api_key: i16,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: &M,
) -> Result<(), EncodeError> {
    debug_assert!(w.is_empty(), "a writer holds one frame");
    w.i32(0);
    w.i16(api_key);
    w.i16(version);
    w.i32(correlation_id);
    w.nullable_string(false, client_id)?;
    if ApiKey::from_code(api_key).is_some_and(|key| key.request_header_version(version) >= 2) {
        w.tag_count(0);
    }
    body.encode(w, version)?;
    finish_response(w);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Records;
    use crate::messages::api_versions_request::ApiVersionsRequest;

    fn frame(version: i16) -> Vec<u8> {
        let mut w = Writer::new();
        let body = ApiVersionsRequest { client_software_name: "x", client_software_version: "1", ..Default::default() };
        encode_request(&mut w, 18, version, 7, Some("me"), &body).unwrap();
        w.into_bytes()
    }

    #[test]
    fn a_request_is_read_back_with_the_header_of_its_version() {
        for (version, body_at) in [(0, 12), (3, 13)] {
            let bytes = frame(version);
            let (length, frame) = bytes.split_first_chunk::<4>().unwrap();
            assert_eq!(u32::from_be_bytes(*length) as usize, frame.len());
            let head = read_request_head(frame).unwrap();
            assert_eq!(
                head,
                RequestHead { api_key: 18, api_version: version, correlation_id: 7, client_id: Some("me"), body_at }
            );
        }
    }

    #[test]
    fn unknown_tags_of_a_header_are_passed_over() {
        let mut w = Writer::new();
        w.i16(3);
        w.i16(12);
        w.i32(1);
        w.i16(-1);
        w.raw(&[1, 9, 2, 0xaa, 0xbb]); // one tagged field: tag 9, two bytes
        w.raw(&[0x55]);
        let bytes = w.into_bytes();
        assert_eq!(read_request_head(&bytes).unwrap().body_at, bytes.len() - 1);
    }

    #[test]
    fn every_truncation_of_a_header_is_refused() {
        let bytes = frame(3);
        for end in 4..4 + 13 {
            assert!(read_request_head(&bytes[4..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn the_length_of_a_response_counts_its_holes() {
        let mut w = Writer::new();
        begin_response(&mut w, 5, 1, 12);
        w.records(true, Records::Hole { len: 1000, index: 0 });
        finish_response(&mut w);
        let (bytes, holes) = w.into_parts();
        assert_eq!(holes.len(), 1);
        assert_eq!(&bytes[..4], (bytes.len() as u32 - 4 + 1000).to_be_bytes());
        assert_eq!(&bytes[4..9], [0, 0, 0, 5, 0], "correlation id, then no tagged fields");
        assert_eq!(read_response_head(&bytes[4..], 1, 12), Ok((5, 5)));
        assert_eq!(read_response_head(&bytes[4..], 1, 11), Ok((5, 4)));
        assert!(read_response_head(&bytes[4..8], 1, 12).is_err());
    }

    #[test]
    fn the_answer_to_api_versions_has_the_oldest_header() {
        let mut w = Writer::new();
        begin_response(&mut w, 5, 18, 4);
        assert_eq!(w.len(), 8);
    }
}
