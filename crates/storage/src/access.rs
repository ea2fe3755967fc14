//! Whether a search may wait for the disk.

use std::io::{Error, ErrorKind};

use ottla_env::fs::File;

use crate::error::StorageError;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whatever it takes.
    MayWait,
    /// Only what is in memory, as far as can be told; else the search ends with [`StorageError::is_cold`].
    Cached,
}

impl Access {
    /// Fails if the range would have to be waited for and must not be.
    pub(crate) fn check(self, file: &File, position: u64, len: u64) -> Result<(), StorageError> {
        match self {
            Self::Cached if !file.is_cached(position, len) => Err(Self::cold()),
            Self::Cached | Self::MayWait => Ok(()),
        }
    }

    /// What a search in memory ends with when it is not there.
    pub(crate) fn cold() -> StorageError {
        StorageError::Io(Error::from(ErrorKind::WouldBlock))
    }
}
