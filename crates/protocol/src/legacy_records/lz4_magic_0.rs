//! Repairs the LZ4 frames of magic 0. Kafka's first writers hashed the frame's magic number into the checksum of the
//! frame's descriptor, which the format does not (KIP-57), so that a decoder that checks it refuses them.

/// Bytes of the frame's magic number, with which the wrong checksum began.
const FRAME_MAGIC_BYTES: usize = 4;
/// Bits of the flags that make the descriptor longer.
const CONTENT_SIZE_BIT: u8 = 1 << 3;
const DICTIONARY_BIT: u8 = 1;

/// The frame with the checksum that its format asks for; bytes that are no frame come back as they are.
pub(super) fn with_right_checksum(frame: &[u8]) -> Vec<u8> {
    let mut fixed = frame.to_vec();
    set_checksum(&mut fixed, FRAME_MAGIC_BYTES);
    fixed
}

/// Gives a frame without content size or dictionary the checksum that readers of magic 0 have always been given.
pub(super) fn set_wrong_checksum(frame: &mut [u8]) {
    set_checksum(frame, 0);
}

/// Computes the checksum over the descriptor from `from` on.
fn set_checksum(frame: &mut [u8], from: usize) {
    let Some(flags) = frame.get(FRAME_MAGIC_BYTES) else { return };
    let content_size = if flags & CONTENT_SIZE_BIT == 0 { 0 } else { 8 };
    let dictionary = if flags & DICTIONARY_BIT == 0 { 0 } else { 4 };
    let end = FRAME_MAGIC_BYTES + 2 + content_size + dictionary;
    let checksum = frame.get(from..end).map(|descriptor| (xxh32(descriptor) >> 8) as u8);
    if let (Some(checksum), Some(place)) = (checksum, frame.get_mut(end)) {
        *place = checksum;
    }
}

const PRIME_1: u32 = 0x9E37_79B1;
const PRIME_2: u32 = 0x85EB_CA77;
const PRIME_3: u32 = 0xC2B2_AE3D;
const PRIME_4: u32 = 0x27D4_EB2F;
const PRIME_5: u32 = 0x1656_67B1;

/// XXH32 with seed 0 of fewer than 16 bytes, which is all that a descriptor can have.
fn xxh32(bytes: &[u8]) -> u32 {
    debug_assert!(bytes.len() < 16, "longer inputs take another path");
    let mut hash = PRIME_5.wrapping_add(bytes.len() as u32);
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIME_3));
        hash = hash.rotate_left(17).wrapping_mul(PRIME_4);
    }
    for byte in tail {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIME_5));
        hash = hash.rotate_left(11).wrapping_mul(PRIME_1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{Compression, compress, decompress};

    #[test]
    fn a_frame_with_any_descriptor_checksum_is_read() {
        let input = b"from before 0.10 ".repeat(50);
        let (mut frame, mut out) = (Vec::new(), Vec::new());
        compress(Compression::Lz4, None, &input, &mut frame).unwrap();
        assert_eq!(with_right_checksum(&frame), frame, "a right one stays");
        frame[6] ^= 0x5a;
        assert!(decompress(Compression::Lz4, &frame, &mut out, input.len()).is_err());
        decompress(Compression::Lz4, &with_right_checksum(&frame), &mut out, input.len()).unwrap();
        assert_eq!(out, input);
    }

    #[test]
    fn the_wrong_checksum_is_kafkas() {
        // A frame of Kafka 0.9: flags 0x60, blocks of 64 KiB, checksum over the magic number too.
        let mut frame = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0];
        set_wrong_checksum(&mut frame);
        assert_ne!(with_right_checksum(&frame), frame);
        assert_eq!(frame[6], (xxh32(&[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40]) >> 8) as u8);
    }

    #[test]
    fn what_is_no_frame_is_left_alone() {
        for bytes in [&b""[..], b"abcd", b"abcde"] {
            assert_eq!(with_right_checksum(bytes), bytes);
        }
    }
}
