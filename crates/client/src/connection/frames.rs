//! Splits the incoming bytes into response frames.

use std::io;

use ottla_env::net::TcpStream;

/// Read at least this much at once, so that several small answers cost one read.
const READ_BYTES: usize = 16 << 10;
/// Never make room for more than this before bytes have arrived.
const GROW_BYTES: usize = 1 << 20;
/// The length in front of a frame.
const PREFIX_BYTES: usize = 4;

/// Collects bytes until a frame is whole.
pub(super) struct FrameReader {
    buffer: Vec<u8>,
    max_frame_bytes: usize,
}

impl FrameReader {
    pub(super) fn new(max_frame_bytes: usize) -> Self {
        Self { buffer: Vec::new(), max_frame_bytes }
    }

    /// The next frame with its length prefix. Can be dropped and called again: what was read stays.
    ///
    /// # Errors
    /// A sentence when the peer closed, reading failed, or the frame is too long.
    pub(super) async fn next(&mut self, stream: &TcpStream) -> Result<Vec<u8>, String> {
        loop {
            let wanted = match self.whole_len()? {
                Some(whole) if self.buffer.len() >= whole => {
                    let rest = self.buffer.split_off(whole);
                    return Ok(std::mem::replace(&mut self.buffer, rest));
                }
                Some(whole) => (whole - self.buffer.len()).clamp(READ_BYTES, GROW_BYTES),
                None => READ_BYTES,
            };
            stream.readable().await.map_err(|e| format!("reading failed: {e}"))?;
            match stream.try_read_vec(&mut self.buffer, wanted) {
                Ok(0) if self.buffer.is_empty() => return Err("the broker closed it".to_owned()),
                Ok(0) => return Err("the broker closed it within an answer".to_owned()),
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(e) => return Err(format!("reading failed: {e}")),
            }
        }
    }

    /// Length of the frame in front with its prefix; `None` before the prefix is there.
    fn whole_len(&self) -> Result<Option<usize>, String> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        match usize::try_from(announced) {
            Ok(len) if len >= 4 && len <= self.max_frame_bytes => Ok(Some(PREFIX_BYTES + len)),
            _ => Err(format!(
                "an answer announces {announced} bytes, between 4 and {} are possible: is this a Kafka listener without TLS?",
                self.max_frame_bytes
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_when_its_bytes_are_there_and_never_longer_than_allowed() {
        let mut reader = FrameReader::new(100);
        assert_eq!(reader.whole_len(), Ok(None));
        reader.buffer.extend_from_slice(&[0, 0, 0, 8]);
        assert_eq!(reader.whole_len(), Ok(Some(12)));
        for wrong in [101i32, 3, -1, i32::from_be_bytes(*b"HTTP")] {
            reader.buffer = wrong.to_be_bytes().to_vec();
            assert!(reader.whole_len().is_err(), "{wrong}");
        }
    }
}
