//! What every generated message shares: the [`Message`] trait, record bytes as [`Records`], and the tagged fields that a
//! peer of a newer version sent.

use crate::reader::{DecodeError, Reader};
use crate::writer::{EncodeError, Writer};

/// A message of Kafka's wire or logs. Implemented by generated types only.
pub trait Message<'a>: Sized + Default {
    /// Kafka's name, such as `FetchRequest`.
    const NAME: &'static str;
    /// API key, metadata record id or coordinator record type.
    const API_KEY: Option<i16>;
    /// First valid version.
    const MIN_VERSION: i16;
    /// Last valid version, unstable ones included.
    const MAX_VERSION: i16;
    /// First version with compact lengths and tagged fields (KIP-482).
    const FIRST_FLEXIBLE: Option<i16>;

    /// Reads the message; what it holds borrows from the reader's bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not this message at this version.
    fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message.
    ///
    /// # Errors
    /// [`EncodeError`] when the version is unknown, or a field that it lacks, and that must not be dropped, is set.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// Record bytes inside a message: borrowed from the frame when read; when written either bytes or a hole into which the
/// caller sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Records<'a> {
    /// Null.
    #[default]
    Null,
    /// Record batches.
    Bytes(&'a [u8]),
    /// `len` bytes that the caller sends at this place: its file range or buffer number `index`.
    Hole {
        /// Bytes.
        len: u32,
        /// The caller's number for them.
        index: u32,
    },
}

impl<'a> Records<'a> {
    /// The bytes, empty when null or a hole.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(b) => b,
            Self::Null | Self::Hole { .. } => &[],
        }
    }
}

/// Tagged fields that our definition does not know; kept so that they survive being read and written again (KIP-482).
/// Nearly always empty, so it is one pointer wide.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownTags<'a>(Option<Box<TagList<'a>>>);

/// Tags and their bytes.
type TagList<'a> = Vec<(u32, &'a [u8])>;

impl<'a> UnknownTags<'a> {
    /// Keeps one. Tags must ascend; one that does not is refused with `false`.
    #[must_use]
    pub fn push(&mut self, tag: u32, bytes: &'a [u8]) -> bool {
        let list = self.0.get_or_insert_default();
        if list.last().is_some_and(|(last, _)| *last >= tag) {
            return false;
        }
        list.push((tag, bytes));
        true
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |l| l.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Goes through them in the order of tags.
    #[must_use]
    pub fn iter(&self) -> UnknownTagsIter<'_, 'a> {
        UnknownTagsIter(self.0.as_ref().map_or(&[][..], |l| l.as_slice()))
    }
}

/// The unknown tagged fields that are not yet written.
#[derive(Debug)]
pub struct UnknownTagsIter<'t, 'a>(&'t [(u32, &'a [u8])]);

impl UnknownTagsIter<'_, '_> {
    /// Writes those whose tag is below `limit`, so that all tags leave in ascending order.
    pub(crate) fn write_below(&mut self, w: &mut Writer, limit: u32) {
        while let Some(((tag, bytes), rest)) = self.0.split_first() {
            if *tag >= limit {
                return;
            }
            let start = w.begin_tag(*tag);
            w.raw(bytes);
            w.end_tag(start);
            self.0 = rest;
        }
    }
}
