//! Message sets of magic 0 and 1, which brokers wrote before Kafka 0.11 and which old segments still hold. They are read;
//! compaction alone writes one anew, when messages of a wrapper go ([`write_wrapper`]).
//!
//! ```text
//! offset i64 | size i32 | crc u32 | magic i8 | attributes i8 | timestamp i64 (magic 1) | key | value
//!                         key, value: length i32 (-1 null), bytes       crc: CRC-32 from the magic on
//! ```
//!
//! A compressed message is a wrapper: its value is a message set. With magic 0 the messages within carry their own
//! offsets; with magic 1 they count from the first, and the wrapper has the offset of the last (KIP-31). A wrapper does not
//! hold wrappers.
//!
//! [`entries`] goes through a set without unpacking; [`messages`] gives what one entry stands for.

use crate::compression::{Compression, compress, decompress};
use crate::record_batch::{BatchError, LOG_OVERHEAD, TimestampType, entry_size};

mod lz4_magic_0;

/// Bytes of a message besides timestamp, key and value: offset, size, checksum, magic, attributes and the two lengths.
const MIN_MESSAGE_BYTES: usize = 26;
const TIMESTAMP_TYPE_BIT: i8 = 1 << 3;

/// A message as it stands in the log; compressed, it stands for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyEntry<'a> {
    /// Offset; that of the last message within, when it is a wrapper.
    pub offset: i64,
    /// 0 or 1.
    pub magic: i8,
    /// Bits 0-2 codec, 3 timestamp type.
    pub attributes: i8,
    /// In ms; -1 with magic 0, which has none.
    pub timestamp: i64,
    /// Key, or null.
    pub key: Option<&'a [u8]>,
    /// Value, or null.
    pub value: Option<&'a [u8]>,
    /// Its bytes, offset and size included.
    pub bytes: &'a [u8],
}

/// A single message, unpacked, with the offset and timestamp that it counts under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyMessage<'a> {
    /// Offset.
    pub offset: i64,
    /// In ms, -1 with magic 0.
    pub timestamp: i64,
    /// Key, or null.
    pub key: Option<&'a [u8]>,
    /// Value, or null.
    pub value: Option<&'a [u8]>,
    /// Its bytes as they stand there, or in the wrapper; [`LegacyEntry::read`] tells their checksum.
    pub bytes: &'a [u8],
}

impl<'a> LegacyEntry<'a> {
    /// Reads the message at the start of `bytes`; its checksum is not looked at.
    ///
    /// # Errors
    /// When it is not whole, or not of magic 0 or 1.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let size = entry_size(bytes)?.unwrap_or(MIN_MESSAGE_BYTES);
        let message = bytes.get(..size).ok_or(BatchError::Truncated { wanted: size, left: bytes.len() })?;
        let what = |what| BatchError::Record { index: 0, what };
        let (offset, rest) = message.split_first_chunk::<8>().ok_or(what("it has no offset"))?;
        let [magic, attributes] = *rest
            .get(8..)
            .and_then(|r| r.first_chunk::<2>())
            .ok_or(BatchError::Length((size - LOG_OVERHEAD) as i32))?;
        let mut rest = rest.get(10..).unwrap_or_default();
        let timestamp = match magic {
            0 => -1,
            1 => {
                let (timestamp, after) = rest.split_first_chunk::<8>().ok_or(what("it has no timestamp"))?;
                rest = after;
                i64::from_be_bytes(*timestamp)
            }
            other => return Err(BatchError::Magic(other as i8)),
        };
        let key = take_nullable(&mut rest).ok_or(what("its key goes beyond its end"))?;
        let value = take_nullable(&mut rest).ok_or(what("its value goes beyond its end"))?;
        if !rest.is_empty() {
            return Err(what("bytes are left over in it"));
        }
        let (magic, attributes) = (magic as i8, attributes as i8);
        Ok(Self { offset: i64::from_be_bytes(*offset), magic, attributes, timestamp, key, value, bytes: message })
    }

    /// Whether the checksum fits.
    #[must_use]
    pub fn check_crc(&self) -> bool {
        let stored = self.bytes.get(LOG_OVERHEAD..).and_then(|rest| rest.split_first_chunk::<4>());
        stored.is_some_and(|(crc, body)| {
            crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body) == u64::from(u32::from_be_bytes(*crc))
        })
    }

    /// Codec.
    ///
    /// # Errors
    /// For a number that Kafka does not have, which here includes zstd: it came with magic 2.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Ok(Compression::from_attributes(i16::from(self.attributes))?)
    }

    /// Who set the timestamp.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_BIT == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }
}

fn take_nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    match i32::from_be_bytes(*length) {
        -1 => {
            *rest = after;
            Some(None)
        }
        n => {
            let (bytes, after) = after.split_at_checked(usize::try_from(n).ok()?)?;
            *rest = after;
            Some(Some(bytes))
        }
    }
}

/// The entries of a message set, not unpacked. One that is cut short ends it; after an error it gives nothing more.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
    broken: bool,
}

/// Goes through a message set, entry by entry.
#[must_use]
pub fn entries(bytes: &[u8]) -> Entries<'_> {
    Entries { rest: bytes, broken: false }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<LegacyEntry<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let entry = match entry_size(self.rest) {
            Ok(Some(size)) if size <= self.rest.len() => LegacyEntry::read(self.rest),
            Ok(_) => return None,
            Err(e) => Err(e),
        };
        match &entry {
            Ok(entry) => self.rest = self.rest.get(entry.bytes.len()..).unwrap_or_default(),
            Err(_) => self.broken = true,
        }
        Some(entry)
    }
}

/// What an entry stands for: itself, or the messages within, unpacked into `scratch`, which takes at most `limit` bytes.
///
/// # Errors
/// When the block within is broken or too large. A message within that is a wrapper, or has another magic than its wrapper, is
/// an error of the message, as in Kafka.
pub fn messages<'a>(
    entry: &LegacyEntry<'a>,
    scratch: &'a mut Vec<u8>,
    limit: usize,
) -> Result<Messages<'a>, BatchError> {
    let codec = entry.compression()?;
    if codec == Compression::None {
        return Ok(Messages(Inner::One(Some(LegacyMessage {
            offset: entry.offset,
            timestamp: entry.timestamp,
            key: entry.key,
            value: entry.value,
            bytes: entry.bytes,
        }))));
    }
    let packed = entry.value.ok_or(BatchError::Record { index: 0, what: "a wrapper has no value" })?;
    match codec {
        Compression::Lz4 if entry.magic == 0 => {
            decompress(codec, &lz4_magic_0::with_right_checksum(packed), scratch, limit)?;
        }
        _ => decompress(codec, packed, scratch, limit)?,
    }
    let within = entries(scratch);
    let first_offset = match entry.magic {
        0 => 0,
        // The last one within has the wrapper's offset.
        _ => entry.offset.saturating_sub(last_offset(within.clone())?),
    };
    let timestamp =
        (entry.magic == 1 && entry.timestamp_type() == TimestampType::LogAppendTime).then_some(entry.timestamp);
    Ok(Messages(Inner::Many { within, magic: entry.magic, first_offset, timestamp }))
}

fn last_offset(within: Entries<'_>) -> Result<i64, BatchError> {
    let mut last = 0;
    for entry in within {
        last = entry?.offset;
    }
    Ok(last)
}

/// The messages that an entry stands for; see [`messages`].
#[derive(Debug)]
pub struct Messages<'a>(Inner<'a>);

#[derive(Debug)]
enum Inner<'a> {
    One(Option<LegacyMessage<'a>>),
    Many { within: Entries<'a>, magic: i8, first_offset: i64, timestamp: Option<i64> },
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<LegacyMessage<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Inner::One(message) => message.take().map(Ok),
            Inner::Many { within, magic, first_offset, timestamp } => within.next().map(|entry| {
                let entry = entry?;
                if entry.compression()? != Compression::None {
                    return Err(BatchError::Record { index: 0, what: "a wrapper holds a wrapper" });
                }
                if entry.magic != *magic {
                    return Err(BatchError::Record { index: 0, what: "a message has another magic than its wrapper" });
                }
                Ok(LegacyMessage {
                    offset: first_offset.saturating_add(entry.offset),
                    timestamp: timestamp.unwrap_or(entry.timestamp),
                    key: entry.key,
                    value: entry.value,
                    bytes: entry.bytes,
                })
            }),
        }
    }
}

/// Appends a wrapper with some of the messages of another, which must not be none: what compaction leaves of it.
///
/// # Errors
/// When the codec is unknown.
pub fn write_wrapper(
    original: &LegacyEntry<'_>,
    kept: &[LegacyMessage<'_>],
    out: &mut Vec<u8>,
) -> Result<(), BatchError> {
    let codec = original.compression()?;
    let (Some(first), Some(last)) = (kept.first(), kept.last()) else { return Ok(()) };
    let first_offset = if original.magic == 0 { 0 } else { first.offset };
    let (mut within, mut packed) = (Vec::new(), Vec::new());
    for message in kept {
        let relative = LegacyMessage { offset: message.offset - first_offset, ..*message };
        put_message(original.magic, 0, &relative, &mut within);
    }
    compress(codec, None, &within, &mut packed)?;
    if codec == Compression::Lz4 && original.magic == 0 {
        lz4_magic_0::set_wrong_checksum(&mut packed);
    }
    let timestamp = match original.timestamp_type() {
        TimestampType::LogAppendTime => original.timestamp,
        TimestampType::CreateTime => kept.iter().map(|message| message.timestamp).max().unwrap_or(-1),
    };
    let wrapper = LegacyMessage { offset: last.offset, timestamp, key: None, value: Some(&packed), bytes: &[] };
    put_message(original.magic, original.attributes, &wrapper, out);
    Ok(())
}

fn put_message(magic: i8, attributes: i8, message: &LegacyMessage<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&message.offset.to_be_bytes());
    out.extend_from_slice(&[0; 8]); // size and checksum, below
    let body = out.len();
    out.extend_from_slice(&[magic as u8, attributes as u8]);
    if magic == 1 {
        out.extend_from_slice(&message.timestamp.to_be_bytes());
    }
    for bytes in [message.key, message.value] {
        out.extend_from_slice(&bytes.map_or(-1, |b| b.len() as i32).to_be_bytes());
        out.extend_from_slice(bytes.unwrap_or_default());
    }
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, out.get(body..).unwrap_or_default()) as u32;
    let size = (out.len() - start - LOG_OVERHEAD) as i32;
    let head = size.to_be_bytes().into_iter().chain(crc.to_be_bytes());
    for (place, byte) in out.iter_mut().skip(start + 8).zip(head) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests;
