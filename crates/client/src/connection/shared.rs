//! What the handles of a connection share with its two tasks, and the tasks.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicI32;

use ottla_env::net::TcpStream;
use ottla_env::time;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use super::frames::FrameReader;
use super::{ApiVersions, ConnectionOptions};
use crate::error::ConnectionError;

/// Several small frames waiting to be written are joined up to this many bytes, to be one write.
const JOIN_BYTES: usize = 64 << 10;

/// What handles and tasks share.
pub(super) struct Shared {
    pub(super) address: Arc<str>,
    pub(super) options: ConnectionOptions,
    pub(super) permits: Arc<Semaphore>,
    pub(super) next_correlation_id: AtomicI32,
    pub(super) versions: OnceLock<ApiVersions>,
    pub(super) state: Mutex<State>,
    pub(super) wake_writer: Notify,
}

/// Frames to write and requests to be answered; one lock, so that both are in the same order.
#[derive(Default)]
pub(super) struct State {
    pub(super) outgoing: VecDeque<Outgoing>,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) closed: Option<Arc<str>>,
}

pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    /// For a request that is never answered (produce with acks=0): told when it was written.
    pub(super) written: Option<(oneshot::Sender<Result<(), ConnectionError>>, OwnedSemaphorePermit)>,
}

pub(super) struct InFlight {
    pub(super) correlation_id: i32,
    pub(super) answer: oneshot::Sender<Result<Vec<u8>, ConnectionError>>,
    /// Held until the answer is there.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Shared {
    pub(super) fn lost(&self, cause: &str) -> ConnectionError {
        ConnectionError::Lost { address: self.address.to_string(), cause: cause.into() }
    }

    pub(super) fn push(&self, outgoing: Outgoing, in_flight: Option<InFlight>) -> Result<(), ConnectionError> {
        let mut state = self.state.lock();
        if let Some(cause) = &state.closed {
            return Err(self.lost(cause));
        }
        state.outgoing.push_back(outgoing);
        state.in_flight.extend(in_flight);
        drop(state);
        self.wake_writer.notify_one();
        Ok(())
    }

    /// Gives a frame to the oldest request in flight.
    fn deliver(&self, frame: Vec<u8>) -> Result<(), String> {
        let found = frame.get(4..8).and_then(|b| b.try_into().ok()).map(i32::from_be_bytes);
        let oldest = self.state.lock().in_flight.pop_front();
        match (found, oldest) {
            (Some(id), Some(request)) if id == request.correlation_id => {
                // The caller may have stopped waiting.
                let _ = request.answer.send(Ok(frame));
                Ok(())
            }
            (Some(id), Some(request)) => {
                let expected = request.correlation_id;
                let _ = request.answer.send(Err(self.lost("the answers came out of order")));
                Err(format!("an answer with correlation id {id} came where {expected} was due"))
            }
            (_, None) => Err("an answer came that nobody had asked for".to_owned()),
            (None, Some(request)) => {
                let _ = request.answer.send(Err(self.lost("an answer without a header")));
                Err("an answer without a header".to_owned())
            }
        }
    }

    /// Marks it closed, once, and fails everything that waits.
    pub(super) fn close(&self, cause: &str) {
        let (outgoing, in_flight) = {
            let mut state = self.state.lock();
            if state.closed.is_some() {
                return;
            }
            state.closed = Some(cause.into());
            (std::mem::take(&mut state.outgoing), std::mem::take(&mut state.in_flight))
        };
        for request in in_flight {
            let _ = request.answer.send(Err(self.lost(cause)));
        }
        for (written, _) in outgoing.into_iter().filter_map(|o| o.written) {
            let _ = written.send(Err(self.lost(cause)));
        }
        self.permits.close();
        self.wake_writer.notify_one();
    }

    fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.in_flight.is_empty() && state.outgoing.is_empty()
    }
}

/// Reads frames until the connection ends.
pub(super) async fn read_loop(stream: Arc<TcpStream>, shared: Arc<Shared>) {
    let mut frames = FrameReader::new(shared.options.max_response_bytes);
    let cause = loop {
        match time::timeout(shared.options.max_idle, frames.next(&stream)).await {
            Ok(Ok(frame)) => {
                if let Err(cause) = shared.deliver(frame) {
                    break cause;
                }
            }
            Ok(Err(cause)) => break cause,
            Err(_) if shared.is_idle() => break "idle for too long".to_owned(),
            Err(_) => {}
        }
    };
    shared.close(&cause);
}

/// Writes queued frames until the connection is closed.
pub(super) async fn write_loop(stream: Arc<TcpStream>, shared: Arc<Shared>) {
    let mut joined = Vec::new();
    loop {
        let (queued, closed) = {
            let mut state = shared.state.lock();
            (std::mem::take(&mut state.outgoing), state.closed.is_some())
        };
        if closed {
            return;
        }
        if queued.is_empty() {
            shared.wake_writer.notified().await;
            continue;
        }
        if let Err(e) = write_all(&stream, queued, &mut joined).await {
            shared.close(&format!("writing failed: {e}"));
            return;
        }
    }
}

/// Writes frames in order, small ones together; then tells those that wait only for that.
async fn write_all(stream: &TcpStream, queued: VecDeque<Outgoing>, joined: &mut Vec<u8>) -> io::Result<()> {
    let mut tell = Vec::new();
    for outgoing in queued {
        if joined.len() + outgoing.bytes.len() > JOIN_BYTES {
            stream.write_all(joined).await?;
            joined.clear();
        }
        if outgoing.bytes.len() >= JOIN_BYTES {
            stream.write_all(&outgoing.bytes).await?;
        } else {
            joined.extend_from_slice(&outgoing.bytes);
        }
        tell.extend(outgoing.written);
    }
    stream.write_all(joined).await?;
    joined.clear();
    for (written, _) in tell {
        let _ = written.send(Ok(()));
    }
    Ok(())
}
