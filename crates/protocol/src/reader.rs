//! Reads Kafka's encoding out of untrusted bytes: nothing is allocated before it was checked against the bytes left, and
//! all that a decode may allocate is bounded by a budget of 16 times the frame plus 64 KiB.

use crate::ids::Uuid;
use crate::message::{Records, UnknownTags};

/// Elements of one array, as many as Kafka 4.4's own reader takes.
pub const MAX_ARRAY_ELEMENTS: usize = 1_000_000;
/// Tagged fields of one struct, as many as Kafka 4.4's own reader takes.
pub const MAX_TAGGED_FIELDS: u32 = 10_000;
/// Memory that keeping one unknown tagged field is charged with: its place in a list that grows by doubling from four, and
/// the box on which the list hangs.
const UNKNOWN_TAG_BYTES: usize = 6 * size_of::<(u32, &[u8])>();

/// Why bytes are not the message they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes ended within a value.
    #[error("{wanted} more bytes wanted, {left} left")]
    Truncated {
        /// Bytes that the value wants.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length or count below what the encoding allows.
    #[error("a length of {0} is not possible")]
    BadLength(i64),
    /// A count of elements that the bytes left cannot hold.
    #[error("{count} elements cannot fit into the {left} bytes left")]
    TooMany {
        /// Elements announced.
        count: usize,
        /// Bytes left.
        left: usize,
    },
    /// The decoded form would be far larger than its frame.
    #[error("the decoded form would take more than its budget of memory")]
    OverBudget,
    /// Null where the version has no null.
    #[error("field {field} must not be null")]
    UnexpectedNull {
        /// Field.
        field: &'static str,
    },
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A varint longer than its type.
    #[error("a varint does not end")]
    BadVarint,
    /// More elements or tagged fields than Kafka's own reader takes, whether they would fit or not.
    #[error("{count} is more than the {limit} that the protocol allows")]
    OverLimit {
        /// Count announced.
        count: usize,
        /// Most allowed.
        limit: usize,
    },
    /// Unknown tagged fields whose tags do not ascend (KIP-482).
    #[error("tag {0} does not come after the tag before it")]
    TagOrder(u32),
    /// A tagged field with bytes left over.
    #[error("{0} bytes are left over in a tagged field")]
    TrailingTagBytes(usize),
    /// A version that the message does not have.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Message.
        message: &'static str,
        /// Version.
        version: i16,
    },
}

/// A position in bytes from outside.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Memory that the decoded form may take at all.
    allowed: usize,
    budget: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start, with a budget of 16 times their length plus 64 KiB for what is decoded.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let allowed = bytes.len().saturating_mul(16).saturating_add(64 << 10);
        Self { rest: bytes, allowed, budget: allowed }
    }

    /// Memory that was taken for what was decoded so far, in bytes.
    #[must_use]
    pub fn decoded_bytes(&self) -> usize {
        self.allowed - self.budget
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not yet read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes `n` bytes.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or(DecodeError::Truncated { wanted: n, left: self.rest.len() })?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) =
            self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated { wanted: N, left: self.rest.len() })?;
        self.rest = rest;
        Ok(*taken)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.budget = self.budget.checked_sub(bytes).ok_or(DecodeError::OverBudget)?;
        Ok(())
    }
}

macro_rules! numbers {
    ($($name:ident)*) => {
        impl Reader<'_> {
            $(
                /// Reads one big-endian number.
                ///
                /// # Errors
                /// When the bytes end.
                pub fn $name(&mut self) -> Result<$name, DecodeError> {
                    Ok($name::from_be_bytes(self.fixed()?))
                }
            )*
        }
    };
}
numbers!(i8 i16 u16 i32 u32 i64 f64);

/// Lengths, strings, arrays and tagged fields. `flex` chooses between compact (KIP-482) and classic lengths.
impl<'a> Reader<'a> {
    /// One byte; anything but zero is true, as in Kafka.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// A uuid.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.fixed()?))
    }

    /// An unsigned varint of at most five bytes.
    ///
    /// # Errors
    /// When it does not end, or the bytes do.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        // Nearly every length is below 128.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u32::from(*byte));
        }
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            if shift == 28 && byte > 0x0f {
                return Err(DecodeError::BadVarint);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::BadVarint)
    }

    /// A length: `None` is null.
    fn length(
        &mut self,
        flex: bool,
        classic: fn(&mut Self) -> Result<i64, DecodeError>,
    ) -> Result<Option<usize>, DecodeError> {
        let n = if flex { i64::from(self.uvarint()?) - 1 } else { classic(self)? };
        match n {
            -1 => Ok(None),
            n => usize::try_from(n).map(Some).map_err(|_| DecodeError::BadLength(n)),
        }
    }

    /// A string or null.
    ///
    /// # Errors
    /// When the bytes end or are not UTF-8.
    pub fn nullable_string(&mut self, flex: bool) -> Result<Option<&'a str>, DecodeError> {
        let Some(n) = self.length(flex, |r| r.i16().map(i64::from))? else { return Ok(None) };
        // Compact lengths could say more, but Kafka's reader takes no longer string in any encoding, nor can one be written.
        if n > i16::MAX as usize {
            return Err(DecodeError::BadLength(n as i64));
        }
        std::str::from_utf8(self.take(n)?).map(Some).map_err(|_| DecodeError::NotUtf8)
    }

    /// A string.
    ///
    /// # Errors
    /// As [`Self::nullable_string`], and for null.
    pub fn string(&mut self, flex: bool, field: &'static str) -> Result<&'a str, DecodeError> {
        self.nullable_string(flex)?.ok_or(DecodeError::UnexpectedNull { field })
    }

    /// Bytes or null.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn nullable_bytes(&mut self, flex: bool) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.length(flex, |r| r.i32().map(i64::from))? {
            None => Ok(None),
            Some(n) => self.take(n).map(Some),
        }
    }

    /// Bytes.
    ///
    /// # Errors
    /// As [`Self::nullable_bytes`], and for null.
    pub fn bytes(&mut self, flex: bool, field: &'static str) -> Result<&'a [u8], DecodeError> {
        self.nullable_bytes(flex)?.ok_or(DecodeError::UnexpectedNull { field })
    }

    /// Record bytes.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn records(&mut self, flex: bool) -> Result<Records<'a>, DecodeError> {
        Ok(self.nullable_bytes(flex)?.map_or(Records::Null, Records::Bytes))
    }

    /// The count of an array's elements, each at least `min_bytes` on the wire and `in_memory` bytes decoded. Checked
    /// against the bytes left and the budget before anyone allocates for it.
    ///
    /// # Errors
    /// When the elements cannot fit, or would take more memory than the budget.
    pub fn nullable_array(
        &mut self,
        flex: bool,
        min_bytes: usize,
        in_memory: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.length(flex, |r| r.i32().map(i64::from))? else { return Ok(None) };
        let left = self.rest.len();
        if count.checked_mul(min_bytes).is_none_or(|wanted| wanted > left) {
            return Err(DecodeError::TooMany { count, left });
        }
        if count > MAX_ARRAY_ELEMENTS {
            return Err(DecodeError::OverLimit { count, limit: MAX_ARRAY_ELEMENTS });
        }
        self.charge(count.saturating_mul(in_memory))?;
        Ok(Some(count))
    }

    /// As [`Self::nullable_array`], for an array that must be there.
    ///
    /// # Errors
    /// As [`Self::nullable_array`], and for null.
    pub fn array(
        &mut self,
        flex: bool,
        min_bytes: usize,
        in_memory: usize,
        field: &'static str,
    ) -> Result<usize, DecodeError> {
        self.nullable_array(flex, min_bytes, in_memory)?.ok_or(DecodeError::UnexpectedNull { field })
    }

    /// Whether a nullable struct is present (KIP-893: -1 null, 1 present).
    ///
    /// # Errors
    /// When the bytes end.
    pub fn nullable_struct(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? >= 0)
    }

    /// The number of tagged fields that follow.
    ///
    /// # Errors
    /// When they cannot fit.
    pub fn tag_count(&mut self) -> Result<u32, DecodeError> {
        let count = self.uvarint()?;
        let left = self.rest.len();
        if (count as usize).saturating_mul(2) > left {
            return Err(DecodeError::TooMany { count: count as usize, left });
        }
        if count > MAX_TAGGED_FIELDS {
            return Err(DecodeError::OverLimit { count: count as usize, limit: MAX_TAGGED_FIELDS as usize });
        }
        Ok(count)
    }

    /// The tagged fields of a struct whose definition has none: nearly always the one byte that says so.
    ///
    /// # Errors
    /// When they are not all there, do not ascend, or keeping them would go over the budget.
    pub(crate) fn unknown_tags(&mut self, into: &mut UnknownTags<'a>) -> Result<(), DecodeError> {
        for _ in 0..self.tag_count()? {
            let (tag, after) = self.begin_tag()?;
            self.unknown_tag(tag, into)?;
            self.rest = after;
        }
        Ok(())
    }

    /// Keeps the tagged field that was entered.
    pub(crate) fn unknown_tag(&mut self, tag: u32, into: &mut UnknownTags<'a>) -> Result<(), DecodeError> {
        if into.push(tag, self.take_rest_of_tag()?) { Ok(()) } else { Err(DecodeError::TagOrder(tag)) }
    }

    /// All bytes of the tagged field that was entered, charged as one that is kept.
    ///
    /// # Errors
    /// When keeping it would go over the budget.
    pub fn take_rest_of_tag(&mut self) -> Result<&'a [u8], DecodeError> {
        self.charge(UNKNOWN_TAG_BYTES)?;
        Ok(std::mem::take(&mut self.rest))
    }

    /// Enters a tagged field: its tag, and what follows it, to be given to [`Self::end_tag`].
    ///
    /// # Errors
    /// When the bytes end.
    pub fn begin_tag(&mut self) -> Result<(u32, &'a [u8]), DecodeError> {
        let tag = self.uvarint()?;
        let size = self.uvarint()? as usize;
        let inner = self.take(size)?;
        Ok((tag, std::mem::replace(&mut self.rest, inner)))
    }

    /// Leaves a tagged field without looking at what is left of it.
    pub(crate) fn skip_tag(&mut self, after: &'a [u8]) {
        self.rest = after;
    }

    /// Leaves a tagged field.
    ///
    /// # Errors
    /// When bytes of it were not read.
    pub fn end_tag(&mut self, after: &'a [u8]) -> Result<(), DecodeError> {
        match std::mem::replace(&mut self.rest, after).len() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingTagBytes(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_varints_end_within_five_bytes_and_32_bits() {
        let read = |bytes: &[u8]| Reader::new(bytes).uvarint();
        assert_eq!(read(&[0x7f]), Ok(127));
        assert_eq!(read(&[0x80, 0x01]), Ok(128));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x10]), Err(DecodeError::BadVarint));
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Err(DecodeError::BadVarint));
        assert_eq!(read(&[0x80]), Err(DecodeError::Truncated { wanted: 1, left: 0 }));
    }

    #[test]
    fn lengths_below_null_are_refused_and_null_only_where_it_may_be() {
        assert_eq!(Reader::new(&[0xff, 0xfe]).nullable_string(false), Err(DecodeError::BadLength(-2)));
        assert_eq!(Reader::new(&[0xff, 0xff]).nullable_string(false), Ok(None));
        assert_eq!(Reader::new(&[0]).nullable_string(true), Ok(None));
        assert_eq!(Reader::new(&[0]).string(true, "name"), Err(DecodeError::UnexpectedNull { field: "name" }));
        assert_eq!(Reader::new(&[2, 0xff]).string(true, "name"), Err(DecodeError::NotUtf8));
    }

    #[test]
    fn a_compact_string_is_no_longer_than_a_classic_one() {
        let mut bytes = vec![0x81, 0x80, 0x02]; // 32768, plus one
        bytes.resize(3 + 32_768, b'x');
        assert_eq!(Reader::new(&bytes).string(true, "name"), Err(DecodeError::BadLength(32_768)));
    }

    #[test]
    fn counts_are_checked_against_bytes_limit_and_budget() {
        let count = |n: i32, rest: usize, min: usize, memory: usize| {
            let mut bytes = n.to_be_bytes().to_vec();
            bytes.resize(4 + rest, 0);
            Reader::new(&bytes).array(false, min, memory, "elements")
        };
        assert_eq!(count(10, 40, 4, 100), Ok(10));
        assert_eq!(count(11, 40, 4, 100), Err(DecodeError::TooMany { count: 11, left: 40 }));
        assert_eq!(
            count(1_000_001, 1_000_001, 1, 1),
            Err(DecodeError::OverLimit { count: 1_000_001, limit: MAX_ARRAY_ELEMENTS })
        );
        // 16 x (4 + 10000) + 64 KiB is the budget.
        assert_eq!(count(10_000, 10_000, 1, 22), Ok(10_000));
        assert_eq!(count(10_000, 10_000, 1, 23), Err(DecodeError::OverBudget));
    }

    #[test]
    fn unknown_tags_ascend_and_are_not_too_many() {
        let read = |bytes: &[u8]| {
            let mut tags = UnknownTags::default();
            Reader::new(bytes).unknown_tags(&mut tags).map(|()| tags.len())
        };
        assert_eq!(read(&[0]), Ok(0));
        assert_eq!(read(&[2, 1, 0, 5, 1, 0xaa]), Ok(2));
        assert_eq!(read(&[2, 5, 0, 5, 0]), Err(DecodeError::TagOrder(5)));
        assert_eq!(read(&[2, 5, 0, 4, 0]), Err(DecodeError::TagOrder(4)));
        let mut many = vec![0x91, 0x4e]; // 10001
        many.resize(2 + 2 * 10_001, 0);
        assert_eq!(read(&many), Err(DecodeError::OverLimit { count: 10_001, limit: 10_000 }));
    }

    #[test]
    fn a_tagged_field_must_be_read_to_its_end() {
        let mut r = Reader::new(&[7, 3, 0, 1, 2, 9]);
        let (tag, after) = r.begin_tag().unwrap();
        assert_eq!((tag, r.i16()), (7, Ok(1)));
        assert_eq!(r.end_tag(after), Err(DecodeError::TrailingTagBytes(1)));
        assert_eq!(r.rest(), [9]);
    }
}
