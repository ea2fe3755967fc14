//! Zigzag varints, which Kafka uses inside records only (KIP-98): small numbers of either sign take one byte.

/// A varint that ends within its bytes, and the bytes it took.
pub(crate) type Varint<T> = Option<(T, usize)>;

/// Longest `varint`.
const MAX_BYTES_32: usize = 5;
/// Longest `varlong`.
pub(crate) const MAX_BYTES_64: usize = 10;

/// Reads a `varint` at the start of `bytes`; `None` when it does not end, or does not fit into 32 bits.
#[inline]
pub(crate) fn read_i32(bytes: &[u8]) -> Varint<i32> {
    // Nearly every varint of a record is one byte long, and most others two.
    match *bytes {
        [a, ..] if a < 0x80 => Some((unzigzag_32(u32::from(a)), 1)),
        [a, b, ..] if b < 0x80 => Some((unzigzag_32(u32::from(a & 0x7f) | u32::from(b) << 7), 2)),
        _ => read_long_i32(bytes),
    }
}

fn read_long_i32(bytes: &[u8]) -> Varint<i32> {
    let mut value = 0u32;
    for (i, &byte) in bytes.iter().take(MAX_BYTES_32).enumerate() {
        if i == MAX_BYTES_32 - 1 && byte > 0x0f {
            return None;
        }
        value |= u32::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((unzigzag_32(value), i + 1));
        }
    }
    None
}

/// Reads a `varlong` at the start of `bytes`; `None` when it does not end, or does not fit into 64 bits.
#[inline]
pub(crate) fn read_i64(bytes: &[u8]) -> Varint<i64> {
    match *bytes {
        [a, ..] if a < 0x80 => Some((unzigzag_64(u64::from(a)), 1)),
        [a, b, ..] if b < 0x80 => Some((unzigzag_64(u64::from(a & 0x7f) | u64::from(b) << 7), 2)),
        _ => read_long_i64(bytes),
    }
}

fn read_long_i64(bytes: &[u8]) -> Varint<i64> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(MAX_BYTES_64).enumerate() {
        if i == MAX_BYTES_64 - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((unzigzag_64(value), i + 1));
        }
    }
    None
}

/// Appends a `varint` or `varlong`; for one number both have the same bytes.
pub(crate) fn write(out: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes that [`write()`] appends.
pub(crate) fn len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag_32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

fn unzigzag_64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_sign_survives() {
        for shift in 0..64 {
            for value in [1i64 << shift, (1i64 << shift).wrapping_sub(1), -(1i64 << shift.min(62)), !(1i64 << shift)] {
                let mut bytes = Vec::new();
                write(&mut bytes, value);
                assert_eq!(bytes.len(), len(value), "{value}");
                assert_eq!(read_i64(&bytes), Some((value, bytes.len())));
                assert_eq!(read_i32(&bytes), i32::try_from(value).ok().map(|v| (v, bytes.len())), "{value}");
            }
        }
    }

    #[test]
    fn what_does_not_end_or_fit_is_refused() {
        assert_eq!(read_i32(&[]), None);
        assert_eq!(read_i32(&[0x80, 0x80]), None);
        assert_eq!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x10]), None);
        assert_eq!(read_i64(&[0xff; 10]), None);
    }
}
