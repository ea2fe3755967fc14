//! TCP: listeners, streams and names. Everything takes `&self`, so that one task may read while another writes.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use crate::fs::File;
use crate::platform::net as platform;
pub use crate::platform::net::{TcpListener, TcpStream};

/// Connections that the kernel completes before anybody accepts them.
pub const LISTEN_BACKLOG: i32 = 1024;

/// The addresses of a host name, or the address that it spells.
///
/// # Errors
/// If the name is unknown or has no address.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    // "[::1]" is how an IPv6 address is written beside a port.
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let addresses = platform::resolve(host, port).await?;
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")));
    }
    Ok(addresses)
}

/// The name of this machine, which others may know it by.
#[must_use]
pub fn host_name() -> String {
    platform::host_name()
}

impl TcpStream {
    /// Waits for bytes and reads them; returns how many, 0 when the peer has sent its last.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.readable().await?;
            match self.try_read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }

    /// Fills `buf`.
    ///
    /// # Errors
    /// Those of the connection, and `UnexpectedEof` if the peer ends before `buf` is full.
    pub async fn read_exact(&self, buf: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read(&mut buf[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => filled += n,
            }
        }
        Ok(())
    }

    /// Sends all of `buf`. If it is dropped before it returns, part of `buf` may have been sent.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < buf.len() {
            match self.try_write_vectored(&[IoSlice::new(&buf[sent..])]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends `len` bytes of a file from `offset`; see [`TcpStream::try_send_file`].
    ///
    /// # Errors
    /// Those of the connection and of the file; `UnexpectedEof` if the file ends before.
    pub async fn send_file_all(&self, file: &File, offset: u64, len: u64) -> io::Result<()> {
        let mut sent = 0;
        while sent < len {
            let piece = usize::try_from(len - sent).unwrap_or(usize::MAX);
            match self.try_send_file(file, offset + sent, piece) {
                Ok(n) => sent += n as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(all(test, not(sim)))]
mod tests;
