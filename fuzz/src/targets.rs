//! What the fuzz targets do with their bytes. The corpus is replayed through the same functions on a stable compiler by
//! `crates/protocol/tests/fuzz_corpus_is_replayed.rs`.
//!
//! ```text
//! cargo +nightly fuzz run request_decode        # in the root of the repository; needs cargo-fuzz
//! ```
//!
//! A target panics when something is wrong: on a crash within the codec of course, and also when what was decoded cannot
//! be written, or changes by being written and read again.

use ottla_protocol::record_batch::{BatchHeader, batches, check_crc, records, set_max_timestamp, walk};
use ottla_protocol::{frame, legacy_records};

/// Bytes that a batch may unpack to.
const LIMIT: usize = 1 << 20;

/// A request frame, without its length: header, then body.
pub fn request_decode(data: &[u8]) {
    if let Ok(head) = frame::read_request_head(data)
        && let Some(body) = data.get(head.body_at..)
    {
        decode_message("Request", head.api_key, head.api_version, body);
    }
}

/// API key, version, and the response frame to it, without its length.
pub fn response_decode(data: &[u8]) {
    let Some((&[a, b, c, d], frame)) = data.split_first_chunk::<4>() else { return };
    let (key, version) = (i16::from_be_bytes([a, b]), i16::from_be_bytes([c, d]));
    if let Ok((_, body_at)) = frame::read_response_head(frame, key, version)
        && let Some(body) = frame.get(body_at..)
    {
        decode_message("Response", key, version, body);
    }
}

/// Decodes the message of a key; what decodes must survive being written and read again.
fn decode_message(kind: &str, key: i16, version: i16, body: &[u8]) {
    macro_rules! try_all {
        ($($module:ident::$name:ident,)*) => { $({
            use ottla_protocol::message::Message;
            use ottla_protocol::messages::$module::$name;
            if $name::API_KEY == Some(key) && $name::NAME.ends_with(kind) {
                let read = |bytes| $name::decode(&mut ottla_protocol::reader::Reader::new(bytes), version);
                let write = |bytes| {
                    let mut w = ottla_protocol::writer::Writer::new();
                    read(bytes).ok()?.encode(&mut w, version).expect("what was read can be written");
                    Some(w.into_bytes())
                };
                if let Some(once) = write(body) {
                    assert_eq!(write(&once).as_ref(), Some(&once), "{} {version}", $name::NAME);
                }
            }
        })* };
    }
    ottla_protocol::for_each_message!(try_all);
}

/// A record set of magic 2. Checksums are repaired, as a fuzzer does not find them.
pub fn record_batch_walk(data: &[u8]) {
    let (mut scratch, mut window) = (Vec::new(), Vec::new());
    for batch in batches(data) {
        let Ok((_, batch)) = batch else { return };
        let mut batch = batch.to_vec();
        set_max_timestamp(&mut batch, 0);
        assert!(check_crc(&batch));
        let header = BatchHeader::read(&batch).expect("it was read before");
        let walked = walk(&batch, &mut window, LIMIT).map(|w| w.collect::<Result<Vec<_>, _>>());
        let read = records(&batch, &mut scratch, LIMIT).map(|r| r.collect::<Result<Vec<_>, _>>());
        // Both ways see the same records, or both see that something is wrong.
        match (walked, read) {
            (Ok(Ok(shapes)), Ok(Ok(records))) => {
                assert_eq!(shapes.len(), header.record_count as usize);
                for (shape, record) in shapes.iter().zip(&records) {
                    assert_eq!(shape.key_bytes, record.key.map(<[u8]>::len));
                    assert_eq!(shape.value_bytes, record.value.map(<[u8]>::len));
                    assert_eq!(shape.header_count, record.headers.count());
                    let _ = (header.offset_of(record), header.timestamp_of(record));
                }
            }
            (Ok(Err(_)) | Err(_), Ok(Err(_)) | Err(_)) => {}
            (walked, read) => panic!("one way fails, the other does not: {walked:?} {read:?}"),
        }
    }
}

/// A message set of magic 0 or 1.
pub fn legacy_records(data: &[u8]) {
    let mut scratch = Vec::new();
    for entry in legacy_records::entries(data).flatten() {
        let _ = (entry.check_crc(), entry.timestamp_type());
        if let Ok(messages) = legacy_records::messages(&entry, &mut scratch, LIMIT) {
            messages.for_each(drop);
        }
    }
}
