//! The codecs of record batches: gzip, snappy, lz4 and zstd, read within a bound and written as Kafka's own client
//! writes them.
//!
//! Compressed bytes come from outside and a few of them may stand for gigabytes, so every way to read them takes a limit:
//! [`decompress`] fills a buffer with at most so many bytes, and [`Decompressor`] hands out piece after piece for those who
//! need not see them all at once.

mod decompressor;
mod snappy;
mod zstd;

use std::io::Write as _;

pub use decompressor::Decompressor;

/// How the records of a batch are packed: the lowest three bits of its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Compression {
    /// As they are.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy, in the blocks of the xerial library or raw.
    Snappy = 2,
    /// The LZ4 frame format.
    Lz4 = 3,
    /// Zstandard (KIP-110), from Produce 7 and Fetch 10 on.
    Zstd = 4,
}

/// Why bytes could not be unpacked, or packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// A codec number that Kafka does not have.
    #[error("{0} is no compression codec that Kafka knows")]
    UnknownCodec(u8),
    /// The bytes are not what the codec writes.
    #[error("the {} data is broken: {cause}", codec.name())]
    Corrupt {
        /// Codec.
        codec: Compression,
        /// What its decoder found.
        cause: String,
    },
    /// They unpack to more than the limit.
    #[error("the data unpacks to more than the {limit} bytes allowed")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The encoder refused, which it does for a level that it does not have.
    #[error("{} could not compress: {cause}", codec.name())]
    Encoder {
        /// Codec.
        codec: Compression,
        /// What it said.
        cause: String,
    },
}

impl Compression {
    /// The bits of a batch's or message's attributes that name the codec.
    pub const ATTRIBUTE_MASK: i16 = 0b111;

    /// Every codec.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of a batch's attributes.
    ///
    /// # Errors
    /// For the numbers 5 to 7, which Kafka does not have.
    pub fn from_attributes(attributes: i16) -> Result<Self, CompressionError> {
        match (attributes & Self::ATTRIBUTE_MASK) as u8 {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(CompressionError::UnknownCodec(other)),
        }
    }

    /// The codec of a name as `compression.type` has it: `none`, `gzip`, `snappy`, `lz4`, `zstd`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// Its name in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Unpacks `input` into `out`, which is emptied first; its capacity is reused, so one buffer serves many batches.
///
/// # Errors
/// When the bytes are broken, or unpack to more than `limit` bytes.
pub fn decompress(codec: Compression, input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CompressionError> {
    out.clear();
    Decompressor::new(codec, input, limit)?.read_to_end(out)
}

/// Packs `input` and appends the result to `out`.
///
/// `level` is the codec's own (`compression.gzip.level` 1 to 9, `compression.zstd.level`), `None` for Kafka's default.
/// Snappy has no levels, and our lz4 has one: Kafka's lz4 levels only trade time for size, the format is the same.
///
/// # Errors
/// When the codec does not have the level.
pub fn compress(
    codec: Compression,
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let failed = |cause: String| CompressionError::Encoder { codec, cause };
    match codec {
        Compression::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => {
            let level = level.and_then(|l| u32::try_from(l).ok()).filter(|l| *l <= 9).unwrap_or(6);
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(level));
            encoder.write_all(input).and_then(|()| encoder.finish().map(drop)).map_err(|e| failed(e.to_string()))
        }
        Compression::Snappy => snappy::compress_xerial(input, out).map_err(|e| failed(e.to_string())),
        Compression::Lz4 => {
            // Independent blocks of 64 KiB: Kafka's Java reader refuses linked ones.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, out);
            encoder.write_all(input).map_err(|e| failed(e.to_string()))?;
            encoder.finish().map(drop).map_err(|e| failed(e.to_string()))
        }
        Compression::Zstd => zstd::compress(level, input, out).map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        (0..200_000u32).flat_map(|i| (i / 7 % 251).to_le_bytes()).take(300_000).collect()
    }

    #[test]
    fn every_codec_gives_back_what_it_was_given() {
        for input in [Vec::new(), b"x".to_vec(), sample()] {
            for codec in Compression::ALL {
                let (mut packed, mut out) = (Vec::new(), Vec::new());
                compress(codec, None, &input, &mut packed).unwrap();
                decompress(codec, &packed, &mut out, input.len()).unwrap();
                assert_eq!(out, input, "{codec:?}");
            }
        }
    }

    #[test]
    fn the_limit_holds_for_every_codec() {
        let input = sample();
        for codec in Compression::ALL {
            let (mut packed, mut out) = (Vec::new(), Vec::new());
            compress(codec, None, &input, &mut packed).unwrap();
            let limit = input.len() - 1;
            assert_eq!(
                decompress(codec, &packed, &mut out, limit),
                Err(CompressionError::TooLarge { limit }),
                "{codec:?}"
            );
        }
    }

    #[test]
    fn a_truncated_block_is_an_error_and_no_shorter_result() {
        let input = sample();
        for codec in Compression::ALL.into_iter().skip(1) {
            let (mut packed, mut out) = (Vec::new(), Vec::new());
            compress(codec, None, &input, &mut packed).unwrap();
            for end in [packed.len() - 1, packed.len() / 2, 5] {
                let result = decompress(codec, &packed[..end], &mut out, input.len());
                // The lz4 reader takes the end of its input for an end mark, if no block is cut by it.
                if codec == Compression::Lz4 && end == packed.len() - 1 {
                    assert_eq!((result, &out), (Ok(()), &input));
                } else {
                    assert!(matches!(result, Err(CompressionError::Corrupt { .. })), "{codec:?} cut at {end}");
                }
            }
        }
    }

    #[test]
    fn names_and_attributes_are_kafkas() {
        assert_eq!(Compression::from_name("lz4"), Some(Compression::Lz4));
        assert_eq!(Compression::from_name("producer"), None);
        assert_eq!(Compression::from_attributes(0b1100), Ok(Compression::Zstd));
        assert_eq!(Compression::from_attributes(5), Err(CompressionError::UnknownCodec(5)));
    }
}
