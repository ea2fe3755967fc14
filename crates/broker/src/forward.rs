//! The way to the controller: request bodies in, response bodies out, as an Envelope would carry them.

use ottla_metadata::controller_door::{DoorContext, DoorError};
use ottla_protocol::api::ApiKey;
use ottla_protocol::message::Message;
use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::writer::{EncodeError, Writer};

use crate::broker::Broker;
use crate::context::{Answer, Refusal, RequestContext};

/// Why the controller could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The request cannot be written.
    #[error("the request cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// The controller is not there.
    #[error(transparent)]
    Door(#[from] DoorError),
}

impl Broker {
    /// Asks the controller and gives the response body.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn ask_controller<'m, M: Message<'m>>(
        &self,
        context: DoorContext,
        api: ApiKey,
        version: i16,
        request: &M,
    ) -> Result<Vec<u8>, ForwardError> {
        let mut w = Writer::new();
        request.encode(&mut w, version)?;
        Ok(self.controller.request(context, api as i16, version, w.into_bytes()).await?)
    }
}

impl RequestContext {
    /// Who asks, for the controller.
    #[must_use]
    pub fn door_context(&self) -> DoorContext {
        DoorContext {
            principal: self.connection.principal.to_string(),
            client_id: self.client_id().map(str::to_owned),
            client_address: Some(self.connection.peer.ip()),
            listener: self.connection.listener.name.to_string(),
        }
    }

    /// Passes the request on as it is and answers what the controller answers.
    ///
    /// # Errors
    /// When the controller cannot decode it or is not there: the connection is closed, and the client tries again.
    pub async fn forward_to_controller(&self) -> Result<Answer, Refusal> {
        let body = self.body().to_vec();
        let answered = self.broker.controller.request(self.door_context(), self.api as i16, self.version, body).await;
        answered.map(|body| self.answer_raw(&body)).map_err(|e| Refusal::Controller(e.to_string()))
    }
}

/// Decodes a response body.
///
/// # Errors
/// When the bytes are not that message.
pub fn decode<'a, M: Message<'a>>(body: &'a [u8], version: i16) -> Result<M, DecodeError> {
    M::decode(&mut Reader::new(body), version)
}
