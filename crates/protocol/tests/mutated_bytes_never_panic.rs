//! Hostile bytes: truncations, lengths that lie and random flips of every message at every version. Nothing panics, and
//! what is allocated stays below 16 times the frame plus 64 KiB, by a counting allocator.

mod every_message;

use every_message::allocation::{Counting, peak_of};
use every_message::random::Random;
use every_message::sample::{Fill, sample};
use every_message::{Codec, codecs, definitions, versions};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Frames larger than this are cut by steps, to keep the test within seconds.
const EVERY_OFFSET_BYTES: usize = 300;
const FLIPS: usize = 300;
/// What a length field may say to do harm, in either encoding.
const BAD_LENGTHS: [&[u8]; 9] = [
    &[0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00],
    &[0x00, 0x0f, 0xff, 0xff],
    &[0x7f, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0x3f],
    &[0x00],
];

fn check(codec: Codec, version: i16, bytes: &[u8], what: &str) {
    let (_, peak) = peak_of(|| (codec.decode)(bytes, version));
    let bound = 16 * bytes.len() + (64 << 10);
    assert!(peak <= bound, "{} version {version}, {what}: {peak} bytes for {bytes:02x?}", codec.module);
}

/// Samples of a message: as they come, and a larger one.
fn frames(module: &str, message: &ottla_protocol_gen::Message, version: i16) -> Vec<Vec<u8>> {
    let of = |round| sample(message, version, Fill::UnknownTags, &mut Random::of(module, version, round));
    let largest = (2..12).map(of).max_by_key(Vec::len);
    [Some(of(0)), Some(of(1)), largest].into_iter().flatten().collect()
}

fn for_each_frame(mut visit: impl FnMut(Codec, i16, &[u8])) {
    let definitions = definitions();
    for codec in codecs() {
        let message = &definitions[codec.module];
        for version in versions(message) {
            for frame in frames(codec.module, message, version) {
                visit(codec, version, &frame);
            }
        }
    }
}

#[test]
fn truncations() {
    for_each_frame(|codec, version, frame| {
        let step = frame.len() / EVERY_OFFSET_BYTES + 1;
        for end in (0..frame.len()).step_by(step) {
            let cut = &frame[..end];
            check(codec, version, cut, "cut");
            // A shorter frame is never the same message: at most it is another one that ends earlier.
            assert!(
                !(codec.same)(cut, frame, version),
                "{} version {version}: the bytes after {end} mean nothing",
                codec.module
            );
        }
    });
}

#[test]
fn lengths_that_lie() {
    let mut buffer = Vec::new();
    for_each_frame(|codec, version, frame| {
        let step = frame.len() / EVERY_OFFSET_BYTES + 1;
        for at in (0..frame.len()).step_by(step) {
            for lie in BAD_LENGTHS {
                // In place of what stood there, and before it.
                buffer.clear();
                buffer.extend_from_slice(&frame[..at]);
                buffer.extend_from_slice(lie);
                buffer.extend_from_slice(frame.get(at + lie.len()..).unwrap_or_default());
                check(codec, version, &buffer, "a lie");
                buffer.truncate(at + lie.len());
                buffer.extend_from_slice(&frame[at..]);
                check(codec, version, &buffer, "a lie between");
            }
        }
    });
}

#[test]
fn random_flips() {
    let mut buffer = Vec::new();
    for_each_frame(|codec, version, frame| {
        let mut random = Random::of(codec.module, version, 99);
        for _ in 0..if frame.is_empty() { 0 } else { FLIPS } {
            buffer.clear();
            buffer.extend_from_slice(frame);
            for _ in 0..=random.below(3) {
                let at = random.below(buffer.len());
                buffer[at] ^= 1 << random.below(8);
            }
            check(codec, version, &buffer, "a flip");
        }
    });
}

#[test]
fn random_bytes() {
    let definitions = definitions();
    for codec in codecs() {
        for version in versions(&definitions[codec.module]) {
            let mut random = Random::of(codec.module, version, 7);
            for _ in 0..100 {
                let n = random.below(400);
                // Small numbers are lengths and counts that fit, and so lead deeper.
                let bytes: Vec<u8> = (0..n)
                    .map(|_| if random.one_in(2) { random.below(4) as u8 } else { random.next() as u8 })
                    .collect();
                check(codec, version, &bytes, "random bytes");
            }
        }
    }
}

/// The counts that a frame can carry at most: a hundred thousand empty strings are honest, a hundred million are not.
#[test]
fn a_large_frame_of_tiny_elements_stays_within_its_budget() {
    let codec = codecs().into_iter().find(|c| c.module == "delete_groups_request").expect("it exists");
    let (groups, filler) = (100_000u32, 100_000);
    // Compact array, then empty compact strings, then no tagged fields.
    let mut bytes = Vec::new();
    let mut count = groups + 1;
    while count >= 0x80 {
        bytes.push(count as u8 | 0x80);
        count >>= 7;
    }
    bytes.push(count as u8);
    bytes.resize(bytes.len() + filler, 1);
    bytes.push(0);
    check(codec, 2, &bytes, "many elements");
    assert!((codec.decode)(&bytes, 2).is_ok());
}
