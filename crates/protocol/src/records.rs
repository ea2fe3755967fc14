//! Records inside a batch, as slices of its bytes.
//!
//! ```text
//! length varint | attributes i8 | timestamp_delta varlong | offset_delta varint | key | value | header count varint
//!   | (header key | header value)*         key, value: length varint (-1 null), bytes
//! ```
//!
//! Nothing is allocated for a record. Header keys are bytes: Kafka does not check that they are UTF-8, and the same key may
//! come more than once.

use crate::record_batch::BatchError;
use crate::varint;

/// One record. Its offset and timestamp count from those of its batch: see `BatchHeader::offset_of` and `timestamp_of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Unused by Kafka so far; 0.
    pub attributes: i8,
    /// Milliseconds after the batch's `base_timestamp`.
    pub timestamp_delta: i64,
    /// Offsets after the batch's `base_offset`.
    pub offset_delta: i32,
    /// Key, or null.
    pub key: Option<&'a [u8]>,
    /// Value, or null, which makes a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers (KIP-82).
    pub headers: Headers<'a>,
}

/// The headers of a record, in order, duplicates kept. They were checked when the record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: i32,
}

impl<'a> Headers<'a> {
    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left as usize
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let key = take_nullable(&mut self.rest)??;
        let value = take_nullable(&mut self.rest)?;
        Some((key, value))
    }
}

/// The records of a batch, one after the other. After an error it gives nothing more.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    index: i32,
    count: i32,
    done: bool,
}

impl<'a> RecordIter<'a> {
    /// Reads `count` records that fill `bytes`, the unpacked block of a batch.
    #[must_use]
    pub fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { rest: bytes, index: 0, count, done: false }
    }

    /// Bytes behind the record that was given last: tells where in the block a record lies.
    #[must_use]
    pub fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    /// As `next`, of whoever wants no bytes: the broker, of every record that is produced.
    pub(crate) fn next_shape(&mut self) -> Option<Result<RecordShape, BatchError>> {
        if !self.done
            && self.index < self.count
            && let Some((shape, length)) = shape_of(self.rest)
        {
            self.rest = self.rest.get(length..).unwrap_or_default();
            self.index += 1;
            return Some(Ok(shape));
        }
        // The end, or what is wrong.
        self.next().map(|record| record.map(|record| RecordShape::of(&record)))
    }

    fn step(&mut self) -> Result<Option<Record<'a>>, BatchError> {
        if self.index == self.count {
            return if self.rest.is_empty() { Ok(None) } else { Err(BatchError::Trailing(self.count)) };
        }
        let broken = |what| BatchError::Record { index: self.index, what };
        let (length, used) = varint::read_i32(self.rest).ok_or_else(|| broken("its length does not end"))?;
        let after = self.rest.get(used..).unwrap_or_default();
        let length = usize::try_from(length).map_err(|_| broken("its length is negative"))?;
        let (body, rest) = after.split_at_checked(length).ok_or_else(|| broken("it goes beyond the end"))?;
        let record = read_body(body).map_err(broken)?;
        self.rest = rest;
        self.index += 1;
        Ok(Some(record))
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A record takes seven bytes at least, so a count cannot promise what the bytes do not hold.
        let most = self.rest.len() / 7 + 1;
        (0, Some(most.min((self.count - self.index) as usize + 1)))
    }
}

/// What can be said about a record without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordShape {
    /// Unused by Kafka so far; 0.
    pub attributes: i8,
    /// Milliseconds after the batch's `base_timestamp`.
    pub timestamp_delta: i64,
    /// Offsets after the batch's `base_offset`.
    pub offset_delta: i32,
    /// Bytes of the key, `None` for null.
    pub key_bytes: Option<usize>,
    /// Bytes of the value, `None` for null.
    pub value_bytes: Option<usize>,
    /// Headers.
    pub header_count: usize,
}

impl RecordShape {
    fn of(record: &Record<'_>) -> Self {
        Self {
            attributes: record.attributes,
            timestamp_delta: record.timestamp_delta,
            offset_delta: record.offset_delta,
            key_bytes: record.key.map(<[u8]>::len),
            value_bytes: record.value.map(<[u8]>::len),
            header_count: record.headers.len(),
        }
    }
}

/// The shape of the record at the start of `bytes`, and its length; `None` if it is not well formed. (Half the instructions of
/// [`RecordIter`], which tells what is wrong with it, and cuts slices.)
fn shape_of(bytes: &[u8]) -> Option<(RecordShape, usize)> {
    let mut at = Cursor { bytes, at: 0 };
    let length = usize::try_from(at.varint()?).ok()?;
    let end = at.at.checked_add(length)?;
    at.bytes = bytes.get(..end)?;
    let attributes = *at.bytes.get(at.at)? as i8;
    at.at += 1;
    let timestamp_delta = at.varlong()?;
    let offset_delta = at.varint()?;
    let key_bytes = at.skip_nullable()?;
    let value_bytes = at.skip_nullable()?;
    let header_count = usize::try_from(at.varint()?).ok()?;
    for _ in 0..header_count {
        at.skip_nullable()??;
        at.skip_nullable()?;
    }
    let shape = RecordShape { attributes, timestamp_delta, offset_delta, key_bytes, value_bytes, header_count };
    (at.at == end).then_some((shape, end))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn varint(&mut self) -> Option<i32> {
        let (value, used) = varint::read_i32(self.bytes.get(self.at..)?)?;
        self.at += used;
        Some(value)
    }

    fn varlong(&mut self) -> Option<i64> {
        let (value, used) = varint::read_i64(self.bytes.get(self.at..)?)?;
        self.at += used;
        Some(value)
    }

    /// Passes over bytes or null and gives how many there are.
    fn skip_nullable(&mut self) -> Option<Option<usize>> {
        let n = match self.varint()? {
            -1 => return Some(None),
            n => usize::try_from(n).ok()?,
        };
        self.at = self.at.checked_add(n).filter(|end| *end <= self.bytes.len())?;
        Some(Some(n))
    }
}

fn read_body(body: &[u8]) -> Result<Record<'_>, &'static str> {
    let (attributes, mut rest) = body.split_first().ok_or("it is empty")?;
    let (timestamp_delta, used) = varint::read_i64(rest).ok_or("its timestamp does not end")?;
    rest = rest.get(used..).unwrap_or_default();
    let offset_delta = take_i32(&mut rest).ok_or("its offset does not end")?;
    let key = take_nullable(&mut rest).ok_or("its key goes beyond its end")?;
    let value = take_nullable(&mut rest).ok_or("its value goes beyond its end")?;
    let count = take_i32(&mut rest).ok_or("its header count does not end")?;
    if count < 0 {
        return Err("its header count is negative");
    }
    let headers = Headers { rest, left: count };
    for _ in 0..count {
        take_nullable(&mut rest).flatten().ok_or("a header has no key, or one beyond its end")?;
        take_nullable(&mut rest).ok_or("a header's value goes beyond its end")?;
    }
    if !rest.is_empty() {
        return Err("bytes are left over in it");
    }
    Ok(Record { attributes: *attributes as i8, timestamp_delta, offset_delta, key, value, headers })
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    let (value, used) = varint::read_i32(rest)?;
    *rest = rest.get(used..)?;
    Some(value)
}

/// Bytes or null; the outer `None` when they are not all there, or have a length below -1.
fn take_nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match take_i32(rest)? {
        -1 => Some(None),
        n => {
            let (bytes, after) = rest.split_at_checked(usize::try_from(n).ok()?)?;
            *rest = after;
            Some(Some(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record of 100 bytes with a header, or what random bytes make of it.
    fn records() -> impl Strategy<Value = Vec<u8>> {
        let body = |value: usize| {
            let mut body = vec![0, 4, 2, 1];
            varint::write(&mut body, value as i64);
            body.extend(std::iter::repeat_n(7, value));
            body.extend([2, 2, b'k', 1]);
            let mut record = Vec::new();
            varint::write(&mut record, body.len() as i64);
            record.extend(body);
            record
        };
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
        (prop::collection::vec((0usize..200).prop_map(body), 1..4), changes, 0usize..4).prop_map(
            |(records, changes, cut)| {
                let mut bytes = records.concat();
                for (index, byte) in changes {
                    let at = index.index(bytes.len());
                    if let Some(old) = bytes.get_mut(at) {
                        *old = byte;
                    }
                }
                bytes.truncate(bytes.len() - cut.min(bytes.len()));
                bytes
            },
        )
    }

    proptest! {
        #[test]
        fn a_shape_is_that_of_the_record(bytes in records(), count in 0i32..5) {
            let records = RecordIter::new(&bytes, count);
            let mut shapes = records.clone();
            let mut seen = Vec::new();
            while let Some(shape) = shapes.next_shape() {
                seen.push(shape);
            }
            let expected: Vec<_> = records.map(|record| record.map(|record| RecordShape::of(&record))).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
