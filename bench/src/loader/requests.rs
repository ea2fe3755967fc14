//! The requests of a load, each a function of its number: to which partition, of which producer, with which sequence numbers.

use crate::batch::{BatchWriter, Producer};
use crate::wire;

/// Records of a batch: with 1 KB each it has a producer's default `batch.size`.
pub const RECORDS: u32 = 16;
/// Bytes of a value.
pub const VALUE_BYTES: usize = 1_024;
/// Where a frame has its correlation id.
const CORRELATION: std::ops::Range<usize> = 8..12;

/// Writes them one after the other into the same bytes.
pub struct Requests {
    frame: Vec<u8>,
    batch_at: usize,
    records: u32,
    partitions: u32,
    producers: Vec<Producer>,
    writer: BatchWriter,
}

impl Requests {
    /// Each with one batch of so many records of so many bytes, to one of the partitions. The producers take turns; without any the
    /// batches have none.
    pub fn new(topic: &str, (records, size): (u32, usize), partitions: u32, producers: Vec<Producer>) -> Self {
        let batch = wire::batch(records, size);
        let frame = wire::frame(wire::PRODUCE, 0, &wire::produce_body(topic, 0..1, &batch));
        let batch_at = frame.len() - batch.len();
        Self { frame, batch_at, records, partitions, producers, writer: BatchWriter::new() }
    }

    /// The n-th one.
    pub fn write(&mut self, n: u64) -> &[u8] {
        self.frame[CORRELATION].copy_from_slice(&correlation(n).to_be_bytes());
        let partition = (scattered(n) % u64::from(self.partitions)) as u32;
        self.frame[self.batch_at - 8..self.batch_at - 4].copy_from_slice(&partition.to_be_bytes());
        let producers = self.producers.len() as u64;
        if let Some(producer) = n.checked_rem(producers).and_then(|index| self.producers.get(index as usize)) {
            let sequence = (n / producers * u64::from(self.records)) & i32::MAX as u64;
            self.writer.stamp(&mut self.frame[self.batch_at..], *producer, sequence as i32);
        }
        &self.frame
    }
}

/// The number by which the answer to the n-th request is known.
pub fn correlation(n: u64) -> i32 {
    (n & i32::MAX as u64) as i32
}

/// Another number for each, without an order, as the hash of a key is (the finalizer of splitmix64).
fn scattered(n: u64) -> u64 {
    let mut hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_take_turns_and_number_their_records_without_a_gap() {
        let producers = [7, 8].map(|id| Producer { id, epoch: 0 });
        let mut requests = Requests::new("t", (RECORDS, 10), 1, producers.to_vec());
        let at = requests.batch_at;
        let seen: Vec<_> = (0..4).map(|n| requests.write(n)[at + 43..at + 57].to_vec()).collect();
        let fields = |id: u8, sequence: u8| [0, 0, 0, 0, 0, 0, 0, id, 0, 0, 0, 0, 0, sequence].to_vec();
        assert_eq!(seen, [fields(7, 0), fields(8, 0), fields(7, 16), fields(8, 16)]);
    }

    #[test]
    fn partitions_are_hit_evenly_and_without_an_order() {
        let mut requests = Requests::new("t", (1, 1), 16, Vec::new());
        let at = requests.batch_at;
        let mut hits = [0; 16];
        let mut runs = 0;
        let mut last = 0;
        for n in 0..16_000 {
            let partition = requests.write(n)[at - 5];
            hits[usize::from(partition)] += 1;
            runs += u32::from(partition == last + 1);
            last = partition;
        }
        assert!(hits.iter().all(|hits| (800..1_200).contains(hits)), "{hits:?}");
        assert!(runs < 1_500, "{runs} of 16000 go to the next partition");
    }
}
