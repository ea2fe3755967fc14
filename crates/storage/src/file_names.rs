//! The names of files and directories, as Kafka's `LogFileUtils` and `UnifiedLog` make and read them.

/// Suffix of a file that holds record batches.
pub(crate) const LOG: &str = ".log";
/// Suffix of an offset index.
pub(crate) const INDEX: &str = ".index";
/// Suffix of a time index.
pub(crate) const TIME_INDEX: &str = ".timeindex";
/// Suffix of a transaction index.
pub(crate) const TXN_INDEX: &str = ".txnindex";
/// Suffix of a producer snapshot.
pub(crate) const SNAPSHOT: &str = ".snapshot";
/// Second suffix of a file that will be removed when `file.delete.delay.ms` is over.
pub(crate) const DELETED: &str = ".deleted";
/// Second suffix of a file that a compaction is writing.
pub(crate) const CLEANED: &str = ".cleaned";
/// Second suffix of a file that a finished compaction is putting in place.
pub(crate) const SWAP: &str = ".swap";
/// Second suffix of a file that is being replaced.
pub(crate) const TEMPORARY: &str = ".tmp";
/// Suffix of the directory of a deleted partition.
pub(crate) const DELETE_DIR: &str = "-delete";
/// Suffix of a directory that moves between log directories.
pub(crate) const FUTURE_DIR: &str = "-future";
/// Suffix of a directory that metadata does not know.
pub(crate) const STRAY_DIR: &str = "-stray";

/// Digits of an offset in a file name.
const OFFSET_DIGITS: usize = 20;

/// `00000000000000000042.log`
pub(crate) fn offset_file(offset: i64, suffix: &str) -> String {
    format!("{offset:020}{suffix}")
}

/// The offset and the suffix of a file named for an offset; None for other files.
pub(crate) fn parse_offset_file(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_at_checked(OFFSET_DIGITS)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// `topic-3`
pub(crate) fn partition_dir(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// What a directory in a log directory is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DirKind<'a> {
    /// A partition.
    Partition { topic: &'a str, partition: i32 },
    /// A deleted partition, to be removed.
    Deleted,
    /// A partition on its way to another log directory, or one that metadata did not know: left alone.
    SetAside,
    /// Not ours.
    Other,
}

/// Reads a directory's name.
pub(crate) fn parse_partition_dir(name: &str) -> DirKind<'_> {
    if name.ends_with(DELETE_DIR) {
        return DirKind::Deleted;
    }
    if name.ends_with(FUTURE_DIR) || name.ends_with(STRAY_DIR) {
        return DirKind::SetAside;
    }
    match name.rsplit_once('-') {
        Some((topic, number)) if !topic.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            number.parse().map_or(DirKind::Other, |partition| DirKind::Partition { topic, partition })
        }
        _ => DirKind::Other,
    }
}

/// `topic-3.<32 hex digits>-delete`
pub(crate) fn deleted_dir(topic: &str, partition: i32, unique: [u8; 16]) -> String {
    renamed_dir(topic, partition, unique, DELETE_DIR)
}

/// `topic-3.<32 hex digits>-stray`
pub(crate) fn stray_dir(topic: &str, partition: i32, unique: [u8; 16]) -> String {
    renamed_dir(topic, partition, unique, STRAY_DIR)
}

/// The topic is cut so that the name is at most 255 bytes.
fn renamed_dir(topic: &str, partition: i32, unique: [u8; 16], suffix: &str) -> String {
    const NAME_BYTES_MAX: usize = 255;
    let mut tail = format!("-{partition}.");
    for byte in unique {
        tail.push_str(&format!("{byte:02x}"));
    }
    tail.push_str(suffix);
    let kept: String = topic.chars().take(NAME_BYTES_MAX.saturating_sub(tail.len())).collect();
    kept + &tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_twenty_digits() {
        assert_eq!(offset_file(42, LOG), "00000000000000000042.log");
        assert_eq!(parse_offset_file("00000000000000000042.log"), Some((42, ".log")));
        assert_eq!(parse_offset_file("00000000000000000042.log.deleted"), Some((42, ".log.deleted")));
        assert_eq!(parse_offset_file("leader-epoch-checkpoint"), None);
        assert_eq!(parse_offset_file("99999999999999999999.log"), None, "does not fit an i64");
    }

    #[test]
    fn a_topic_may_hold_dashes() {
        assert_eq!(parse_partition_dir("a-b-7"), DirKind::Partition { topic: "a-b", partition: 7 });
        assert_eq!(parse_partition_dir("a-7.0123-delete"), DirKind::Deleted);
        assert_eq!(parse_partition_dir("a-7.0123-future"), DirKind::SetAside);
        assert_eq!(parse_partition_dir("lost+found"), DirKind::Other);
        assert_eq!(parse_partition_dir("a-99999999999"), DirKind::Other);
        assert_eq!(parse_partition_dir("-3"), DirKind::Other);
    }

    #[test]
    fn a_deleted_directory_has_a_name_that_fits() {
        let name = deleted_dir(&"t".repeat(249), 12345, [0xab; 16]);
        assert!(name.len() <= 255 && name.ends_with(&("ab".repeat(16) + "-delete")));
        let stray = stray_dir("a", 7, [0xab; 16]);
        assert_eq!(stray, "a-7.".to_owned() + &"ab".repeat(16) + "-stray");
        assert_eq!(parse_partition_dir(&stray), DirKind::SetAside);
    }
}
