//! Identifiers that cross the wire.

use std::fmt;
use std::str::FromStr;

/// Sixteen bytes that name a topic, a directory or a cluster member. Shown as Kafka shows it: 22 characters of url-safe
/// base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// All zero: "unknown" (KIP-516).
    pub const ZERO: Self = Self([0; 16]);
    /// Reserved by Kafka for the metadata topic `__cluster_metadata` (`Uuid.ONE_UUID`, `Uuid.METADATA_TOPIC_ID`).
    pub const METADATA_TOPIC: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// Reserved by Kafka as a directory id: the replica is placed, its directory not yet known (`DirectoryId.UNASSIGNED`).
    pub const UNASSIGNED_DIRECTORY: Self = Self::METADATA_TOPIC;
    /// Reserved by Kafka as a directory id: the directory is offline (`DirectoryId.LOST`).
    pub const LOST_DIRECTORY: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    /// Reserved by Kafka as a directory id: a record older than directory ids (`DirectoryId.MIGRATING`).
    pub const MIGRATING_DIRECTORY: Self = Self::ZERO;

    /// Whether it is [`Self::ZERO`].
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// A version 4 (random) uuid out of random bytes, as Kafka makes them.
    #[must_use]
    pub fn from_random_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = u128::from_be_bytes(self.0);
        // 22 digits of six bits hold 132 bits: the last digit carries the low two bits of the uuid and four zero bits.
        for digit in 0..22u32 {
            let shift = 122i32 - 6 * digit as i32;
            let six = if shift >= 0 { (n >> shift) & 63 } else { (n << -shift) & 63 };
            let c = ALPHABET.get(six as usize).copied().unwrap_or(b'A');
            f.write_str(char::from(c).encode_utf8(&mut [0; 4]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no uuid in Kafka's notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no uuid: 22 characters of url-safe base64 are expected, as `kafka-storage random-uuid` prints them")]
pub struct ParseUuidError(String);

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseUuidError(text.chars().take(64).collect());
        let digits = text.trim_end_matches('=').as_bytes();
        let (last, head) = match digits {
            [head @ .., last] if digits.len() == 22 => (*last, head),
            _ => return Err(wrong()),
        };
        let value = |c: u8| ALPHABET.iter().position(|a| *a == c).map(|p| p as u128).ok_or_else(wrong);
        let mut n = 0u128;
        for c in head {
            n = (n << 6) | value(*c)?;
        }
        n = (n << 2) | (value(last)? >> 4);
        Ok(Self(n.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kafkas() {
        // `MkU3OEVBNTcwNTJENDM2Qk` is the cluster id of Kafka's own quick start.
        let text = "MkU3OEVBNTcwNTJENDM2Qk";
        let parsed: Uuid = text.parse().expect("parses");
        assert_eq!(parsed.to_string(), "MkU3OEVBNTcwNTJENDM2Qg");
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::METADATA_TOPIC.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        for bytes in [[0xff; 16], [0x5a; 16], *b"0123456789abcdef"] {
            assert_eq!(Uuid(bytes).to_string().parse(), Ok(Uuid(bytes)));
        }
        assert!("short".parse::<Uuid>().is_err());
        assert!("MkU3OEVBNTcwNTJENDM2Q!".parse::<Uuid>().is_err());
    }
}
