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

/// Bytes that the name of a file or directory may have.
const NAME_BYTES_MAX: usize = 255;
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
    /// The copy of a partition that moves here from another log directory.
    Future { topic: &'a str, partition: i32 },
    /// A partition that metadata did not know: left alone.
    SetAside,
    /// Not ours.
    Other,
}

/// Reads a directory's name.
pub(crate) fn parse_partition_dir(name: &str) -> DirKind<'_> {
    if name.ends_with(DELETE_DIR) {
        return DirKind::Deleted;
    }
    if name.ends_with(STRAY_DIR) {
        return DirKind::SetAside;
    }
    if let Some(rest) = name.strip_suffix(FUTURE_DIR) {
        let of = rest.rsplit_once('.').and_then(|(partition, _unique)| topic_and_number(partition));
        return of.map_or(DirKind::Other, |(topic, partition)| DirKind::Future { topic, partition });
    }
    topic_and_number(name).map_or(DirKind::Other, |(topic, partition)| DirKind::Partition { topic, partition })
}

fn topic_and_number(name: &str) -> Option<(&str, i32)> {
    let (topic, number) = name.rsplit_once('-')?;
    let is_one = !topic.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    if is_one { Some((topic, number.parse().ok()?)) } else { None }
}

/// `topic-3.<32 hex digits>-delete`
pub(crate) fn deleted_dir(topic: &str, partition: i32, unique: [u8; 16]) -> String {
    renamed_dir(topic, partition, unique, DELETE_DIR)
}

/// `topic-3.<32 hex digits>-stray`
pub(crate) fn stray_dir(topic: &str, partition: i32, unique: [u8; 16]) -> String {
    renamed_dir(topic, partition, unique, STRAY_DIR)
}

/// `topic-3.<32 hex digits>-future`; None if a directory cannot have so long a name. Nothing is cut off: the name is all that
/// tells of which partition it is.
pub(crate) fn future_dir(topic: &str, partition: i32, unique: [u8; 16]) -> Option<String> {
    let name = format!("{}.{}{FUTURE_DIR}", partition_dir(topic, partition), hex(unique));
    (name.len() <= NAME_BYTES_MAX).then_some(name)
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The topic is cut so that the name is at most 255 bytes.
fn renamed_dir(topic: &str, partition: i32, unique: [u8; 16], suffix: &str) -> String {
    let tail = format!("-{partition}.{}{suffix}", hex(unique));
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
        assert_eq!(parse_partition_dir("a-b.c-7.0123-future"), DirKind::Future { topic: "a-b.c", partition: 7 });
        assert_eq!(parse_partition_dir("a-7-future"), DirKind::Other);
        assert_eq!(parse_partition_dir("a.0123-future"), DirKind::Other);
        assert_eq!(parse_partition_dir("lost+found"), DirKind::Other);
        assert_eq!(parse_partition_dir("a-99999999999"), DirKind::Other);
        assert_eq!(parse_partition_dir("-3"), DirKind::Other);
    }

    #[test]
    fn a_deleted_directory_has_a_name_that_fits() {
        let name = deleted_dir(&"t".repeat(249), 12345, [0xab; 16]);
        assert!(name.len() <= 255 && name.ends_with(&("ab".repeat(16) + "-delete")));
        assert_eq!(future_dir("a", 7, [0xab; 16]), Some("a-7.".to_owned() + &"ab".repeat(16) + "-future"));
        assert_eq!(future_dir(&"t".repeat(214), 7, [0; 16]), None, "it is too long, and nothing may be cut off");
        let stray = stray_dir("a", 7, [0xab; 16]);
        assert_eq!(stray, "a-7.".to_owned() + &"ab".repeat(16) + "-stray");
        assert_eq!(parse_partition_dir(&stray), DirKind::SetAside);
    }
}
