use super::*;
use crate::compression::compress;

fn message(
    offset: i64,
    magic: i8,
    attributes: i8,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = vec![magic as u8, attributes as u8];
    if magic == 1 {
        body.extend_from_slice(&timestamp.to_be_bytes());
    }
    for bytes in [key, value] {
        body.extend_from_slice(&bytes.map_or(-1, |b| b.len() as i32).to_be_bytes());
        body.extend_from_slice(bytes.unwrap_or_default());
    }
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &body) as u32;
    let mut out = offset.to_be_bytes().to_vec();
    out.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(&body);
    out
}

fn unpacked(set: &[u8]) -> Vec<(i64, i64, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    for entry in entries(set) {
        let entry = entry.unwrap();
        assert!(entry.check_crc());
        let mut scratch = Vec::new();
        for m in messages(&entry, &mut scratch, 1 << 20).unwrap() {
            let m = m.unwrap();
            all.push((m.offset, m.timestamp, m.value.map(<[u8]>::to_vec)));
        }
    }
    all
}

#[test]
fn plain_messages_of_both_magics_are_read() {
    let mut set = message(5, 0, 0, 0, Some(b"k"), Some(b"a"));
    set.extend(message(6, 1, 0, 1234, None, None));
    assert_eq!(unpacked(&set), [(5, -1, Some(b"a".to_vec())), (6, 1234, None)]);
}

#[test]
fn wrappers_give_the_offsets_of_what_they_hold() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        for magic in [0, 1] {
            // Magic 1 counts from the first; here compaction has taken the one at 8.
            let offsets = if magic == 0 { [7, 9] } else { [0, 2] };
            let mut within = message(offsets[0], magic, 0, 100, None, Some(b"a"));
            within.extend(message(offsets[1], magic, 0, 200, None, Some(b"b")));
            let mut packed = Vec::new();
            compress(codec, None, &within, &mut packed).unwrap();
            let set = message(9, magic, codec as i8, 200, None, Some(&packed));
            let times = if magic == 0 { [-1, -1] } else { [100, 200] };
            assert_eq!(unpacked(&set), [(7, times[0], Some(b"a".to_vec())), (9, times[1], Some(b"b".to_vec()))]);
        }
    }
}

#[test]
fn a_wrapper_that_loses_messages_keeps_the_offsets_of_the_others() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        for magic in [0, 1] {
            let mut within = Vec::new();
            for n in 0..4 {
                let offset = if magic == 0 { 20 + n } else { n };
                within.extend(message(offset, magic, 0, 100 * n, Some(b"k"), Some(&[n as u8])));
            }
            let mut packed = Vec::new();
            compress(codec, None, &within, &mut packed).unwrap();
            let set = message(23, magic, codec as i8, 300, None, Some(&packed));
            let entry = LegacyEntry::read(&set).unwrap();
            let mut scratch = Vec::new();
            let all: Vec<_> = messages(&entry, &mut scratch, 1 << 20).unwrap().map(Result::unwrap).collect();
            let mut out = Vec::new();
            write_wrapper(&entry, &all[1..3], &mut out).unwrap();
            let times = if magic == 0 { [-1, -1] } else { [100, 200] };
            assert_eq!(unpacked(&out), [(21, times[0], Some(vec![1])), (22, times[1], Some(vec![2]))]);
            let rewritten = LegacyEntry::read(&out).unwrap();
            assert_eq!((rewritten.offset, rewritten.magic, rewritten.bytes.len()), (22, magic, out.len()));
        }
    }
}

#[test]
fn log_append_time_of_a_wrapper_holds_for_all_within() {
    let within = message(0, 1, 0, 100, None, Some(b"a"));
    let mut packed = Vec::new();
    compress(Compression::Gzip, None, &within, &mut packed).unwrap();
    let set = message(3, 1, 1 | TIMESTAMP_TYPE_BIT, 777, None, Some(&packed));
    assert_eq!(unpacked(&set), [(3, 777, Some(b"a".to_vec()))]);
}

#[test]
fn a_wrapper_within_a_wrapper_is_refused() {
    let inner = message(0, 1, 1, 100, None, Some(b"whatever"));
    let mut packed = Vec::new();
    compress(Compression::Gzip, None, &inner, &mut packed).unwrap();
    let set = message(3, 1, 1, 777, None, Some(&packed));
    let entry = LegacyEntry::read(&set).unwrap();
    let mut scratch = Vec::new();
    assert!(messages(&entry, &mut scratch, 1 << 20).unwrap().next().unwrap().is_err());
}

#[test]
fn no_truncation_or_flip_panics_and_a_flip_breaks_the_checksum() {
    let set = message(5, 1, 0, 1, Some(b"key"), Some(b"value"));
    for end in 0..set.len() {
        assert!(entries(&set[..end]).next().is_none());
        assert!(LegacyEntry::read(&set[..end]).is_err());
    }
    for at in LOG_OVERHEAD..set.len() {
        let mut broken = set.clone();
        broken[at] ^= 0x11;
        assert!(!LegacyEntry::read(&broken).is_ok_and(|e| e.check_crc()), "byte {at}");
    }
}
