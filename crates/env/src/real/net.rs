//! The system's TCP, driven by tokio's reactor; sendfile where there is one.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BufMut;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::Interest;

use crate::fs::File;
use crate::net::LISTEN_BACKLOG;

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// A bound socket that accepts connections.
#[derive(Debug)]
pub struct TcpListener(tokio::net::TcpListener);

impl TcpListener {
    /// Binds and listens, with SO_REUSEADDR (a restart need not wait for old connections to be forgotten) and a
    /// backlog of [`LISTEN_BACKLOG`]. Port 0 takes a free one. `[::]` also takes IPv4.
    ///
    /// # Errors
    /// Those of bind(2), naming the address.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        Self::bind_now(addr).map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))
    }

    fn bind_now(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if addr.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&addr.into())?;
        socket.listen(LISTEN_BACKLOG)?;
        tokio::net::TcpListener::from_std(socket.into()).map(Self)
    }

    /// The next connection and who made it. It sends without delay (TCP_NODELAY).
    ///
    /// # Errors
    /// Those of accept(2). Running out of descriptors is one that passes: wait, then accept again.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((TcpStream(stream), peer))
    }

    /// The address that it is bound to, with the port that the system chose.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A TCP connection; closed when dropped.
#[derive(Debug)]
pub struct TcpStream(tokio::net::TcpStream);

impl TcpStream {
    /// Connects, without delay on sending (TCP_NODELAY).
    ///
    /// # Errors
    /// Those of connect(2), naming the address. The only deadline is the system's: use [`crate::time::timeout`].
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot connect to {addr}: {error}"));
        let stream = tokio::net::TcpStream::connect(addr).await.map_err(named)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// The peer's address.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    /// Our own address of the connection.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Waits until there may be something to read: bytes, the end or an error. Dropping it loses nothing.
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    /// Waits until there may be room to write. Dropping it loses nothing.
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }

    /// Reads what is there, at most `buf.len()` bytes; 0 when the peer has sent its last.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing yet; else those of the connection.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }

    /// Appends what is there to `buf`, at most `max` bytes, for which it makes room; 0 when the peer has sent its
    /// last (or `max` is 0).
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing yet; else those of the connection.
    pub fn try_read_vec(&self, buf: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        buf.reserve(max);
        self.0.try_read_buf(&mut buf.limit(max))
    }

    /// Reads what is there into the room that `buf` has left, without clearing it first; 0 when the peer has sent its
    /// last (or there is no room).
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing yet; else those of the connection.
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        self.0.try_read_buf(buf)
    }

    /// Sends from the front of `bufs` what the socket takes; returns how many bytes that were.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing now; else those of the connection.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    /// Sends up to `len` bytes of a file from `offset`, from the page cache without a copy where the system can. Pages
    /// that are not cached are read meanwhile, on the calling thread: see [`File::is_cached`].
    ///
    /// # Errors
    /// `WouldBlock` if the socket takes nothing now; `UnexpectedEof` if the file ends at `offset`; else those of the
    /// connection and of the file.
    pub fn try_send_file(&self, file: &File, offset: u64, len: usize) -> io::Result<usize> {
        let sent = self.0.try_io(Interest::WRITABLE, || self.send_file_now(file, offset, len))?;
        if sent == 0 && len > 0 {
            let what = format!("{} ends before {offset}", file.path().display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        Ok(sent)
    }

    #[cfg(target_os = "linux")]
    fn send_file_now(&self, file: &File, offset: u64, len: usize) -> io::Result<usize> {
        let mut position = offset;
        Ok(rustix::fs::sendfile(&self.0, file, Some(&mut position), len)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn send_file_now(&self, file: &File, offset: u64, len: usize) -> io::Result<usize> {
        /// How much is copied at a time: what a socket buffer commonly takes.
        const PIECE: usize = 64 * 1024;
        let mut piece = vec![0; len.min(PIECE)];
        let got = file.read_at(&mut piece, offset)?;
        Ok(rustix::io::write(&self.0, &piece[..got])?)
    }

    /// Has the system probe a silent peer after `idle`, then every `interval`, and give up after `probes` of them.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_keepalive(&self, idle: Duration, interval: Duration, probes: u32) -> io::Result<()> {
        let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(probes);
        SockRef::from(&self.0).set_tcp_keepalive(&keepalive)
    }

    /// Sizes the kernel's buffers; the system rounds and bounds them. `None` leaves one to the system, as does
    /// Kafka's -1.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_buffer_sizes(&self, send: Option<usize>, receive: Option<usize>) -> io::Result<()> {
        let socket = SockRef::from(&self.0);
        if let Some(size) = send {
            socket.set_send_buffer_size(size)?;
        }
        receive.map_or(Ok(()), |size| socket.set_recv_buffer_size(size))
    }

    /// Tells the peer that nothing more will be sent. Reading goes on.
    ///
    /// # Errors
    /// If the connection has ended.
    pub fn shut_down_write(&self) -> io::Result<()> {
        SockRef::from(&self.0).shutdown(std::net::Shutdown::Write)
    }
}
