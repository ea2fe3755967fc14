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

    /// How long the client must pause for what it moved.
    #[must_use]
    pub fn throttle(&self, kind: QuotaKind, bytes: usize) -> i32 {
        self.broker.quota.throttle_ms(&self.connection, self.client_id(), kind, bytes)
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
        let (bytes, holes) = w.into_parts();
        let permit = self.broker.memory.permit(bytes.len());
        Answer::Reply(Response { bytes, holes, slices, mute_ms: 0, permit })
    }
}

/// A response ready to be sent.
#[derive(Debug)]
pub struct Response {
    pub(crate) bytes: Vec<u8>,
    pub(crate) holes: Vec<Hole>,
    pub(crate) slices: Vec<FileSlice>,
    /// How long the connection is muted after it (KIP-219).
    pub(crate) mute_ms: i32,
    #[expect(dead_code, reason = "held until the response is sent: its bytes count into the memory budget")]
    pub(crate) permit: MemoryPermit,
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
    Nothing,
}

impl Answer {
    /// Mutes the connection for a while once the answer is sent.
    #[must_use]
    pub fn muted_for(mut self, ms: i32) -> Self {
        if let Self::Reply(response) = &mut self {
            response.mute_ms = ms;
        }
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply(_) => "Reply",
            Self::Later(_) => "Later",
            Self::Nothing => "Nothing",
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
