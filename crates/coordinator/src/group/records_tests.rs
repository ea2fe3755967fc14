//! Records as Apache Kafka 4.4 wrote them, byte by byte: read, and written again, they are the same.

use super::Record;

/// Key and value of records that a broker of version 4.4.0 left in its `__consumer_offsets`; without value, a tombstone.
const WRITTEN_BY_KAFKA: &[(&str, &str)] = &[
    // A new group; a member's offset with the topic's id; one with an expiry of its own; tombstones of both types.
    ("00020006703338313633", "0003000000000000ffffffff000001a20f351ebd00000000"),
    (
        "000100067033383136330005746f70696300000000",
        "0004000000000000000500000003056d657461000001a20f3524a90100107711772540d94ce28f4d2f6578231fa8",
    ),
    ("000100067333383136330005746f70696300000000", "00010000000000000007000178000001a20f3524de000001a20f36ab7e"),
    ("000100067333383136330005746f70696300000000", ""),
    ("00020006733338313633", ""),
    // A stable group with a static member `i1`.
    (
        "0002000773743338313633",
        "00030008636f6e73756d657200000001000572616e6765002769312d31383231353938302d373739612d343236322d393535372d\
         323032663265303132343166000001a20f352b3600000001002769312d31383231353938302d373739612d343236322d39353537\
         2d32303266326530313234316600026931000361736b000a2f3132372e302e302e3100004e20000027100000000201020000000209\
         09",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

#[test]
fn records_of_kafka_are_read_and_written_again_unchanged() {
    for (key, value) in WRITTEN_BY_KAFKA {
        let key = bytes(key);
        let value = (!value.is_empty()).then(|| bytes(value));
        let record = Record::decode(Some(&key), value.as_deref()).expect("Kafka wrote it");
        let written = record.encode().expect("of a kind that we write");
        assert_eq!((written.key, written.value), (key, value), "{record:?}");
    }
}

#[test]
fn what_they_say_is_understood() {
    let decode = |i: usize| {
        let (key, value) = WRITTEN_BY_KAFKA[i];
        Record::decode(Some(&bytes(key)), Some(&bytes(value))).expect("Kafka wrote it")
    };
    let Record::OffsetCommit(key, Some(value)) = decode(1) else { panic!("an offset") };
    assert_eq!((&*key.group, &*key.topic, key.partition), ("p38163", "topic", 0));
    assert_eq!((value.offset, value.leader_epoch, &*value.metadata), (5, 3, "meta"));
    assert!(value.expire_timestamp_ms.is_none() && !value.topic_id.is_zero());
    let Record::OffsetCommit(_, Some(value)) = decode(2) else { panic!("an offset") };
    assert_eq!(value.expire_timestamp_ms, Some(value.commit_timestamp_ms + 100_000));
    let Record::Group(_, Some(group)) = decode(5) else { panic!("a group") };
    assert_eq!((group.generation, group.protocol.as_deref()), (1, Some("range")));
    assert_eq!(group.members[0].group_instance_id.as_deref(), Some("i1"));
    assert_eq!((group.members[0].rebalance_timeout_ms, group.members[0].session_timeout_ms), (20_000, 10_000));
}

#[test]
fn hostile_bytes_are_errors() {
    for (key, value) in WRITTEN_BY_KAFKA {
        let (key, value) = (bytes(key), bytes(value));
        for cut in 0..key.len() {
            assert!(Record::decode(Some(&key[..cut]), Some(&value)).is_err());
        }
        for cut in 0..value.len() {
            assert!(Record::decode(Some(&key), Some(&value[..cut])).is_err());
        }
    }
}
