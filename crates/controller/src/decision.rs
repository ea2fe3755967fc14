//! What an operation sees and what it decides.
//!
//! Deciders are functions `(&View, request) -> Decision`: they read the state that all decided records so far make, whether
//! committed or not, and change nothing. The records change it when they are replayed; the response leaves when they are
//! committed (house rule "decide, commit, replay").

use ottla_metadata::image::MetadataImage;
use ottla_metadata::records::MetadataRecord;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::message::Message;
use ottla_protocol::writer::{EncodeError, Writer};

use crate::options::ControllerOptions;
use crate::sessions::Sessions;

/// Records that one request may cause, as in Kafka; they are one batch, so they are committed together or not at all.
pub(crate) const RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// What a decider sees.
pub(crate) struct View<'a> {
    /// The state after every record that was decided, committed or not.
    pub(crate) image: &'a MetadataImage,
    /// Who has been heard of lately; never in the log.
    pub(crate) sessions: &'a Sessions,
    pub(crate) options: &'a ControllerOptions,
    /// Offset that the first record decided now will have.
    pub(crate) next_offset: i64,
    pub(crate) now_ms: i64,
    /// Sixteen random bytes, and the like.
    pub(crate) random: &'a dyn Fn() -> [u8; 16],
}

impl View<'_> {
    /// A number to begin a placement with.
    pub(crate) fn random_u64(&self) -> u64 {
        let bytes = (self.random)();
        bytes.first_chunk::<8>().map_or(0, |half| u64::from_be_bytes(*half))
    }
}

/// What was decided.
#[derive(Debug)]
pub(crate) struct Decision {
    /// To be committed, in this order, as one batch.
    pub(crate) records: Vec<MetadataRecord>,
    /// The response's body, to leave when they are.
    pub(crate) body: Vec<u8>,
}

impl Decision {
    pub(crate) fn new<'m, M: Message<'m>>(
        records: Vec<MetadataRecord>,
        response: &M,
        version: i16,
    ) -> Result<Self, EncodeError> {
        Ok(Self { records, body: encode(response, version)? })
    }
}

/// A response's body.
pub(crate) fn encode<'m, M: Message<'m>>(response: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    response.encode(&mut w, version)?;
    Ok(w.into_bytes())
}

/// A refusal: Kafka's code and a sentence for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: ErrorCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}
