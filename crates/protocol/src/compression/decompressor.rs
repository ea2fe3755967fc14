//! Unpacks piece by piece, with a bound on the sum of the pieces.

use std::io::{self, Read};

use super::{Compression, CompressionError, snappy::SnappyReader, zstd::ZstdReader};

/// Bytes of which the output buffer grows at least, so that small batches do not grow it byte by byte.
const GROWTH_BYTES: usize = 16 << 10;

/// A packed block being read.
///
/// What it holds itself is small for lz4, gzip and snappy blocks as producers write them; a zstd frame may name a window
/// of up to 128 MiB, which is resident only as far as data filled it.
pub struct Decompressor<'a> {
    codec: Compression,
    inner: Inner<'a>,
    limit: usize,
    left: usize,
}

enum Inner<'a> {
    Plain(&'a [u8]),
    Gzip(Box<flate2::bufread::MultiGzDecoder<&'a [u8]>>),
    Snappy(SnappyReader<'a>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<&'a [u8]>>),
    Zstd(ZstdReader<'a>),
}

impl std::fmt::Debug for Decompressor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").field("codec", &self.codec).field("left", &self.left).finish_non_exhaustive()
    }
}

impl<'a> Decompressor<'a> {
    /// Reads `input`, which may unpack to at most `limit` bytes.
    ///
    /// # Errors
    /// When a codec's state cannot be set up.
    pub fn new(codec: Compression, input: &'a [u8], limit: usize) -> Result<Self, CompressionError> {
        let inner = match codec {
            Compression::None => Inner::Plain(input),
            Compression::Gzip => Inner::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(input))),
            Compression::Snappy => Inner::Snappy(SnappyReader::new(input)),
            Compression::Lz4 => Inner::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(input))),
            Compression::Zstd => {
                Inner::Zstd(ZstdReader::new(input).map_err(|cause| CompressionError::Corrupt { codec, cause })?)
            }
        };
        Ok(Self { codec, inner, limit, left: limit })
    }

    /// Fills the start of `out`, which must not be empty; 0 is the end.
    ///
    /// # Errors
    /// When the bytes are broken, or the sum goes over the limit.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, CompressionError> {
        loop {
            let result = match &mut self.inner {
                Inner::Plain(bytes) => read_some(bytes, out),
                Inner::Gzip(r) => read_some(r.as_mut(), out),
                Inner::Snappy(r) => r.read(out),
                Inner::Lz4(r) => read_some(r.as_mut(), out),
                Inner::Zstd(r) => r.read(out),
            };
            match result {
                Ok(n) => {
                    self.left = self.left.checked_sub(n).ok_or(CompressionError::TooLarge { limit: self.limit })?;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(CompressionError::Corrupt { codec: self.codec, cause: e.to_string() }),
            }
        }
    }

    /// Appends all that is left to `out`. The buffer grows with what was unpacked, never with what a header announced.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_to_end(&mut self, out: &mut Vec<u8>) -> Result<(), CompressionError> {
        if let Inner::Plain(bytes) = &self.inner {
            if bytes.len() > self.left {
                return Err(CompressionError::TooLarge { limit: self.limit });
            }
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let mut filled = out.len();
        loop {
            // One byte beyond the limit is room enough to notice that there is more.
            let room = (out.capacity() - filled).max(filled.max(GROWTH_BYTES)).min(self.left.saturating_add(1));
            out.resize(filled + room, 0);
            let spare = out.get_mut(filled..).unwrap_or_default();
            let n = match self.read(spare) {
                Ok(n) => n,
                Err(e) => {
                    out.truncate(filled);
                    return Err(e);
                }
            };
            filled += n;
            if n == 0 {
                out.truncate(filled);
                return Ok(());
            }
        }
    }
}

/// One read of a codec's own reader. How much it gives at once does not matter here, as the callers loop.
#[allow(clippy::disallowed_methods, reason = "a short read is what is wanted")]
fn read_some(reader: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    reader.read(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_add_up() {
        let input: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(i) >> 9) as u8).collect();
        for codec in Compression::ALL {
            let mut packed = Vec::new();
            super::super::compress(codec, None, &input, &mut packed).unwrap();
            for piece in [1usize, 7, 4096, 1 << 20] {
                let mut reader = Decompressor::new(codec, &packed, input.len()).unwrap();
                let (mut out, mut buffer) = (Vec::new(), vec![0; piece]);
                loop {
                    let n = reader.read(&mut buffer).unwrap();
                    if n == 0 {
                        break;
                    }
                    out.extend_from_slice(&buffer[..n]);
                }
                assert_eq!(out, input, "{codec:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_while_it_goes_off() {
        let zeros = vec![0u8; 64 << 20];
        for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
            let (mut packed, mut out) = (Vec::new(), Vec::new());
            super::super::compress(codec, None, &zeros, &mut packed).unwrap();
            let limit = 1 << 20;
            let mut reader = Decompressor::new(codec, &packed, limit).unwrap();
            assert_eq!(reader.read_to_end(&mut out), Err(CompressionError::TooLarge { limit }), "{codec:?}");
            assert!(out.capacity() <= 4 << 20, "{codec:?} took {}", out.capacity());
        }
    }
}
