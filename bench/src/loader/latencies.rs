//! Latencies, counted in buckets: a run of any length takes the same memory, and no percentile is told more than 0.4 % wrong.

use std::time::Duration;

/// Each power of two is cut into 2^7 buckets.
const BITS: u32 = 7;
const BUCKETS: usize = ((u64::BITS - BITS + 1) << BITS) as usize;
/// What is told of a run.
const PERCENT: [f64; 3] = [50.0, 99.0, 99.9];

/// So many of each length.
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }

    /// One more.
    pub fn add(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanoseconds)] += 1;
        self.count += 1;
    }

    /// The percentiles 50, 99 and 99.9 in microseconds; 0 if there was nothing.
    pub fn microseconds(&self) -> [f64; 3] {
        PERCENT.map(|percent| self.percentile(percent) / 1_000.0)
    }

    /// The smallest latency that so many percent do not exceed, in nanoseconds.
    fn percentile(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.count as f64).ceil() as u64;
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank.max(1)
        });
        found.map_or(0.0, middle)
    }
}

/// Below 2^7 every number has a bucket of its own; above, the leading bits decide.
fn bucket(number: u64) -> usize {
    let shift = (u64::BITS - number.leading_zeros()).saturating_sub(BITS + 1);
    ((u64::from(shift) << BITS) + (number >> shift)) as usize
}

/// The middle of what a bucket holds.
fn middle(bucket: usize) -> f64 {
    let shift = (bucket >> BITS).saturating_sub(1);
    let first = (bucket - (shift << BITS)) as f64;
    let width = (1_u64 << shift) as f64;
    first * width + (width - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_lies_close_to_the_middle_of_its_bucket() {
        for number in (0..4_000).chain((12..63).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1])) {
            let error = (middle(bucket(number)) - number as f64).abs();
            assert!(error <= number as f64 * 0.004, "{number} is told as {}", middle(bucket(number)));
            assert!(bucket(number + 1) - bucket(number) <= 1, "no bucket lies between {number} and the next number");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.microseconds(), [0.0; 3]);
        // 1 to 100,000 µs, not in order.
        (0..100_000_u64).for_each(|n| latencies.add(Duration::from_micros(n * 7_919 % 100_000 + 1)));
        for (told, exact) in latencies.microseconds().into_iter().zip([50_000.0, 99_000.0, 99_900.0]) {
            assert!((told / exact - 1.0_f64).abs() <= 0.004, "{told} for {exact}");
        }
        let mut few = Latencies::new();
        [5, 1, 3].into_iter().for_each(|n| few.add(Duration::from_nanos(n)));
        assert_eq!((few.percentile(50.0), few.percentile(99.9)), (3.0, 5.0));
    }
}
