//! Randomness: from the kernel, or from the seed of the simulation.

use crate::platform::random as platform;

/// Fills `bytes` with random bytes, good enough for secrets when they come from the kernel.
///
/// # Panics
/// If the kernel has no randomness to give: nothing that follows could be trusted.
pub fn fill(bytes: &mut [u8]) {
    platform::fill(bytes);
}

/// A random number.
#[must_use]
pub fn next_u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A random number below `n`, without bias.
///
/// # Panics
/// If `n` is zero.
#[must_use]
pub fn below(n: u64) -> u64 {
    assert!(n > 0, "there is no number below zero");
    // The draws above the largest multiple of n would favour small results; they are thrown away.
    let fair = u64::MAX - u64::MAX % n;
    loop {
        let draw = next_u64();
        if draw < fair {
            return draw % n;
        }
    }
}

/// Sixteen random bytes.
#[must_use]
pub fn bytes16() -> [u8; 16] {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    bytes
}

/// The bytes of a random (version 4) UUID as Kafka makes them for topics, directories and clusters: never one whose
/// base64 form starts with a dash, because command lines would take it for an option.
#[must_use]
pub fn uuid_v4() -> [u8; 16] {
    loop {
        let mut bytes = bytes16();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let first_base64_digit = bytes[0] >> 2;
        if first_base64_digit != BASE64_DASH {
            return bytes;
        }
    }
}

/// The value of `-` in URL-safe base64.
const BASE64_DASH: u8 = 62;

#[cfg(all(test, not(sim)))]
mod tests {
    use super::*;

    #[test]
    fn below_reaches_every_number_and_no_other() {
        let mut seen = [0_u32; 5];
        for _ in 0..1_000 {
            seen[below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
        assert_eq!(below(1), 0);
    }

    #[test]
    fn uuids_carry_version_and_variant_and_differ() {
        let (a, b) = (uuid_v4(), uuid_v4());
        assert_ne!(a, b);
        assert_eq!((a[6] >> 4, a[8] >> 6), (4, 2));
    }
}
