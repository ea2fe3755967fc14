//! What a handler is given and what it gives back.
//!
//! ```text
//!   frame (owned, borrowed by the decoded request) ──> RequestContext ──> handler ──> Answer
//!                                                                             Reply  now
//!                                                                             Later  a future; later requests go on
//!                                                                             Nothing  acks=0
//! ```

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use ottla_metadata::config::listeners::Listener;
use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;
use ottla_protocol::frame;
use ottla_protocol::message::Message;
use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::writer::{EncodeError, Hole, Writer};
use ottla_storage::FileSlice;

use crate::broker::Broker;
use crate::network::memory::MemoryPermit;
use crate::quota::QuotaKind;
use crate::security::Principal;
use crate::security::authorizer::{Operation, Resource};

/// What is known of a connection besides its socket.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// The other end.
    pub peer: SocketAddr,
    /// Where it came in.
    pub listener: Arc<Listener>,
    /// For whom it speaks.
    pub principal: Principal,
}

/// One request: its frame and everything a handler may use to answer it.
pub struct RequestContext {
    /// The broker.
    pub broker: Arc<Broker>,
    /// The connection it came on.
    pub connection: Arc<ConnectionInfo>,
    /// API.
    pub api: ApiKey,
    /// Version, already checked against the table.
    pub version: i16,
    /// To be repeated in the answer.
    pub correlation_id: i32,
    pub(crate) client_id: Option<Range<usize>>,
    pub(crate) frame: BytesMut,
    pub(crate) body_at: usize,
    pub(crate) permit: MemoryPermit,
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} from {}", self.api.name(), self.version, self.connection.peer)
    }
}

impl RequestContext {
    /// The client's name for itself.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        let bytes = self.frame.get(self.client_id.clone()?)?;
        std::str::from_utf8(bytes).ok()
    }

    /// The request's body, undecoded.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.frame.get(self.body_at..).unwrap_or_default()
    }

    /// Decodes the body; what it holds borrows from the frame. The memory of the decoded form counts into the
    /// broker's budget until the request is done.
    ///
    /// # Errors
    /// When the bytes are not that message: the connection is closed.
    pub fn decode<'a, M: Message<'a>>(&'a self) -> Result<M, Refusal> {
        let mut reader = Reader::new(self.body());
        let message = M::decode(&mut reader, self.version).map_err(Refusal::Malformed)?;
        self.permit.add(reader.decoded_bytes());
        // Bytes may follow it, and Kafka ignores them: librdkafka from 2.11 on asks for all topics (Metadata v13) with an array
        // count of four bytes where one belongs, which leaves three at the end.
        Ok(message)
    }

    /// Whether the connection's principal may do this.
    #[must_use]
    pub fn authorized(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.broker.authorizer.allows(&self.connection.principal, operation, resource)
    }

    /// How long the client must pause for the bytes that it moved.
    #[must_use]
    pub fn pause_ms(&self, kind: QuotaKind, bytes: usize) -> i32 {
        self.broker.quota.throttle_ms(&self.connection, self.client_id(), kind, bytes as u64)
    }

    /// Counts an error that is answered.
    pub fn count_error(&self, code: ErrorCode) {
        self.broker.counters.error(self.api, code);
    }

    /// As [`Self::count_error`], for a code that somebody else chose: the controller.
    pub fn count_error_code(&self, code: i16) {
        self.count_error(ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError));
    }

    /// Encodes an answer at the request's version.
    ///
    /// # Errors
    /// When the response cannot be written at that version, which is a defect of the handler.
    pub fn answer<'m, M: Message<'m>>(&self, response: &M) -> Result<Answer, Refusal> {
        self.answer_with_slices(response, Vec::new())
    }

    /// As [`Self::answer`], for a response with holes: hole `index` is filled by `slices[index]`.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn answer_with_slices<'m, M: Message<'m>>(
        &self,
        response: &M,
        slices: Vec<FileSlice>,
    ) -> Result<Answer, Refusal> {
        self.answer_at(self.version, response, slices)
    }

    /// As [`Self::answer`], at another version: ApiVersions answers an unknown version with its version 0.
    pub(crate) fn answer_at<'m, M: Message<'m>>(
        &self,
        version: i16,
        response: &M,
        slices: Vec<FileSlice>,
    ) -> Result<Answer, Refusal> {
        let mut w = self.response_writer();
        response.encode(&mut w, version).map_err(Refusal::Unencodable)?;
        Ok(self.finish(w, slices))
    }

    /// Answers with a body that somebody else encoded at the request's version: the controller.
    #[must_use]
    pub fn answer_raw(&self, body: &[u8]) -> Answer {
        let mut w = self.response_writer();
        w.raw(body);
        self.finish(w, Vec::new())
    }

    fn response_writer(&self) -> Writer {
        let mut w = Writer::with_capacity(256);
        frame::begin_response(&mut w, self.correlation_id, self.api as i16, self.version);
        w
    }

    fn finish(&self, mut w: Writer, slices: Vec<FileSlice>) -> Answer {
        frame::finish_response(&mut w);
        let throttle_time_at = w.throttle_time_at();
        let (bytes, holes) = w.into_parts();
        let permit = self.broker.memory.permit(bytes.len());
        Answer::Reply(Response { bytes, holes, slices, throttle_time_at, mute_ms: 0, is_exempt: false, permit })
    }
}

/// A response ready to be sent.
#[derive(Debug)]
pub struct Response {
    pub(crate) bytes: Vec<u8>,
    pub(crate) holes: Vec<Hole>,
    pub(crate) slices: Vec<FileSlice>,
    /// Where the bytes say how long the client must pause, if they do.
    throttle_time_at: Option<usize>,
    /// How long the connection is muted after it (KIP-219).
    pub(crate) mute_ms: i32,
    /// Whether the request quota does not count it: brokers and controllers among themselves.
    pub(crate) is_exempt: bool,
    #[expect(dead_code, reason = "held until the response is sent: its bytes count into the memory budget")]
    pub(crate) permit: MemoryPermit,
}

impl Response {
    /// Tells the client to pause, if the version has words for it, and mutes the connection as long once it is sent. Of several
    /// quotas the longest pause counts.
    fn throttle(&mut self, ms: i32) {
        if ms > self.mute_ms {
            self.mute_ms = ms;
            let place = self.throttle_time_at.and_then(|at| self.bytes.get_mut(at..at + 4));
            if let Some(place) = place {
                place.copy_from_slice(&ms.to_be_bytes());
            }
        }
    }
}

/// A response that is not known yet.
pub type LaterResponse = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

/// What a handler says.
pub enum Answer {
    /// This, now.
    Reply(Response),
    /// This, later; requests behind it are handled meanwhile, and answered after it.
    Later(LaterResponse),
    /// Nothing: a produce request with acks=0.
    Nothing {
        /// How long the connection is muted for it.
        mute_ms: i32,
    },
}

impl Answer {
    /// Lets the client pause: see [`crate::quota`].
    #[must_use]
    pub fn throttled(mut self, ms: i32) -> Self {
        match &mut self {
            Self::Reply(response) => response.throttle(ms),
            Self::Nothing { mute_ms } => *mute_ms = ms.max(*mute_ms),
            Self::Later(_) => {}
        }
        self
    }

    /// Leaves it out of the request quota.
    #[must_use]
    pub fn exempt(mut self) -> Self {
        if let Self::Reply(response) = &mut self {
            response.is_exempt = true;
        }
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply(_) => "Reply",
            Self::Later(_) => "Later",
            Self::Nothing { .. } => "Nothing",
        })
    }
}

/// Why a connection is closed instead of answered. One log line names it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The header is not one.
    #[error("the request header cannot be read: {0}")]
    BadHeader(String),
    /// An API key that is not served on this listener.
    #[error("API key {0} is not served on this listener")]
    UnknownApi(i16),
    /// A version that is not served.
    #[error("{api} version {version} is not served; {min} to {max} are")]
    UnsupportedVersion {
        /// API.
        api: &'static str,
        /// Version asked.
        version: i16,
        /// First served.
        min: i16,
        /// Last served.
        max: i16,
    },
    /// The body is not that message.
    #[error("the request cannot be decoded: {0}")]
    Malformed(DecodeError),
    /// A frame larger than `socket.request.max.bytes`.
    #[error("a frame of {size} bytes is announced; socket.request.max.bytes allows {max}")]
    FrameTooLarge {
        /// Announced.
        size: i64,
        /// Allowed.
        max: usize,
    },
    /// A produce request with acks=0 failed: Kafka closes the connection so that the client looks for the new leader.
    #[error("a produce request with acks=0 failed with {0}")]
    UnacknowledgedProduceFailed(ottla_protocol::ErrorCode),
    /// The principal may not do that, and the API has no answer that says so.
    #[error("the principal is not authorized")]
    NotAuthorized,
    /// The controller did not answer.
    #[error("the controller does not answer: {0}")]
    Controller(String),
    /// A defect of ours.
    #[error("the response cannot be encoded, which is a defect: {0}")]
    Unencodable(EncodeError),
}
