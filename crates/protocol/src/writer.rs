//! Writes Kafka's encoding into one growing buffer; where record bytes will be sent, it leaves a typed [`Hole`].

use crate::ids::Uuid;
use crate::message::{Records, UnknownTags};

/// Why a message cannot be written at a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field is set that the version lacks and that must not be dropped.
    #[error("{message} version {version} has no field {field}, which is set")]
    FieldUnsupported {
        /// Struct.
        message: &'static str,
        /// Field.
        field: &'static str,
        /// Version.
        version: i16,
    },
    /// Null where the version has no null.
    #[error("{message} version {version}: field {field} must not be null")]
    UnexpectedNull {
        /// Message.
        message: &'static str,
        /// Field.
        field: &'static str,
        /// Version.
        version: i16,
    },
    /// A version that the message does not have.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Message.
        message: &'static str,
        /// Version.
        version: i16,
    },
    /// A string of more than 32,767 bytes.
    #[error("a string of {0} bytes is longer than the 32767 that the protocol allows")]
    StringTooLong(usize),
}

/// A place where the caller sends bytes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Position in the written bytes before which the hole's bytes belong.
    pub at: usize,
    /// Their number.
    pub len: u32,
    /// The caller's number for them.
    pub index: u32,
}

/// A buffer with holes.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    throttle_time_at: Option<usize>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// An empty writer that writes into `buffer`, whose content is dropped and whose memory is used again.
    #[must_use]
    pub fn reusing(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { bytes: buffer, ..Self::default() }
    }

    /// Bytes written, holes not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where `ThrottleTimeMs` lies in the bytes, four of them, if what was written has it: how long a client must pause is known
    /// only when its answer is.
    #[must_use]
    pub fn throttle_time_at(&self) -> Option<usize> {
        self.throttle_time_at
    }

    /// A response's `ThrottleTimeMs`.
    pub(crate) fn throttle_time_ms(&mut self, ms: i32) {
        self.throttle_time_at = Some(self.bytes.len());
        self.i32(ms);
    }

    /// The bytes and the holes, in order.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Vec<Hole>) {
        (self.bytes, self.holes)
    }

    /// The bytes of a message that has no holes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        debug_assert!(self.holes.is_empty(), "holes must be filled by the caller");
        self.bytes
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Overwrites four bytes at `at`, for a length that is known only at the end.
    pub(crate) fn patch_u32(&mut self, at: usize, value: u32) {
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// All bytes that will be sent, holes included.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.bytes.len() + self.holes.iter().map(|h| h.len as usize).sum::<usize>()
    }
}

macro_rules! numbers {
    ($($name:ident)*) => {
        impl Writer {
            $(
                /// Writes one big-endian number.
                pub fn $name(&mut self, value: $name) {
                    self.bytes.extend_from_slice(&value.to_be_bytes());
                }
            )*
        }
    };
}
numbers!(i8 i16 u16 i32 u32 i64 f64);

/// Lengths, strings, arrays and tagged fields. `flex` chooses between compact (KIP-482) and classic lengths.
impl Writer {
    /// One byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// A uuid.
    pub fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(&value.0);
    }

    /// An unsigned varint.
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn length32(&mut self, flex: bool, n: usize) {
        if flex {
            self.uvarint(n as u32 + 1);
        } else {
            self.i32(n as i32);
        }
    }

    /// A string.
    ///
    /// # Errors
    /// When it is longer than the protocol allows.
    pub fn string(&mut self, flex: bool, value: &str) -> Result<(), EncodeError> {
        let Ok(n) = i16::try_from(value.len()) else { return Err(EncodeError::StringTooLong(value.len())) };
        if flex {
            self.uvarint(n as u32 + 1);
        } else {
            self.i16(n);
        }
        self.raw(value.as_bytes());
        Ok(())
    }

    /// A string or null.
    ///
    /// # Errors
    /// When it is longer than the protocol allows.
    pub fn nullable_string(&mut self, flex: bool, value: Option<&str>) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.string(flex, value)?,
            None if flex => self.uvarint(0),
            None => self.i16(-1),
        }
        Ok(())
    }

    /// Bytes.
    pub fn bytes(&mut self, flex: bool, value: &[u8]) {
        self.length32(flex, value.len());
        self.raw(value);
    }

    /// Bytes or null.
    pub fn nullable_bytes(&mut self, flex: bool, value: Option<&[u8]>) {
        match value {
            Some(value) => self.bytes(flex, value),
            None => self.null_array(flex),
        }
    }

    /// Record bytes, or their length and a hole.
    pub fn records(&mut self, flex: bool, value: Records<'_>) {
        match value {
            Records::Null => self.null_array(flex),
            Records::Bytes(bytes) => self.bytes(flex, bytes),
            Records::Hole { len, index } => {
                self.length32(flex, len as usize);
                self.holes.push(Hole { at: self.bytes.len(), len, index });
            }
        }
    }

    /// The count of an array's elements.
    pub fn array(&mut self, flex: bool, count: usize) {
        self.length32(flex, count);
    }

    /// A null array, or null bytes.
    pub fn null_array(&mut self, flex: bool) {
        if flex {
            self.uvarint(0);
        } else {
            self.i32(-1);
        }
    }

    /// The number of tagged fields that follow.
    pub fn tag_count(&mut self, count: usize) {
        self.uvarint(count as u32);
    }

    /// Begins a tagged field; the result goes to [`Self::end_tag`].
    pub(crate) fn begin_tag(&mut self, tag: u32) -> usize {
        self.uvarint(tag);
        // Most tagged fields are shorter than 128 bytes: one byte is kept for the length, more are made if need be.
        self.bytes.push(0);
        self.bytes.len()
    }

    /// Ends a tagged field: writes its length before it.
    pub(crate) fn end_tag(&mut self, start: usize) {
        let length = (self.bytes.len() - start) as u32;
        let more = uvarint_len(length) - 1;
        if more > 0 {
            let end = self.bytes.len();
            self.bytes.resize(end + more, 0);
            self.bytes.copy_within(start..end, start + more);
        }
        let mut rest = length;
        for byte in self.bytes.iter_mut().skip(start - 1).take(more) {
            *byte = rest as u8 | 0x80;
            rest >>= 7;
        }
        if let Some(last) = self.bytes.get_mut(start - 1 + more) {
            *last = rest as u8;
        }
    }

    /// The tagged fields of a struct whose definition has none.
    pub(crate) fn unknown_tags(&mut self, tags: &UnknownTags<'_>) {
        self.tag_count(tags.len());
        tags.iter().write_below(self, u32::MAX);
    }
}

/// Bytes of an unsigned varint.
fn uvarint_len(value: u32) -> usize {
    (32 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::Reader;

    #[test]
    fn a_tagged_field_of_any_length_is_read_back() {
        for n in [0, 1, 127, 128, 16_383, 16_384, 3 << 20] {
            let mut w = Writer::new();
            let start = w.begin_tag(3);
            w.raw(&vec![0xab; n]);
            w.end_tag(start);
            w.raw(b"after");
            let bytes = w.into_bytes();
            let mut r = Reader::new(&bytes);
            let (tag, after) = r.begin_tag().unwrap();
            assert_eq!((tag, r.rest().len(), after), (3, n, &b"after"[..]));
            assert!(r.rest().iter().all(|b| *b == 0xab));
        }
    }

    #[test]
    fn a_hole_counts_where_it_lies() {
        let mut w = Writer::reusing(vec![9; 100]);
        w.i16(1);
        w.records(false, Records::Hole { len: 500, index: 7 });
        w.i16(2);
        assert_eq!((w.len(), w.total_len()), (8, 508));
        let (bytes, holes) = w.into_parts();
        assert_eq!(holes, [Hole { at: 6, len: 500, index: 7 }]);
        assert_eq!(bytes, [0, 1, 0, 0, 1, 0xf4, 0, 2]);
    }

    #[test]
    fn a_string_longer_than_the_protocol_allows_is_refused() {
        assert_eq!(Writer::new().string(true, &"x".repeat(32_768)), Err(EncodeError::StringTooLong(32_768)));
    }
}
