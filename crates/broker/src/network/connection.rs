//! One connection: reads frames under the memory budget, hands them to the dispatch, and answers in their order.
//!
//! ```text
//!   readable ─> buffer ─> whole frames ─> dispatch ─┬─ Reply ────────────┐
//!                                                   ├─ Later ── pending ─┤ in_flight, in order ─> send
//!                                                   └─ Nothing           ┘
//! ```
//!
//! All whole frames of one read are handled before anything is sent, so their answers leave together. A request that
//! waits (a parked fetch, a join) does not hold up the handling of those behind it, only their answers; it goes on while
//! others are being sent, so that a peer which reads slowly holds up nobody else. What cannot be answered takes its place
//! in the order too: answers before it still leave.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use ottla_env::net::TcpStream;
use ottla_env::time;

use super::memory::{HalfReadFrame, MemoryPermit};
use super::reaper::{Phase, Pulse};
use super::send::send;
use crate::broker::Broker;
use crate::context::{Answer, ConnectionInfo, LaterResponse, Refusal, Response};
use crate::dispatch::{self, Request};

/// Requests of one connection that may wait for their answers at a time; beyond that it is not read.
const MAX_IN_FLIGHT: usize = 64;
/// Room made for a read when nothing is known of what comes.
const FIRST_READ: usize = 16 << 10;
/// A read is not worth its call with less room than this, unless less is missing.
const LEAST_READ: usize = 4 << 10;
/// Room made for a read in the middle of a frame, unless more of it is there already.
const NEXT_READ: usize = 64 << 10;
/// Room that a connection gets at once, at most, because its frames have been that large.
const USUAL_FRAME_MAX: usize = 1 << 20;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the peer closed it")]
    Closed,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{api} v{version}: {cause}")]
    Refused { api: &'static str, version: i16, cause: Refusal },
}

enum InFlight {
    Ready(Response),
    Pending {
        request: Request,
        later: LaterResponse,
    },
    Nothing {
        mute_ms: i32,
    },
    /// The connection ends here.
    End(End),
}

impl InFlight {
    /// How long the connection rests after it.
    fn mute_ms(&self) -> i32 {
        match self {
            Self::Ready(response) => response.mute_ms,
            Self::Nothing { mute_ms } => *mute_ms,
            Self::Pending { .. } | Self::End(_) => 0,
        }
    }
}

/// A read buffer and what it counts for; parked in the pulse while the connection is idle, where it may be dropped.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    pub(super) bytes: BytesMut,
    pub(super) permit: MemoryPermit,
}

struct Connection {
    stream: TcpStream,
    info: Arc<ConnectionInfo>,
    broker: Arc<Broker>,
    pulse: Arc<Pulse>,
    buffer: ReadBuffer,
    half_read: Option<HalfReadFrame>,
    /// Bytes that are missing from the frame at the front of the buffer.
    missing: usize,
    /// Size of the largest recent frame, which did arrive: how much room the next one gets at once.
    usual_frame: usize,
    in_flight: VecDeque<InFlight>,
}

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, info: ConnectionInfo, broker: Arc<Broker>, pulse: Arc<Pulse>) {
    let info = Arc::new(info);
    let buffer = ReadBuffer { bytes: BytesMut::new(), permit: broker.memory.permit(0) };
    let mut connection = Connection {
        stream,
        info: Arc::clone(&info),
        broker: Arc::clone(&broker),
        pulse: Arc::clone(&pulse),
        buffer,
        half_read: None,
        missing: 0,
        usual_frame: 0,
        in_flight: VecDeque::new(),
    };
    let end = tokio::select! {
        biased;
        () = pulse.closing() => return,
        end = connection.run() => end,
    };
    match end {
        Err(End::Refused { api, version, cause }) => {
            broker.counters.refused_requests.add(1);
            tracing::warn!(peer = %info.peer, listener = %info.listener.name, api, version, %cause,
                "closing a connection because of what it sent");
        }
        Err(e) => tracing::debug!(peer = %info.peer, cause = %e, "connection ended"),
        Ok(()) => {}
    }
}

impl Connection {
    async fn run(&mut self) -> Result<(), End> {
        loop {
            self.handle_frames();
            self.send_ready().await?;
            self.wait().await?;
        }
    }

    /// Waits until bytes were read or the answer at the front is known.
    async fn wait(&mut self) -> Result<(), End> {
        self.pulse.enter(match (&self.half_read, self.in_flight.is_empty()) {
            (_, false) => Phase::Working,
            (Some(_), _) => Phase::Reading,
            (None, true) => Phase::Idle,
        });
        if self.in_flight.is_empty() {
            return self.read().await;
        }
        let may_read = self.may_handle();
        let mut in_flight = std::mem::take(&mut self.in_flight);
        let outcome = tokio::select! {
            biased;
            () = poll_fn(|cx| poll_pending(&mut in_flight, cx)) => Ok(()),
            read = self.read(), if may_read => read,
        };
        self.in_flight = in_flight;
        outcome
    }

    /// Whether another request may be handled: not too many wait, and none has ended the connection.
    fn may_handle(&self) -> bool {
        self.in_flight.len() < MAX_IN_FLIGHT && !matches!(self.in_flight.back(), Some(InFlight::End(_)))
    }

    async fn read(&mut self) -> Result<(), End> {
        if self.buffer.bytes.is_empty() {
            self.pulse.park(&mut self.buffer);
        }
        self.stream.readable().await?;
        self.pulse.unpark(&mut self.buffer);
        self.make_room().await;
        match self.stream.try_read_buf(&mut self.buffer.bytes) {
            Ok(0) => Err(End::Closed),
            Ok(_) => Ok(()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes room for the next read: by as much as is there already, never by what a frame announces; only frames of a
    /// size that this connection has sent before get their room at once.
    async fn make_room(&mut self) {
        let ReadBuffer { bytes, permit } = &mut self.buffer;
        let wanted = match self.missing {
            0 => FIRST_READ.max(self.usual_frame),
            missing => missing.min(bytes.len().max(NEXT_READ).max(self.usual_frame)),
        };
        let spare = bytes.capacity() - bytes.len();
        let too_little = if self.missing > 0 { wanted } else { wanted.min(LEAST_READ) };
        if spare < too_little {
            // Waiting for memory is our fault, not the peer's.
            self.pulse.frame_not_awaited();
            self.broker.memory.grow(permit, wanted, self.half_read.as_ref()).await;
            bytes.reserve(wanted);
            permit.shrink_to(bytes.capacity());
            if self.half_read.is_some() {
                self.pulse.frame_awaited(self.missing);
            }
        }
    }

    /// Handles every whole frame in the buffer, as far as answers may be outstanding.
    fn handle_frames(&mut self) {
        while self.may_handle() {
            let answer = match self.frame_size() {
                Ok(Some(size)) => self.handle_frame(size),
                Ok(None) => break,
                Err(end) => Some(InFlight::End(end)),
            };
            self.in_flight.extend(answer);
        }
        self.buffer.permit.shrink_to(self.buffer.bytes.capacity());
    }

    /// Handles the frame of that size at the front of the buffer; `None` when it is not to be answered.
    fn handle_frame(&mut self, size: usize) -> Option<InFlight> {
        let frame = self.buffer.bytes.split_to(size);
        self.usual_frame = size.max(self.usual_frame - self.usual_frame / 8).min(USUAL_FRAME_MAX);
        if self.half_read.take().is_some() {
            self.pulse.frame_not_awaited();
        }
        self.missing = 0;
        let request = match dispatch::read(&self.info, &frame) {
            Ok(request) => request,
            Err((api, version, cause)) => return Some(InFlight::End(End::Refused { api, version, cause })),
        };
        let permit = self.broker.memory.permit(size);
        match dispatch::handle(&self.broker, &self.info, &request, frame, permit) {
            Ok(Answer::Reply(response)) => Some(InFlight::Ready(response)),
            Ok(Answer::Later(later)) => Some(InFlight::Pending { request, later }),
            Ok(Answer::Nothing { mute_ms: ..=0 }) => None,
            Ok(Answer::Nothing { mute_ms }) => Some(InFlight::Nothing { mute_ms }),
            Err(cause) => Some(InFlight::End(refused(&request, cause))),
        }
    }

    /// The size of the frame at the front, its length prefix included, once it is whole.
    fn frame_size(&mut self) -> Result<Option<usize>, End> {
        let Some(prefix) = self.buffer.bytes.first_chunk::<4>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        let max = self.broker.config.socket_request_max_bytes;
        let size = usize::try_from(announced).ok().filter(|size| *size <= max).ok_or_else(|| End::Refused {
            api: "frame",
            version: 0,
            cause: Refusal::FrameTooLarge { size: i64::from(announced), max },
        })? + 4;
        self.missing = size.saturating_sub(self.buffer.bytes.len());
        if self.missing == 0 {
            return Ok(Some(size));
        }
        if self.half_read.is_none() {
            self.half_read = Some(self.broker.memory.half_read_frame());
            self.pulse.frame_awaited(self.missing);
        }
        Ok(None)
    }

    /// Sends the answers that are known, up to the first that is not.
    async fn send_ready(&mut self) -> Result<(), End> {
        loop {
            let (mut ready, mut mute_ms) = (Vec::new(), 0);
            while let Some(known) =
                self.in_flight.pop_front_if(|slot| matches!(slot, InFlight::Ready(_) | InFlight::Nothing { .. }))
            {
                mute_ms = mute_ms.max(known.mute_ms());
                if let InFlight::Ready(response) = known {
                    ready.push(response);
                }
            }
            if !ready.is_empty() {
                self.send(&ready).await?;
            }
            if !ready.is_empty() || mute_ms > 0 {
                self.mute(mute_ms).await;
                // Frames that waited because too many answers were outstanding.
                self.handle_frames();
                continue;
            }
            return match self.in_flight.pop_front_if(|slot| matches!(slot, InFlight::End(_))) {
                Some(InFlight::End(end)) => Err(end),
                _ => Ok(()),
            };
        }
    }

    async fn send(&mut self, ready: &[Response]) -> Result<(), End> {
        self.pulse.enter(Phase::Writing);
        let in_flight = &mut self.in_flight;
        let from_files = tokio::select! {
            biased;
            sent = send(&self.stream, &self.pulse, ready) => sent?,
            never = poll_fn(|cx| drive_pending(in_flight, cx)) => match never {},
        };
        self.broker.counters.bytes_out.add(from_files);
        Ok(())
    }

    /// Lets the connection rest, as its quota asks (KIP-219); what waits goes on.
    async fn mute(&mut self, ms: i32) {
        let Ok(ms @ 1..) = u64::try_from(ms) else { return };
        self.pulse.enter(Phase::Working);
        let in_flight = &mut self.in_flight;
        tokio::select! {
            biased;
            () = time::sleep(Duration::from_millis(ms)) => {}
            never = poll_fn(|cx| drive_pending(in_flight, cx)) => match never {},
        }
    }
}

fn refused(request: &Request, cause: Refusal) -> End {
    End::Refused { api: request.api.name(), version: request.version, cause }
}

/// Lets every pending answer go on, for as long as something else takes.
fn drive_pending(in_flight: &mut VecDeque<InFlight>, cx: &mut Context<'_>) -> Poll<Infallible> {
    for slot in in_flight.iter_mut() {
        let InFlight::Pending { request, later } = slot else { continue };
        match later.as_mut().poll(cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(Answer::Reply(response))) => *slot = InFlight::Ready(response),
            Poll::Ready(Ok(Answer::Later(more))) => {
                *later = more;
                cx.waker().wake_by_ref();
            }
            Poll::Ready(Ok(Answer::Nothing { mute_ms })) => *slot = InFlight::Nothing { mute_ms },
            Poll::Ready(Err(cause)) => *slot = InFlight::End(refused(request, cause)),
        }
    }
    Poll::Pending
}

/// Lets every pending answer go on; ready once the one at the front is known.
fn poll_pending(in_flight: &mut VecDeque<InFlight>, cx: &mut Context<'_>) -> Poll<()> {
    // Never ready, it only drives.
    let _ = drive_pending(in_flight, cx);
    match in_flight.front() {
        Some(InFlight::Pending { .. }) => Poll::Pending,
        _ => Poll::Ready(()),
    }
}
