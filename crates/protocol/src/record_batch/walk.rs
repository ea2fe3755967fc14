//! Walks a batch record by record without keeping any of it, as a broker does with every batch that is produced.
//!
//! Records that are not compressed are read where they stand. Compressed ones pass through a window of
//! [`WINDOW_BYTES`]: keys, values and headers are skipped as they come, so a batch that unpacks to a gigabyte takes no more
//! memory than one that unpacks to a kilobyte. The window is the caller's and serves batch after batch.

use super::{BatchError, BatchHeader, packed_records};
use crate::compression::{Compression, Decompressor};
use crate::records::RecordIter;
use crate::varint;

/// Bytes of the window.
const WINDOW_BYTES: usize = 16 << 10;

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

/// The shapes of a batch's records. After an error it gives nothing more.
#[derive(Debug)]
pub struct Walk<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Plain(RecordIter<'a>),
    Packed(PackedWalk<'a>),
}

/// Walks a whole batch, which may unpack to at most `limit` bytes; `window` is memory to be reused.
///
/// # Errors
/// When the header is broken or the codec unknown. Everything behind the header is found by the iterator: records that
/// are not well formed, more or fewer of them than announced, a compressed block that is broken or too large.
pub fn walk<'a>(batch: &'a [u8], window: &'a mut Vec<u8>, limit: usize) -> Result<Walk<'a>, BatchError> {
    let header = BatchHeader::read(batch)?;
    let packed = packed_records(&header, batch)?;
    Ok(Walk(match header.compression()? {
        Compression::None => Source::Plain(RecordIter::new(packed, header.record_count)),
        codec => {
            window.resize(WINDOW_BYTES, 0);
            let stream = Stream { source: Decompressor::new(codec, packed, limit)?, window, at: 0, end: 0, passed: 0 };
            Source::Packed(PackedWalk { stream, index: 0, count: header.record_count, done: false })
        }
    }))
}

impl Iterator for Walk<'_> {
    type Item = Result<RecordShape, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Plain(records) => records.next().map(|r| {
                r.map(|r| RecordShape {
                    attributes: r.attributes,
                    timestamp_delta: r.timestamp_delta,
                    offset_delta: r.offset_delta,
                    key_bytes: r.key.map(<[u8]>::len),
                    value_bytes: r.value.map(<[u8]>::len),
                    header_count: r.headers.len(),
                })
            }),
            Source::Packed(walk) => walk.next(),
        }
    }
}

#[derive(Debug)]
struct PackedWalk<'a> {
    stream: Stream<'a>,
    index: i32,
    count: i32,
    done: bool,
}

impl PackedWalk<'_> {
    fn next(&mut self) -> Option<Result<RecordShape, BatchError>> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }

    fn step(&mut self) -> Result<Option<RecordShape>, BatchError> {
        if self.index == self.count {
            return if self.stream.at_end()? { Ok(None) } else { Err(BatchError::Trailing(self.count)) };
        }
        let shape = self.stream.record().map_err(|e| match e {
            Fault::What(what) => BatchError::Record { index: self.index, what },
            Fault::Batch(e) => e,
        })?;
        self.index += 1;
        Ok(Some(shape))
    }
}

/// What stops a record: itself, or the stream that it comes from.
enum Fault {
    What(&'static str),
    Batch(BatchError),
}

impl From<BatchError> for Fault {
    fn from(e: BatchError) -> Self {
        Self::Batch(e)
    }
}

const ENDS_EARLY: Fault = Fault::What("it goes beyond the end");

/// Unpacked bytes, of which only a window is in memory.
#[derive(Debug)]
struct Stream<'a> {
    source: Decompressor<'a>,
    window: &'a mut Vec<u8>,
    /// What of the window was read, and what of it is filled.
    at: usize,
    end: usize,
    /// Bytes read since the start.
    passed: u64,
}

impl Stream<'_> {
    fn record(&mut self) -> Result<RecordShape, Fault> {
        let length = u64::try_from(self.varint()?).map_err(|_| Fault::What("its length is negative"))?;
        let start = self.passed;
        let left = |stream: &Self| length.checked_sub(stream.passed - start).ok_or(ENDS_EARLY);
        let attributes = self.byte()? as i8;
        let timestamp_delta = self.varlong()?;
        let offset_delta = self.varint()?;
        let key_bytes = self.skip_nullable(left(self)?)?;
        let value_bytes = self.skip_nullable(left(self)?)?;
        let header_count = self.varint()?;
        let header_count = usize::try_from(header_count).map_err(|_| Fault::What("its header count is negative"))?;
        for _ in 0..header_count {
            self.skip_nullable(left(self)?)?.ok_or(Fault::What("a header has no key"))?;
            self.skip_nullable(left(self)?)?;
        }
        match left(self)? {
            0 => Ok(RecordShape { attributes, timestamp_delta, offset_delta, key_bytes, value_bytes, header_count }),
            _ => Err(Fault::What("bytes are left over in it")),
        }
    }

    /// Passes over bytes or null, of which the record has room for at most `room`.
    fn skip_nullable(&mut self, room: u64) -> Result<Option<usize>, Fault> {
        let n = match self.varint()? {
            -1 => return Ok(None),
            n => usize::try_from(n).map_err(|_| Fault::What("a length is negative"))?,
        };
        if n as u64 > room {
            return Err(ENDS_EARLY);
        }
        let mut left = n;
        while left > 0 {
            if self.at == self.end && !self.fill()? {
                return Err(ENDS_EARLY);
            }
            let step = left.min(self.end - self.at);
            self.at += step;
            self.passed += step as u64;
            left -= step;
        }
        Ok(Some(n))
    }

    fn varint(&mut self) -> Result<i32, Fault> {
        let (value, used) = varint::read_i32(self.ahead()?).ok_or(Fault::What("a varint does not end"))?;
        self.pass(used);
        Ok(value)
    }

    fn varlong(&mut self) -> Result<i64, Fault> {
        let (value, used) = varint::read_i64(self.ahead()?).ok_or(Fault::What("a varint does not end"))?;
        self.pass(used);
        Ok(value)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.ahead()?.first().ok_or(ENDS_EARLY)?;
        self.pass(1);
        Ok(byte)
    }

    fn pass(&mut self, n: usize) {
        self.at += n;
        self.passed += n as u64;
    }

    /// The bytes that come next: at least as many as the longest varint, or all that are left.
    fn ahead(&mut self) -> Result<&[u8], BatchError> {
        while self.end - self.at < varint::MAX_BYTES_64 && self.fill()? {}
        Ok(self.window.get(self.at..self.end).unwrap_or_default())
    }

    fn at_end(&mut self) -> Result<bool, BatchError> {
        Ok(self.at == self.end && !self.fill()?)
    }

    /// Unpacks more behind what is not yet read; false at the end.
    fn fill(&mut self) -> Result<bool, BatchError> {
        self.window.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        let n = self.source.read(self.window.get_mut(self.end..).unwrap_or_default())?;
        self.end += n;
        Ok(n > 0)
    }
}
