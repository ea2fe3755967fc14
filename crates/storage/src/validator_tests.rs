use super::*;
use crate::config::CleanupPolicy;
use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions, HEADER_BYTES};

const NOW: i64 = 1_700_000_000_000;

fn batch(options: BatchOptions, keys: &[Option<&[u8]>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for (n, key) in (0..).zip(keys) {
        builder.append(NOW + n, *key, Some(b"value"), &[("h", Some(b"x")), ("h", None)]);
    }
    builder.build()
}

fn check(batch: &[u8], config: &LogConfig) -> Result<Validated, AppendError> {
    let header = BatchHeader::read(batch).expect("a header");
    validate(batch, &header, AppendOrigin::Client, config, NOW, &mut Vec::new())
}

/// Sets bytes of a batch and its checksum again.
fn patched(mut batch: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc_fast::crc32_iscsi(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

#[test]
fn sound_batches_of_every_codec_pass() {
    for compression in Compression::ALL {
        let batch = batch(BatchOptions { compression, ..BatchOptions::default() }, &[None, Some(b"k"), None]);
        assert_eq!(check(&batch, &LogConfig::default()).expect("sound"), Validated { max_timestamp: NOW + 2 });
    }
}

#[test]
fn every_broken_rule_has_its_error() {
    let sound = || batch(BatchOptions::default(), &[None, None]);
    let config = LogConfig::default();
    let mut flipped = sound();
    flipped[HEADER_BYTES + 2] ^= 1;
    assert!(matches!(check(&flipped, &config), Err(AppendError::Corrupt(_))));
    let small = LogConfig { max_message_bytes: 70, ..LogConfig::default() };
    assert!(matches!(check(&sound(), &small), Err(AppendError::MessageTooLarge { max: 70, .. })));
    let invalid = [
        ("base offset", patched(sound(), 7, &[1])),
        ("control", patched(sound(), 21, &[0, 0x20])),
        ("sequence", patched(sound(), 43, &[0, 0, 0, 0, 0, 0, 0, 7])),
        ("count", patched(sound(), 57, &[0, 0, 0, 3])),
        ("last offset delta", patched(sound(), 23, &[0, 0, 0, 9])),
        ("unknown codec", patched(sound(), 21, &[0, 7])),
        ("not gzip", patched(sound(), 21, &[0, 1])),
        ("record length", patched(sound(), HEADER_BYTES, &[0x7e])),
        ("offset delta", patched(sound(), HEADER_BYTES + 3, &[8])),
    ];
    for (what, batch) in invalid {
        assert!(matches!(check(&batch, &config), Err(AppendError::InvalidRecords { .. })), "{what}");
    }
    let log_append_time = patched(sound(), 21, &[0, 0x08]);
    assert!(matches!(check(&log_append_time, &config), Err(AppendError::InvalidTimestamp { .. })));
}

#[test]
fn a_compacted_topic_names_the_records_without_a_key() {
    let compact = CleanupPolicy { delete: false, compact: true };
    let config = LogConfig { cleanup_policy: compact, ..LogConfig::default() };
    for compression in [Compression::None, Compression::Lz4] {
        let batch = batch(BatchOptions { compression, ..BatchOptions::default() }, &[None, Some(b"k"), None]);
        let Err(AppendError::InvalidRecords { errors, .. }) = check(&batch, &config) else { panic!("accepted") };
        assert_eq!(errors.iter().map(|e| e.index).collect::<Vec<_>>(), [0, 2]);
    }
}

#[test]
fn timestamps_are_bounded_on_both_sides_unless_the_broker_sets_them() {
    let batch = batch(BatchOptions::default(), &[None, None, None]);
    let after = LogConfig { message_timestamp_after_max_ms: 1, ..LogConfig::default() };
    let Err(AppendError::InvalidTimestamp { errors, .. }) = check(&batch, &after) else { panic!("accepted") };
    assert_eq!(errors.iter().map(|e| e.index).collect::<Vec<_>>(), [2]);
    let before = LogConfig { message_timestamp_before_max_ms: -1, ..LogConfig::default() };
    let Err(AppendError::InvalidTimestamp { errors, .. }) = check(&batch, &before) else { panic!("accepted") };
    assert_eq!(errors.iter().map(|e| e.index).collect::<Vec<_>>(), [0]);
    assert!(check(&batch, &LogConfig { log_append_time: true, ..after }).is_ok());
}

#[test]
fn a_bomb_is_refused_by_its_size_unpacked() {
    let mut builder = BatchBuilder::new(BatchOptions { compression: Compression::Zstd, ..BatchOptions::default() });
    builder.append(NOW, None, Some(&vec![0; 1 << 20]), &[]);
    let config = LogConfig { max_decompressed_message_bytes: 1 << 16, ..LogConfig::default() };
    assert!(matches!(check(&builder.build(), &config), Err(AppendError::DecompressedTooLarge { max: 65536 })));
}
