//! One buffer over a file that is read from front to back, each byte once if the reader does not go back.

use std::io;
use std::path::Path;

use ottla_env::fs::File;

/// Bytes read at once, more only where one request wants more.
pub(super) const WINDOW_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    file: File,
    /// What lies behind is not looked at: where the file ended when it was opened, or less.
    end: u64,
    /// Where `bytes` begins in the file.
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Opens a file for reading.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = file.len()?;
        Ok(Self { file, end, at: 0, bytes: Vec::new() })
    }

    /// Where reading ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Lets reading end at `end`, if that is earlier.
    pub(super) fn limit(&mut self, end: u64) {
        self.end = self.end.min(end);
    }

    /// `len` bytes from `position` on, fewer only at the end.
    pub(super) fn get(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
        let len = len.min(left);
        let held = position.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        let skip = match held.filter(|skip| skip.checked_add(len).is_some_and(|end| end <= self.bytes.len())) {
            Some(skip) => skip,
            None => {
                self.fill(position, len.max(WINDOW_BYTES).min(left))?;
                0
            }
        };
        let end = skip.saturating_add(len).min(self.bytes.len());
        Ok(self.bytes.get(skip..end).unwrap_or_default())
    }

    fn fill(&mut self, position: u64, len: usize) -> io::Result<()> {
        if len <= WINDOW_BYTES && self.bytes.capacity() > 4 * WINDOW_BYTES {
            // A large batch has passed.
            self.bytes = Vec::new();
        }
        self.at = position;
        self.bytes.clear();
        self.bytes.try_reserve(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        self.bytes.resize(len, 0);
        let got = self.file.read_full_at(&mut self.bytes, position)?;
        if got < len {
            // Its owner has cut it since it was opened.
            self.bytes.truncate(got);
            self.end = position + got as u64;
        }
        Ok(())
    }
}

/// Where the first byte is that is not zero. Compares blocks, so that the megabytes of a preallocated file pass in no time.
pub(super) fn first_not_zero(bytes: &[u8]) -> Option<usize> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut blocks = bytes.chunks(ZEROS.len()).enumerate();
    let (n, block) = blocks.find(|(_, block)| Some(*block) != ZEROS.get(..block.len()))?;
    block.iter().position(|byte| *byte != 0).map(|at| n * ZEROS.len() + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_given_up_to_the_end_and_no_further() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        let content: Vec<u8> = (0..3 * WINDOW_BYTES).map(|i| (i % 251) as u8).collect();
        ottla_env::fs::write_atomically(&path, &content).expect("written");
        let mut window = Window::open(&path).expect("opens");
        for (at, len) in [(0, 10), (5, 3), (WINDOW_BYTES - 1, 2), (7, 2 * WINDOW_BYTES), (content.len() - 4, 100)] {
            let end = (at + len).min(content.len());
            assert_eq!(window.get(at as u64, len).expect("reads"), &content[at..end], "{at} {len}");
        }
        assert!(window.get(content.len() as u64 + 9, 1).expect("nothing").is_empty());
        window.limit(12);
        assert_eq!(window.get(10, 5).expect("reads").len(), 2);
    }

    #[test]
    fn the_first_byte_that_is_not_zero_is_found() {
        let mut bytes = vec![0; 10_000];
        assert_eq!(first_not_zero(&bytes), None);
        for at in [9_999, 8_192, 4_095, 0] {
            bytes[at] = 1;
            assert_eq!(first_not_zero(&bytes), Some(at));
        }
        assert_eq!(first_not_zero(&[]), None);
    }

    #[test]
    fn a_file_that_was_cut_meanwhile_ends_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        ottla_env::fs::write_atomically(&path, [1; 100]).expect("written");
        let mut window = Window::open(&path).expect("opens");
        File::open_rw(&path).expect("opens").set_len(40).expect("cut");
        assert_eq!(window.get(30, 20).expect("reads").len(), 10);
        assert_eq!(window.end(), 40);
    }
}
