//! How far a log is whole whose offsets have no gaps, as those of the metadata log: what a start has to know before it lets
//! recovery cut anything.
//!
//! ```text
//!                   needed                  first fault    goes on at
//!   ├──── ▓▓▓ ────────┼─────────────────────▓▓▓▓▓▓▓▓▓▓▓▓▓──┼──────────
//!     passed over          every batch
//! ```

use std::io;
use std::path::{Path, PathBuf};

use super::batch_file::{BatchFile, Step};
use super::partition_files::{PartitionFiles, SegmentEntry};
use super::verify::broken::next_sound;
use crate::batch_scan::BatchAt;
use crate::file_names::LOG;

/// What a log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// Base offset of the first segment; None if there is no segment.
    pub first_offset: Option<i64>,
    /// The offset behind the last batch that continues the one before it.
    pub end_offset: i64,
    /// The file of the last segment.
    pub last_file: Option<PathBuf>,
    /// What follows there, if it is not the end.
    pub fault: Option<Fault>,
}

/// Where a log stops to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// Where in it the next batch should begin.
    pub position: u64,
    /// The offset that it should have.
    pub offset: i64,
    /// What is there instead.
    pub reason: String,
    /// The base offset of a sound batch there or behind it. None: nothing behind is worth anything, as after an append that
    /// the power cut off.
    pub goes_on_at: Option<i64>,
}

/// Reads a partition's directory from the batch on that holds `needed`, or the first: every checksum, every offset, every
/// leader epoch. What is wrong below `needed` is passed over.
///
/// # Errors
/// When files cannot be read.
pub fn extent(folder: &Path, needed: i64) -> io::Result<Extent> {
    let files = PartitionFiles::list(folder)?;
    let first_offset = files.segments.first().map(|segment| segment.base_offset);
    let mut walk = Walk { needed, expected: first_offset.unwrap_or(0), epoch: -1, before: None };
    let path_of = |segment: &SegmentEntry| files.file(segment.base_offset, LOG);
    let mut fault = None;
    for (n, segment) in files.segments.iter().enumerate() {
        let later = files.segments.get(n + 1..).unwrap_or_default();
        let next = later.first().map(|next| next.base_offset);
        if let Some(next) = next.filter(|next| *next <= needed) {
            walk.expected = next;
            continue;
        }
        let is_misplaced = segment.base_offset != walk.expected;
        fault = if is_misplaced {
            Some(walk.misplaced(&path_of(segment), segment.base_offset))
        } else {
            walk.segment(&path_of(segment), next)?
        };
        if let Some(fault) = &mut fault {
            // One that is misplaced was not looked into: it may be empty.
            let mut unread = files.segments.get(n + usize::from(!is_misplaced)..).unwrap_or_default().iter();
            while let (None, Some(segment)) = (fault.goes_on_at, unread.next()) {
                let found = next_sound(&mut BatchFile::open(&path_of(segment))?, 0, walk.expected..i64::MAX)?;
                fault.goes_on_at = found.map(|(_, offset)| offset);
            }
            break;
        }
    }
    Ok(Extent { first_offset, end_offset: walk.expected, last_file: files.segments.last().map(path_of), fault })
}

struct Walk {
    needed: i64,
    /// Offset of the next batch.
    expected: i64,
    /// Leader epoch of the one before.
    epoch: i32,
    /// The segment before, and its length.
    before: Option<(PathBuf, u64)>,
}

impl Walk {
    /// Goes through a segment that reaches beyond what is passed over.
    fn segment(&mut self, path: &Path, next: Option<i64>) -> io::Result<Option<Fault>> {
        let mut file = BatchFile::open(path)?;
        self.before = Some((path.to_owned(), file.len()));
        loop {
            let (position, reason, itself) = match file.next_step()? {
                Step::End => return Ok(None),
                Step::Batch(at) if !file.crc_fits(&at)? => {
                    (at.position, "the checksum of the batch does not fit".to_owned(), None)
                }
                Step::Batch(at) => match self.contradiction(&at) {
                    None => {
                        (self.expected, self.epoch) = (at.header.next_offset(), at.header.partition_leader_epoch);
                        continue;
                    }
                    Some(reason) => (at.position, reason, Some(at.header.base_offset)),
                },
                Step::Cut { position, bytes } => {
                    (position, format!("a batch begins, but the file ends {bytes} bytes further"), None)
                }
                Step::Broken { position, error } => (position, error.to_string(), None),
            };
            let found = next_sound(&mut file, position + 1, self.expected..next.unwrap_or(i64::MAX))?;
            match found {
                Some((position, offset)) if offset <= self.needed => {
                    file.seek(position);
                    // The batch before the next may have lied about its epoch.
                    (self.expected, self.epoch) = (offset, -1);
                }
                found => {
                    let (path, goes_on_at) = (path.to_owned(), itself.or(found.map(|(_, offset)| offset)));
                    return Ok(Some(Fault { path, position, offset: self.expected, reason, goes_on_at }));
                }
            }
        }
    }

    /// A segment that does not begin where the one before it ends. If offsets are missing, they are missing there.
    fn misplaced(&self, path: &Path, base_offset: i64) -> Fault {
        let offset = self.expected;
        let before = self.before.clone().filter(|_| base_offset > offset);
        let (path, position) = before.unwrap_or_else(|| (path.to_owned(), 0));
        let reason = format!("the next segment begins with offset {base_offset}");
        Fault { path, position, offset, reason, goes_on_at: None }
    }

    /// Why a batch whose checksum fits cannot be the next: offset and leader epoch lie before what it covers.
    fn contradiction(&self, at: &BatchAt) -> Option<String> {
        let (offset, epoch) = (at.header.base_offset, at.header.partition_leader_epoch);
        if offset != self.expected || at.header.last_offset_delta < 0 {
            return Some(format!(
                "the batch says that its first offset is {offset} where {} is the next",
                self.expected
            ));
        }
        let before = self.epoch;
        (epoch < before).then(|| format!("the batch says that its leader epoch is {epoch}, the one before it {before}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_env::fs;
    use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

    fn batch(base_offset: i64, leader_epoch: i32) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset, leader_epoch, ..Default::default() });
        builder.append(1, None, Some(b"a record"), &[]);
        builder.append(1, None, Some(b"another"), &[]);
        builder.build()
    }

    /// Segments of three batches each, of two records each, in epochs 1, 1, 2, 2, …
    fn log(segments: i64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for n in 0..segments {
            let batches = (0..3).flat_map(|b| batch(6 * n + 2 * b, ((3 * n + b) / 2 + 1) as i32)).collect::<Vec<_>>();
            fs::write_atomically(file(dir.path(), n), batches).expect("written");
        }
        dir
    }

    fn file(dir: &Path, segment: i64) -> PathBuf {
        dir.join(format!("{:020}.log", 6 * segment))
    }

    fn edit(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).expect("read");
        edit(&mut bytes);
        fs::write_atomically(path, bytes).expect("written");
    }

    /// (end, file of the fault, its position, where it goes on)
    fn found(dir: &Path, needed: i64) -> (i64, Option<(String, u64, Option<i64>)>) {
        let extent = extent(dir, needed).expect("read");
        let fault = extent.fault.map(|fault| {
            assert_eq!(fault.offset, extent.end_offset);
            let name = fault.path.file_name().expect("a file").to_string_lossy().trim_start_matches('0').to_owned();
            (name, fault.position, fault.goes_on_at)
        });
        (extent.end_offset, fault)
    }

    /// The end of a segment was lost at the border of two batches, and the name of the next was not.
    #[test]
    fn an_empty_segment_behind_a_lost_end_confirms_nothing() {
        let dir = log(2);
        let whole = batch(4, 2).len();
        edit(&file(dir.path(), 0), |bytes| bytes.truncate(bytes.len() - whole));
        let (end, fault) = found(dir.path(), 0);
        assert_eq!((end, fault.expect("misplaced").2), (4, Some(6)));
        edit(&file(dir.path(), 1), Vec::clear);
        let (end, fault) = found(dir.path(), 0);
        assert_eq!((end, fault.expect("misplaced").2), (4, None));
    }

    #[test]
    fn a_whole_log_has_no_fault() {
        let dir = log(3);
        let extent = extent(dir.path(), 0).expect("read");
        assert_eq!((extent.first_offset, extent.end_offset, extent.fault), (Some(0), 18, None));
        assert_eq!(extent.last_file, Some(file(dir.path(), 2)));
        assert_eq!(super::extent(&dir.path().join("none"), 0).map_err(|e| e.kind()), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_batch_cut_off_is_the_end_and_one_amid_others_is_not() {
        let dir = log(2);
        let size = batch(0, 1).len() as u64;
        edit(&file(dir.path(), 1), |bytes| bytes.truncate(bytes.len() - 1));
        assert_eq!(found(dir.path(), 0), (10, Some(("6.log".to_owned(), 2 * size, None))));
        edit(&file(dir.path(), 0), |bytes| bytes[70] ^= 1);
        assert_eq!(found(dir.path(), 0), (0, Some((".log".to_owned(), 0, Some(2)))));
        // What follows lies in the next segment.
        let dir = log(2);
        edit(&file(dir.path(), 0), |bytes| bytes.truncate(2 * size as usize));
        assert_eq!(found(dir.path(), 0), (4, Some((".log".to_owned(), 2 * size, Some(6)))));
        edit(&file(dir.path(), 0), |bytes| bytes.truncate(2 * size as usize - 3));
        assert_eq!(found(dir.path(), 0), (2, Some((".log".to_owned(), size, Some(6)))));
    }

    #[test]
    fn what_no_checksum_covers_contradicts_its_neighbours() {
        let size = batch(0, 1).len();
        let dir = log(2);
        edit(&file(dir.path(), 0), |bytes| bytes[size + 7] ^= 8);
        assert_eq!(found(dir.path(), 0), (2, Some((".log".to_owned(), size as u64, Some(10)))));
        let dir = log(2);
        edit(&file(dir.path(), 0), |bytes| bytes[size + 14] ^= 1);
        assert_eq!(found(dir.path(), 0), (4, Some((".log".to_owned(), 2 * size as u64, Some(4)))));
    }

    #[test]
    fn what_is_not_needed_may_be_broken() {
        let size = batch(0, 1).len();
        let dir = log(3);
        edit(&file(dir.path(), 0), |bytes| bytes.fill(0));
        edit(&file(dir.path(), 1), |bytes| bytes[size..2 * size].fill(7));
        assert_eq!(found(dir.path(), 10), (18, None));
        assert_eq!(found(dir.path(), 9), (8, Some(("6.log".to_owned(), size as u64, Some(10)))));
        // An epoch that rises there says nothing of those behind it.
        let dir = log(3);
        edit(&file(dir.path(), 1), |bytes| bytes[14] ^= 1);
        assert_eq!(found(dir.path(), 10), (18, None));
        assert_eq!(found(dir.path(), 8), (8, Some(("6.log".to_owned(), size as u64, Some(8)))));
    }
}
