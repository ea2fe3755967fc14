//! A connection on which nothing waits: frames go out and come in as far as the socket takes and has them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Result, bail, ensure};

use crate::wire::{ANSWER_MAX, Connection};

/// One.
pub struct Link {
    stream: TcpStream,
    /// The rest of a frame that the socket did not take whole.
    unsent: Vec<u8>,
    inbox: Vec<u8>,
    filled: usize,
}

impl Link {
    /// Connects, and is sure that the broker has accepted it; reads so many bytes at once.
    pub fn open(read_bytes: usize) -> Result<Self> {
        let link = Self::open_waiting(read_bytes)?;
        link.stream.set_nonblocking(true)?;
        Ok(link)
    }

    /// The same, but for one that waits for its answers: one loop has nothing else to do.
    pub fn open_waiting(read_bytes: usize) -> Result<Self> {
        let mut connection = Connection::open()?;
        connection.greet()?;
        Ok(Self::over(connection.into_stream(), read_bytes))
    }

    /// One that exists.
    pub fn over(stream: TcpStream, read_bytes: usize) -> Self {
        Self { stream, unsent: Vec::new(), inbox: vec![0; read_bytes], filled: 0 }
    }

    /// Whether the last frame went out whole: only then the next one may.
    pub fn is_free(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Sends a frame, and keeps of it what the socket does not take.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        let sent = write_some(&mut self.stream, frame)?;
        self.unsent.extend(&frame[sent..]);
        Ok(())
    }

    /// Sends what was kept.
    pub fn flush(&mut self) -> Result<()> {
        if !self.unsent.is_empty() {
            let sent = write_some(&mut self.stream, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        Ok(())
    }

    /// Reads what there is and hands on each whole frame, without its length. A read that brings less than it might has emptied the
    /// socket, and is the last one.
    pub fn receive(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            let space = self.inbox.len() - self.filled;
            let read = match self.stream.read(&mut self.inbox[self.filled..]) {
                Ok(0) => bail!("the broker has closed a connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.filled += read;
            self.hand_on(&mut each)?;
            if read < space {
                return Ok(());
            }
        }
    }

    fn hand_on(&mut self, each: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut at = 0;
        let missing = loop {
            let rest = &self.inbox[at..self.filled];
            let Some((len, frame)) = rest.split_first_chunk::<4>() else { break 0 };
            let len = usize::try_from(i32::from_be_bytes(*len))?;
            ensure!((4..ANSWER_MAX).contains(&len), "an answer of {len} bytes");
            let Some(frame) = frame.get(..len) else { break 4 + len };
            each(frame)?;
            at += 4 + len;
        };
        self.inbox.copy_within(at..self.filled, 0);
        self.filled -= at;
        if missing > self.inbox.len() {
            self.inbox.resize(missing, 0);
        }
        Ok(())
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// As much as the socket takes.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A link that reads 16 bytes at once, and its peer.
    fn pair() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        (Link::over(stream, 16), listener.accept().unwrap().0)
    }

    /// Frames that are there after `bytes` bytes more have come.
    fn received(link: &mut Link, peer: &mut TcpStream, bytes: &[u8]) -> Vec<Vec<u8>> {
        peer.write_all(bytes).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let mut frames = Vec::new();
        link.receive(|frame| {
            frames.push(frame.to_vec());
            Ok(())
        })
        .unwrap();
        frames
    }

    #[test]
    fn frames_are_whole_however_they_come() {
        let (mut link, mut peer) = pair();
        let long = [&[0, 0, 0, 40][..], &[7; 40]].concat();
        assert!(received(&mut link, &mut peer, &[0, 0, 0]).is_empty());
        assert_eq!(received(&mut link, &mut peer, &[4, 1, 2, 3, 4, 0]), [[1, 2, 3, 4]]);
        let rest = [&[0, 0, 4, 5, 6, 7, 8], &long[..30]].concat();
        assert_eq!(received(&mut link, &mut peer, &rest), [[5, 6, 7, 8]]);
        assert_eq!(received(&mut link, &mut peer, &long[30..]), [[7; 40]]);
        drop(peer);
        assert!(link.receive(|_| Ok(())).is_err(), "a closed connection is told");
    }

    #[test]
    fn what_the_socket_does_not_take_is_sent_later() {
        let (mut link, mut peer) = pair();
        let frame = vec![9; 32 << 20];
        link.send(&frame).unwrap();
        assert!(!link.is_free(), "a socket does not take 32 MiB");
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 32 << 20];
            peer.read_exact(&mut all).unwrap();
            all
        });
        while !link.is_free() {
            link.flush().unwrap();
        }
        assert_eq!(reader.join().unwrap(), frame);
    }
}
