//! The entries of index files by their number, and Kafka's own judgement of whether an index is to be built again.
//! Kafka classes: `AbstractIndex`, `OffsetIndex`, `TimeIndex`, `TransactionIndex`.

use std::io;
use std::marker::PhantomData;
use std::path::Path;

use super::window::{WINDOW_BYTES, Window, first_not_zero};
use crate::file_names::parse_offset_file;
use crate::offset_index::{self, OffsetPosition};
use crate::time_index::{self, TimestampOffset};
use crate::transaction_index::{self, AbortedTransaction};

/// An entry of an index, `N` bytes of its file.
pub trait IndexEntry<const N: usize>: Copy + PartialEq {
    /// Reads an entry of the index of the segment at `base_offset`.
    fn decode(base_offset: i64, bytes: &[u8; N]) -> Self;
}

impl IndexEntry<{ offset_index::ENTRY_BYTES }> for OffsetPosition {
    fn decode(base_offset: i64, bytes: &[u8; offset_index::ENTRY_BYTES]) -> Self {
        offset_index::decode(base_offset, bytes)
    }
}

impl IndexEntry<{ time_index::ENTRY_BYTES }> for TimestampOffset {
    fn decode(base_offset: i64, bytes: &[u8; time_index::ENTRY_BYTES]) -> Self {
        time_index::decode(base_offset, bytes)
    }
}

/// With the version that the entry says it has; 0 is the only one that there is.
impl IndexEntry<{ transaction_index::ENTRY_BYTES }> for (i16, AbortedTransaction) {
    fn decode(_: i64, bytes: &[u8; transaction_index::ENTRY_BYTES]) -> Self {
        let [high, low, ..] = *bytes;
        (i16::from_be_bytes([high, low]), transaction_index::decode(bytes))
    }
}

/// An index file, by its entries `E` of `N` bytes.
#[derive(Debug)]
pub struct IndexFile<E, const N: usize> {
    window: Window,
    base_offset: i64,
    entry: PhantomData<E>,
}

/// `.index`
pub type OffsetIndexFile = IndexFile<OffsetPosition, { offset_index::ENTRY_BYTES }>;
/// `.timeindex`
pub type TimeIndexFile = IndexFile<TimestampOffset, { time_index::ENTRY_BYTES }>;
/// `.txnindex`
pub type TransactionIndexFile = IndexFile<(i16, AbortedTransaction), { transaction_index::ENTRY_BYTES }>;

impl<E: IndexEntry<N>, const N: usize> IndexFile<E, N> {
    /// Opens a file that is named for its segment's base offset.
    ///
    /// # Errors
    /// When it is not named so, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (base_offset, _) = parse_offset_file(name).ok_or_else(|| {
            let what = format!("{} is not named for an offset of 20 digits", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, what)
        })?;
        Ok(Self { window: Window::open(path)?, base_offset, entry: PhantomData })
    }

    /// From which its offsets count.
    #[must_use]
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    fn bytes(&self) -> u64 {
        self.window.end()
    }

    /// Whole entries, the zeros of a preallocated file among them.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes() / N as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes behind the last whole entry.
    #[must_use]
    pub fn odd_bytes(&self) -> u64 {
        self.bytes() % N as u64
    }

    /// Entry number `n`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&mut self, n: u64) -> io::Result<E> {
        let bytes = self.window.get(n.saturating_mul(N as u64), N)?;
        let bytes = bytes.first_chunk::<N>().ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(E::decode(self.base_offset, bytes))
    }

    /// The entry that zeros stand for.
    pub(super) fn zero(&self) -> E {
        E::decode(self.base_offset, &[0; N])
    }

    /// The first entry from `n` on that is not all zeros, as those of a preallocated file are.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn first_not_zero(&mut self, n: u64) -> io::Result<Option<u64>> {
        let mut at = n.saturating_mul(N as u64);
        while at < self.bytes() {
            let piece = self.window.get(at, WINDOW_BYTES)?;
            if piece.is_empty() {
                return Ok(None);
            }
            if let Some(skip) = first_not_zero(piece) {
                return Ok(Some((at + skip as u64) / N as u64));
            }
            at += piece.len() as u64;
        }
        Ok(None)
    }

    fn whole(&self) -> Result<(), String> {
        match self.odd_bytes() {
            0 => Ok(()),
            _ => Err(format!("it has {} bytes, which is no multiple of {N}", self.bytes())),
        }
    }
}

impl OffsetIndexFile {
    /// What Kafka looks at when it loads a segment (`OffsetIndex.sanityCheck`). The reason is why it would be built again.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sanity(&mut self) -> io::Result<Result<(), String>> {
        if let Some(last) = self.len().checked_sub(1)
            && self.entry(last)?.offset < self.base_offset
        {
            return Ok(Err("its last offset is below the base offset".to_owned()));
        }
        Ok(self.whole())
    }

    /// Where Kafka's search begins to look for `offset`: an entry at or below it, by halving an index that is taken for
    /// sorted. The file's last 8 KiB are searched first, as `AbstractIndex` does.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn lookup(&mut self, offset: i64) -> io::Result<OffsetPosition> {
        const WARM_ENTRIES: u64 = 8192 / offset_index::ENTRY_BYTES as u64;
        let nothing = OffsetPosition { offset: self.base_offset, position: 0 };
        let Some(last) = self.len().checked_sub(1) else { return Ok(nothing) };
        let first_warm = last.saturating_sub(WARM_ENTRIES);
        let (mut low, mut high) = (first_warm, last);
        if self.entry(first_warm)?.offset >= offset {
            if self.entry(0)?.offset > offset {
                return Ok(nothing);
            }
            (low, high) = (0, first_warm);
        }
        while low < high {
            let middle = (low + high).div_ceil(2);
            let found = self.entry(middle)?;
            match found.offset.cmp(&offset) {
                std::cmp::Ordering::Greater => high = middle - 1,
                std::cmp::Ordering::Less => low = middle,
                std::cmp::Ordering::Equal => return Ok(found),
            }
        }
        self.entry(low)
    }
}

impl TimeIndexFile {
    /// What Kafka looks at when it loads a segment (`TimeIndex.sanityCheck`). The reason is why it would be built again.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sanity(&mut self) -> io::Result<Result<(), String>> {
        if let Some(last) = self.len().checked_sub(1) {
            let (first, last) = (self.entry(0)?, self.entry(last)?);
            if last.timestamp < first.timestamp {
                return Ok(Err("its last timestamp is below its first".to_owned()));
            }
            if last.offset < self.base_offset {
                return Ok(Err("its last offset is below the base offset".to_owned()));
            }
        }
        Ok(self.whole())
    }
}
