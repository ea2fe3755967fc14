//! The entries of index files by their number, and Kafka's own judgement of whether an index is to be built again.
//! Kafka classes: `AbstractIndex`, `OffsetIndex`, `TimeIndex`, `TransactionIndex`.

use std::io;
use std::path::Path;

use super::window::{WINDOW_BYTES, Window, first_not_zero};
use crate::file_names::parse_offset_file;
use crate::offset_index::{self, OffsetPosition};
use crate::time_index::{self, TimestampOffset};
use crate::transaction_index::{self, AbortedTransaction};

/// Entries of `N` bytes.
#[derive(Debug)]
struct Entries<const N: usize> {
    window: Window,
    base_offset: i64,
}

impl<const N: usize> Entries<N> {
    fn open(path: &Path) -> io::Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (base_offset, _) = parse_offset_file(name).ok_or_else(|| {
            let what = format!("{} is not named for an offset of 20 digits", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, what)
        })?;
        Ok(Self { window: Window::open(path)?, base_offset })
    }

    fn bytes(&self) -> u64 {
        self.window.end()
    }

    /// Whole entries, the zeros of a preallocated file among them.
    fn len(&self) -> u64 {
        self.bytes() / N as u64
    }

    fn get(&mut self, n: u64) -> io::Result<[u8; N]> {
        let bytes = self.window.get(n.saturating_mul(N as u64), N)?;
        bytes.first_chunk::<N>().copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The first entry from `n` on that is not all zeros.
    fn first_not_zero(&mut self, n: u64) -> io::Result<Option<u64>> {
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

    /// Bytes behind the last whole entry.
    fn odd_bytes(&self) -> u64 {
        self.bytes() % N as u64
    }

    fn whole(&self) -> Result<(), String> {
        match self.odd_bytes() {
            0 => Ok(()),
            _ => Err(format!("it has {} bytes, which is no multiple of {N}", self.bytes())),
        }
    }
}

/// `.index`
#[derive(Debug)]
pub struct OffsetIndexFile(Entries<{ offset_index::ENTRY_BYTES }>);

impl OffsetIndexFile {
    /// Opens a file that is named for its segment's base offset.
    ///
    /// # Errors
    /// When it is not named so, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Entries::open(path).map(Self)
    }

    /// From which its offsets count.
    #[must_use]
    pub fn base_offset(&self) -> i64 {
        self.0.base_offset
    }

    /// Entries, the zeros of a preallocated file among them.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes behind the last whole entry.
    #[must_use]
    pub fn odd_bytes(&self) -> u64 {
        self.0.odd_bytes()
    }

    /// Entry number `n`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&mut self, n: u64) -> io::Result<OffsetPosition> {
        Ok(offset_index::decode(self.0.base_offset, &self.0.get(n)?))
    }

    /// The first entry from `n` on that is not all zeros, as those of a preallocated file are.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn first_not_zero(&mut self, n: u64) -> io::Result<Option<u64>> {
        self.0.first_not_zero(n)
    }

    /// What Kafka looks at when it loads a segment (`OffsetIndex.sanityCheck`). The reason is why it would be built again.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sanity(&mut self) -> io::Result<Result<(), String>> {
        if let Some(last) = self.len().checked_sub(1)
            && self.entry(last)?.offset < self.0.base_offset
        {
            return Ok(Err("its last offset is below the base offset".to_owned()));
        }
        Ok(self.0.whole())
    }

    /// Where Kafka's search begins to look for `offset`: an entry at or below it, by halving an index that is taken for
    /// sorted. The file's last 8 KiB are searched first, as `AbstractIndex` does.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn lookup(&mut self, offset: i64) -> io::Result<OffsetPosition> {
        const WARM_ENTRIES: u64 = 8192 / offset_index::ENTRY_BYTES as u64;
        let nothing = OffsetPosition { offset: self.0.base_offset, position: 0 };
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

/// `.timeindex`
#[derive(Debug)]
pub struct TimeIndexFile(Entries<{ time_index::ENTRY_BYTES }>);

impl TimeIndexFile {
    /// Opens a file that is named for its segment's base offset.
    ///
    /// # Errors
    /// When it is not named so, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Entries::open(path).map(Self)
    }

    /// From which its offsets count.
    #[must_use]
    pub fn base_offset(&self) -> i64 {
        self.0.base_offset
    }

    /// Entries, the zeros of a preallocated file among them.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes behind the last whole entry.
    #[must_use]
    pub fn odd_bytes(&self) -> u64 {
        self.0.odd_bytes()
    }

    /// Entry number `n`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&mut self, n: u64) -> io::Result<TimestampOffset> {
        Ok(time_index::decode(self.0.base_offset, &self.0.get(n)?))
    }

    /// The first entry from `n` on that is not all zeros, as those of a preallocated file are.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn first_not_zero(&mut self, n: u64) -> io::Result<Option<u64>> {
        self.0.first_not_zero(n)
    }

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
            if last.offset < self.0.base_offset {
                return Ok(Err("its last offset is below the base offset".to_owned()));
            }
        }
        Ok(self.0.whole())
    }
}

/// `.txnindex`
#[derive(Debug)]
pub struct TransactionIndexFile(Entries<{ transaction_index::ENTRY_BYTES }>);

impl TransactionIndexFile {
    /// Opens a file that is named for its segment's base offset.
    ///
    /// # Errors
    /// When it is not named so, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Entries::open(path).map(Self)
    }

    /// Whole entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes behind the last whole entry.
    #[must_use]
    pub fn odd_bytes(&self) -> u64 {
        self.0.odd_bytes()
    }

    /// Entry number `n` and the version that it says it has; 0 is the only one that there is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&mut self, n: u64) -> io::Result<(i16, AbortedTransaction)> {
        let bytes = self.0.get(n)?;
        let [high, low, ..] = bytes;
        Ok((i16::from_be_bytes([high, low]), transaction_index::decode(&bytes)))
    }
}
