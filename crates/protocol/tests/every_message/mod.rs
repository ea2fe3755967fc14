//! What the tests over every message share: the definitions, sample bytes made from them, and the codec of each by name.

#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::disallowed_methods, reason = "tests read the definitions of this crate")]

pub(crate) mod allocation;
pub(crate) mod random;
pub(crate) mod sample;

use std::collections::BTreeMap;
use std::path::Path;

use ottla_protocol::message::Message as _;
use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::writer::Writer;
use ottla_protocol_gen::{Message, Versions, read_definition};

/// Every definition, by the name of its module.
pub(crate) fn definitions() -> BTreeMap<String, Message> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("messages");
    std::fs::read_dir(directory)
        .expect("the definitions are part of the crate")
        .map(|entry| {
            let path = entry.expect("readable").path();
            let module = path.file_stem().expect("named").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("text");
            let message = read_definition(&module, &text).expect("the build read it too");
            (module, message)
        })
        .collect()
}

/// Versions of a message that can be read and written.
pub(crate) fn versions(message: &Message) -> impl Iterator<Item = i16> + use<> {
    message.versions.into_iter().flat_map(|Versions { first, last }| first..=last)
}

/// The generated code of one message, taken as functions over bytes.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    /// Module.
    pub(crate) module: &'static str,
    /// Reads the message; gives the bytes left over.
    pub(crate) decode: fn(&[u8], i16) -> Result<usize, DecodeError>,
    /// Reads the message to the last byte and writes it.
    pub(crate) decode_encode: fn(&[u8], i16) -> Vec<u8>,
    /// Writes the message that the bytes hold, writes a throttle time over its place, and gives in words what is read from that;
    /// `None` if there is no such place.
    pub(crate) throttled: fn(&[u8], i16, i32) -> Option<String>,
    /// Whether two readings give equal messages.
    pub(crate) same: fn(&[u8], &[u8], i16) -> bool,
}

/// The codec of every message.
pub(crate) fn codecs() -> Vec<Codec> {
    macro_rules! codec {
        ($($module:ident::$name:ident,)*) => { vec![$({
            use ottla_protocol::messages::$module::$name;
            Codec {
                module: stringify!($module),
                decode: |bytes, version| {
                    let mut r = Reader::new(bytes);
                    $name::decode(&mut r, version).map(|_| r.remaining())
                },
                decode_encode: |bytes, version| {
                    let mut r = Reader::new(bytes);
                    let message = $name::decode(&mut r, version)
                        .unwrap_or_else(|e| panic!("{} {version}: {e}: {bytes:02x?}", $name::NAME));
                    assert_eq!(r.remaining(), 0, "{} {version} left bytes over: {bytes:02x?}", $name::NAME);
                    let mut w = Writer::new();
                    message.encode(&mut w, version).unwrap_or_else(|e| panic!("{} {version}: {e}", $name::NAME));
                    w.into_bytes()
                },
                throttled: |bytes, version, ms| {
                    let mut w = Writer::new();
                    let message = $name::decode(&mut Reader::new(bytes), version).expect("a sample can be read");
                    message.encode(&mut w, version).expect("what was read can be written");
                    let at = w.throttle_time_at()?;
                    let mut bytes = w.into_bytes();
                    bytes[at..at + 4].copy_from_slice(&ms.to_be_bytes());
                    let read = $name::decode(&mut Reader::new(&bytes), version).expect("only a number has changed");
                    Some(format!("{read:?}"))
                },
                same: |a, b, version| {
                    let read = |bytes| $name::decode(&mut Reader::new(bytes), version);
                    matches!((read(a), read(b)), (Ok(a), Ok(b)) if a == b)
                },
            }
        }),*] };
    }
    ottla_protocol::for_each_message!(codec)
}
