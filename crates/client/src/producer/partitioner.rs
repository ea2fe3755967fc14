//! Which partition a record goes to: by its key exactly as Java's producer does, so that both put a key into the same
//! partition; without a key into one partition until a batch is full (KIP-480, KIP-794).

/// Kafka's variant of MurmurHash2, seed `0x9747b28c` (`org.apache.kafka.common.utils.Utils.murmur2`).
#[must_use]
pub fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut h = SEED ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = chunk.iter().rev().fold(0u32, |k, b| (k << 8) | u32::from(*b)).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        h ^= rest.iter().rev().fold(0u32, |k, b| (k << 8) | u32::from(*b));
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    (h ^ (h >> 15)) as i32
}

/// The partition of a key among `partitions`, which must be above 0.
#[must_use]
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX) % partitions.max(1)
}

/// The partition that records without a key go to at present.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    current: Option<i32>,
    bytes: usize,
}

impl Sticky {
    /// The partition for a record of `bytes`; changes after `batch_size` bytes. `pick` chooses the next one.
    pub(super) fn partition(&mut self, bytes: usize, batch_size: usize, pick: impl FnOnce() -> i32) -> i32 {
        let partition = match self.current {
            Some(partition) if self.bytes < batch_size => partition,
            _ => {
                self.bytes = 0;
                pick()
            }
        };
        self.current = Some(partition);
        self.bytes += bytes;
        partition
    }

    /// Leaves the current partition, for it has no leader.
    pub(super) fn leave(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_java_s() {
        // The vectors of Kafka's own UtilsTest.
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()), hash, "{text}");
        }
        assert!((0..12).contains(&partition_of_key(b"foobar", 12)));
        assert_eq!(partition_of_key(b"foobar", 12), (-790_332_482i32 & 0x7fff_ffff) % 12);
    }

    #[test]
    fn records_without_a_key_stay_until_a_batch_is_full() {
        let mut sticky = Sticky::default();
        let mut next = 0..;
        let partitions: Vec<i32> =
            (0..6).map(|_| sticky.partition(40, 100, || next.next().expect("endless"))).collect();
        assert_eq!(partitions, [0, 0, 0, 1, 1, 1]);
        sticky.leave();
        assert_eq!(sticky.partition(1, 100, || 9), 9);
    }
}
