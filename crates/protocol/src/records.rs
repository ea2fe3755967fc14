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
