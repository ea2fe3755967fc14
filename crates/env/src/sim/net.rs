//! The doors of `crate::net` to the simulated network.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::context::Context;
use super::host::address_of;
use super::network::{Refused, Waits};
use super::time::sleep;
use super::world::{State, World};
use crate::fs::File;
use crate::net::LISTEN_BACKLOG;

/// How long a connection attempt over a cut link is repeated, and how often.
const CONNECT_PATIENCE: u32 = 60;
const CONNECT_RETRY: Duration = Duration::from_secs(1);

pub(crate) fn host_name() -> String {
    Context::current().with_host(|host, _| host.name.clone())
}

/// Host names, addresses and `localhost`.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    sleep(Duration::from_micros(200)).await;
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if host == "localhost" {
        return Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
    }
    let world = Context::current().world;
    let index = world.state.lock().hosts.iter().position(|known| known.name == host);
    Ok(index.map(|index| SocketAddr::new(address_of(index), port)).into_iter().collect())
}

/// A port of a simulated host that accepts connections.
#[derive(Debug)]
pub struct TcpListener {
    context: Context,
    address: SocketAddr,
}

impl TcpListener {
    /// Binds and listens. Port 0 takes a free one.
    ///
    /// # Errors
    /// `AddrInUse`; `AddrNotAvailable` for another host's address.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let named = |kind: io::ErrorKind| io::Error::new(kind, format!("cannot listen on {addr}: {kind}"));
        let context = Context::current();
        let own = addr.ip().is_unspecified() || addr.ip().is_loopback() || addr.ip() == address_of(context.host);
        if !own {
            return Err(named(io::ErrorKind::AddrNotAvailable));
        }
        let port = context.world.state.lock().network.listen(context.host, addr.port());
        let port = port.ok_or_else(|| named(io::ErrorKind::AddrInUse))?;
        Ok(Self { context, address: SocketAddr::new(addr.ip(), port) })
    }

    /// The next connection and who made it.
    ///
    /// # Errors
    /// If the host has died since.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let host = self.context.host;
        let connection = std::future::poll_fn(|cx| {
            let state = &mut *self.context.world.state.lock();
            let Some(listener) = state.network.listener(host, self.address.port()) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            if let Some(connection) = listener.waiting.pop_front() {
                return Poll::Ready(io::Result::Ok(connection));
            }
            listener.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await?;
        let stream = TcpStream { world: Arc::clone(&self.context.world), connection, side: 1 };
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// None.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let wakers = {
            let state = &mut *self.context.world.state.lock();
            // A port that the next life of the host listens on is not ours to close.
            if state.hosts[self.context.host].life != self.context.life {
                return;
            }
            state.network.stop_listening(self.context.host, self.address.port())
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One end of a simulated connection; closed when dropped.
#[derive(Debug)]
pub struct TcpStream {
    world: Arc<World>,
    connection: u64,
    side: usize,
}

impl TcpStream {
    /// Connects.
    ///
    /// # Errors
    /// `ConnectionRefused` if nobody listens; `TimedOut` if the link stays cut.
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let named = |kind: io::ErrorKind| io::Error::new(kind, format!("cannot connect to {addr}: {kind}"));
        let context = Context::current();
        let world = context.world;
        for _ in 0..CONNECT_PATIENCE {
            let (target, latency, cut) = {
                let state = &mut *world.state.lock();
                let target = if addr.ip().is_loopback() {
                    Some(context.host)
                } else {
                    (0..state.hosts.len()).find(|&index| address_of(index) == addr.ip())
                };
                let target = target.ok_or_else(|| named(io::ErrorKind::HostUnreachable))?;
                let there = state.network.link(context.host, target);
                let back = state.network.link(target, context.host);
                (target, there.max_latency_ns + back.max_latency_ns, there.cut || back.cut)
            };
            if cut {
                sleep(CONNECT_RETRY).await;
                continue;
            }
            sleep(Duration::from_nanos(latency)).await;
            let (connection, wakers) = establish(&mut world.state.lock(), context.host, target, addr).map_err(named)?;
            wakers.into_iter().for_each(Waker::wake);
            return Ok(Self { world, connection, side: 0 });
        }
        Err(named(io::ErrorKind::TimedOut))
    }

    /// The peer's address.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.address(1 - self.side)
    }

    /// Our own address of the connection.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.address(self.side)
    }

    fn address(&self, side: usize) -> io::Result<SocketAddr> {
        let state = self.world.state.lock();
        let end = state.network.end(self.connection, side);
        end.map(|end| end.address).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Waits until there may be something to read: bytes, the end or an error.
    ///
    /// # Errors
    /// None.
    pub async fn readable(&self) -> io::Result<()> {
        self.wait(|state| state.network.waits_to_read(self.connection, self.side, state.now_ns)).await
    }

    /// Waits until there may be room to write.
    ///
    /// # Errors
    /// None.
    pub async fn writable(&self) -> io::Result<()> {
        self.wait(|state| state.network.waits_to_write(self.connection, self.side)).await
    }

    async fn wait(&self, look: impl Fn(&State) -> Waits) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            let state = &mut *self.world.state.lock();
            match look(state) {
                Waits::No => return Poll::Ready(Ok(())),
                Waits::Until(at_ns) => {
                    state.next_timer += 1;
                    state.timers.insert((at_ns, state.next_timer), cx.waker().clone());
                }
                Waits::Forever => {}
            }
            state.network.wait_at(self.connection, self.side, cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Reads what is there, at most `buf.len()` bytes; 0 when the peer has sent its last.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing yet; `ConnectionReset`.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let (max, mut at) = (buf.len(), 0);
        self.read_with(max, |bytes| {
            buf[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        })
    }

    /// Appends what is there to `buf`, at most `max` bytes; 0 when the peer has sent its last (or `max` is 0).
    ///
    /// # Errors
    /// As [`TcpStream::try_read`].
    pub fn try_read_vec(&self, buf: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        self.read_with(max, |bytes| buf.extend_from_slice(bytes))
    }

    /// Reads what is there into the room that `buf` has left; 0 when the peer has sent its last (or there is no room).
    ///
    /// # Errors
    /// As [`TcpStream::try_read`].
    pub fn try_read_buf<B: bytes::BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        // A Vec grows for as long as it is asked to: what it offers as its next chunk is its room.
        self.read_with(buf.chunk_mut().len(), |bytes| buf.put_slice(bytes))
    }

    fn read_with(&self, max: usize, take: impl FnMut(&[u8])) -> io::Result<usize> {
        let (got, wakers) = {
            let state = &mut *self.world.state.lock();
            let outcome = state.network.read(self.connection, self.side, max, state.now_ns, take);
            state.note(format_args!("receive {} {}", self.connection, summary(&outcome)));
            outcome.map_err(to_error)?
        };
        wakers.into_iter().for_each(Waker::wake);
        Ok(got)
    }

    /// Sends from the front of `bufs` what the socket takes; returns how many bytes that were.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing now; `ConnectionReset`, `BrokenPipe`.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let (sent, wakers) = {
            let state = &mut *self.world.state.lock();
            let outcome = state.network.write(self.connection, self.side, &bytes, state.now_ns, &mut state.rng);
            state.note(format_args!("send {} {}", self.connection, summary(&outcome)));
            outcome.map_err(to_error)?
        };
        wakers.into_iter().for_each(Waker::wake);
        Ok(sent)
    }

    /// Sends up to `len` bytes of a file from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends at `offset`; else as [`TcpStream::try_write_vectored`] and as reading.
    pub fn try_send_file(&self, file: &File, offset: u64, len: usize) -> io::Result<usize> {
        /// What is read for one write.
        const PIECE: usize = 64 * 1024;
        let mut piece = vec![0; len.min(PIECE)];
        let got = file.read_at(&mut piece, offset)?;
        if got == 0 && len > 0 {
            let what = format!("{} ends before {offset}", file.path().display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        self.try_write_vectored(&[IoSlice::new(&piece[..got])])
    }

    /// Nothing: a simulated connection does not go silent.
    ///
    /// # Errors
    /// None.
    pub fn set_keepalive(&self, _idle: Duration, _interval: Duration, _probes: u32) -> io::Result<()> {
        Ok(())
    }

    /// Nothing: the window is fixed.
    ///
    /// # Errors
    /// None.
    pub fn set_buffer_sizes(&self, _send: Option<usize>, _receive: Option<usize>) -> io::Result<()> {
        Ok(())
    }

    /// Tells the peer that nothing more will be sent. Reading goes on.
    ///
    /// # Errors
    /// None.
    pub fn shut_down_write(&self) -> io::Result<()> {
        let wakers = {
            let state = &mut *self.world.state.lock();
            state.network.finish(self.connection, self.side, state.now_ns, &mut state.rng)
        };
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        let wakers = {
            let state = &mut *self.world.state.lock();
            let mut wakers = state.network.finish(self.connection, self.side, state.now_ns, &mut state.rng);
            wakers.append(&mut state.network.close(self.connection, self.side, false));
            wakers
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Makes the connection, if somebody listens and has room.
fn establish(state: &mut State, from: usize, to: usize, addr: SocketAddr) -> Result<(u64, Vec<Waker>), io::ErrorKind> {
    let own = if addr.ip().is_loopback() { addr.ip() } else { address_of(from) };
    let own = SocketAddr::new(own, state.network.free_port());
    let backlog = LISTEN_BACKLOG as usize;
    let room = state.network.listener(to, addr.port()).map(|listener| listener.waiting.len() < backlog);
    if room != Some(true) {
        return Err(io::ErrorKind::ConnectionRefused);
    }
    let connection = state.network.connect((from, own), (to, addr));
    state.note(format_args!("connect {connection} {own} to {addr}"));
    let listener = state.network.listener(to, addr.port()).ok_or(io::ErrorKind::ConnectionRefused)?;
    listener.waiting.push_back(connection);
    Ok((connection, std::mem::take(&mut listener.wakers)))
}

fn summary<T>(outcome: &Result<(usize, T), Refused>) -> impl std::fmt::Display {
    match outcome {
        Ok((bytes, _)) => format!("{bytes} bytes"),
        Err(refused) => format!("{refused:?}"),
    }
}

fn to_error(refused: Refused) -> io::Error {
    let kind = match refused {
        Refused::WouldBlock => io::ErrorKind::WouldBlock,
        Refused::Reset => io::ErrorKind::ConnectionReset,
        Refused::BrokenPipe => io::ErrorKind::BrokenPipe,
    };
    kind.into()
}
