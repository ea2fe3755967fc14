//! What a reader of a partition must see, at any time.

use ottla_env::random;
use ottla_protocol::record_batch;
use ottla_storage::{Log, ReadError, ReadInfo};

use crate::model::{Batch, Part};
use crate::transactions;

/// One fetch: where from, how much, up to where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch {
    pub(crate) offset: i64,
    pub(crate) budget: u32,
    pub(crate) bound: i64,
    pub(crate) at_least_one: bool,
    /// For a reader of committed records: the bound is the last stable offset.
    pub(crate) committed: bool,
}

impl Part {
    /// Offsets and bounds are what they were made to be.
    pub(crate) fn check_offsets(&self, log: &Log) {
        let found = (log.log_start_offset(), log.high_watermark(), log.log_end_offset());
        assert_eq!(found, (self.start, self.high_watermark, self.end), "log start, high watermark, log end");
        let transactions = self.transactions();
        let stable = log.last_stable_offset();
        let least = transactions.last_stable(self.high_watermark).max(self.start);
        let most = transactions.last_stable_from(self.known_from(), self.high_watermark);
        // What a process has seen itself it knows exactly; of earlier transactions it may have forgotten those below the
        // log start, and whose markers are not replicated.
        let seen = self.batches.first().is_none_or(|first| self.remembered_from <= first.header.base_offset);
        let expected = if seen { least..=least } else { least..=most };
        assert!(expected.contains(&stable), "last stable offset {stable}, not in {expected:?}: {transactions:?}");
    }

    /// A fetch brings the batches from its offset on, whole, in order, within its bounds; and something if there is
    /// anything. Where the next one begins.
    pub(crate) fn check_fetch(&self, log: &Log, fetch: Fetch) -> Option<i64> {
        let result = if fetch.committed {
            let read = log.read_committed(fetch.offset, fetch.budget, fetch.at_least_one);
            read.and_then(|mut info| log.verify(&mut info).map(|()| info))
        } else {
            log.read_verified(fetch.offset, fetch.budget, fetch.bound, fetch.at_least_one)
        };
        if !(self.start..=self.end).contains(&fetch.offset) {
            assert!(matches!(result, Err(ReadError::OffsetOutOfRange { .. })), "{fetch:?}: {result:?}");
            return None;
        }
        if let Err(ReadError::Damaged { first_offset, end_offset }) = result {
            assert!((first_offset..end_offset).contains(&fetch.offset), "{fetch:?}: {first_offset}..{end_offset}");
            self.check_damage((first_offset, end_offset));
            return Some(end_offset);
        }
        let info = result.unwrap_or_else(|error| panic!("{fetch:?}: {error}"));
        let bound = fetch.bound.min(self.end);
        let found = self.check_slice(&info, fetch);
        let wanted = self.without_passed_over(self.from(fetch.offset), &found);
        let Some(first) = wanted.first().filter(|batch| fetch.offset < bound && batch.header.next_offset() <= bound)
        else {
            assert!(found.is_empty(), "{fetch:?} finds {} batches, there is nothing", found.len());
            return None;
        };
        let fits = first.header.size_bytes() <= fetch.budget as usize;
        assert_eq!(!found.is_empty(), fits || fetch.at_least_one, "{fetch:?}: the first is {:?}", first.header);
        assert!(wanted.len() >= found.len(), "{fetch:?} finds more than there is");
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!(found.bytes == wanted.bytes, "{fetch:?} finds {:?}, not {:?}", found.header, wanted.header);
            assert!(found.header.next_offset() <= bound, "{fetch:?} finds {:?}", found.header);
        }
        if fetch.committed && fetch.bound <= self.transactions().last_stable(self.high_watermark) {
            self.check_committed(&wanted, &found, &info);
        }
        found.last().map(|last| last.header.next_offset())
    }

    /// As a consumer of committed records that begins at the start.
    pub(crate) fn check_all_committed(&self, log: &Log) {
        let mut next = Some(self.start);
        while let Some(offset) = next {
            let bound = log.last_stable_offset();
            let budget = 200 + u32::try_from(random::below(2_000)).expect("small");
            next = self.check_fetch(log, Fetch { offset, budget, bound, at_least_one: true, committed: true });
        }
    }

    fn check_slice(&self, info: &ReadInfo, fetch: Fetch) -> Vec<Batch> {
        assert_eq!((info.log_start_offset, info.log_end_offset), (self.start, self.end));
        let Some(slice) = &info.slice else { return Vec::new() };
        let bytes = slice.read().expect("whole");
        let mut walk = record_batch::batches(&bytes);
        let found: Vec<Batch> = walk.by_ref().map(|item| Batch::new(item.expect("a batch").1.to_vec(), 0)).collect();
        assert_eq!(walk.partial_tail(), 0, "only whole batches");
        assert!(bytes.len() <= fetch.budget as usize || found.len() == 1, "{fetch:?} brings {} bytes", bytes.len());
        found
    }

    /// Of what a fetch of committed records brings, a consumer hands on the committed ones.
    fn check_committed(&self, wanted: &[&Batch], found: &[Batch], info: &ReadInfo) {
        let transactions = self.transactions();
        let seen = transactions::consume(found, &info.aborted_transactions);
        let has_records = |batch: &&&Batch| !batch.header.is_control() && batch.header.record_count > 0;
        for batch in wanted.iter().take(found.len()).filter(has_records) {
            let (is_seen, counts) = (seen.contains(&batch.header.base_offset), transactions.is_committed(batch));
            assert_eq!(
                is_seen, counts,
                "{:?}, aborted {:?}, {transactions:?}",
                batch.header, info.aborted_transactions
            );
        }
    }

    /// The first record at or after a time.
    pub(crate) fn check_time(&self, log: &Log, timestamp: i64) {
        let wanted_of = |counts: &dyn Fn(&Batch) -> bool| {
            let records = self.visible().filter(|batch| counts(batch)).flat_map(Batch::records);
            let mut records = records.filter(|record| record.offset >= self.start);
            let wanted = records.find(|record| record.timestamp >= timestamp);
            wanted.map(|record| (record.offset, record.timestamp))
        };
        let found = log.offset_for_timestamp(timestamp).expect("looked up");
        let found = found.map(|found| (found.offset, found.timestamp));
        // What has rotted may be there, where a copy from before took the log's place.
        let wanted = [wanted_of(&|batch| !self.has_rotted(batch)), wanted_of(&|_| true)];
        assert!(
            wanted.contains(&found),
            "{found:?} is not the first record from {timestamp} on, {wanted:?}; the log starts at {}",
            self.start
        );
    }

    /// The time of each batch leads to its record, or an earlier one.
    pub(crate) fn check_times(&self, log: &Log) {
        for batch in self.visible() {
            self.check_time(log, batch.header.max_timestamp);
        }
    }

    /// Every batch's epoch is known, and where an epoch ends.
    pub(crate) fn check_epochs(&self, log: &Log) {
        let mut before: Option<&Batch> = None;
        let sound = |batch: &&Batch| !self.has_rotted(batch);
        for batch in self.from(self.known_from()).into_iter().filter(sound) {
            let from = self.known_from();
            let (epoch, offset) = (batch.header.partition_leader_epoch, batch.header.base_offset.max(from));
            assert_eq!(log.epoch_at(offset), Some(epoch), "the epoch at {offset}, of {:?}", log.epochs());
            if let Some(before) = before.filter(|before| before.header.partition_leader_epoch < epoch) {
                let end = log.end_offset_for_epoch(before.header.partition_leader_epoch);
                assert_eq!(end.epoch, before.header.partition_leader_epoch, "of {:?}", log.epochs());
                let possible = before.header.next_offset()..=batch.header.base_offset;
                assert!(possible.contains(&end.end_offset), "{end:?} of {:?}, not in {possible:?}", log.epochs());
            }
            before = Some(batch);
        }
        if let Some(last) = log.epochs().last() {
            assert!(last.start_offset <= self.end, "{last:?} begins behind the log end, {}", self.end);
            assert!(last.epoch <= self.epoch, "{last:?}, but there was none above {}", self.epoch);
        }
    }

    /// Compares everything that can be read; nothing was lost and nothing came back.
    pub(crate) fn check_whole(&self, log: &Log) {
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (self.start, self.end), "log start and end");
        self.check_damaged(log);
        let mut found = self.read(log, self.start).into_iter().peekable();
        for wanted in self.visible() {
            let is_found = found.next_if(|found| *found == wanted.bytes).is_some();
            assert!(is_found || self.has_rotted(wanted), "{:?} changed or is missing", wanted.header);
        }
        assert!(found.next().is_none(), "there is more than there was");
        self.check_epochs(log);
    }

    /// Somewhere in the log or close to it, a bit more or less than a batch, up to where some reader may see.
    pub(crate) fn random_fetch(&self, log: &Log) -> Fetch {
        let near = |n: u64| i64::try_from(random::below(n)).expect("small");
        let span = u64::try_from(self.end - self.start).expect("not negative") + 3;
        let (bound, committed) = match random::below(6) {
            0 | 1 => (i64::MAX, false),
            2 => (self.high_watermark, false),
            3 => (self.start + near(span), false),
            _ => (log.last_stable_offset(), true),
        };
        Fetch {
            offset: self.start - 1 + near(span),
            budget: 1 + u32::try_from(random::below(if random::below(2) == 0 { 300 } else { 3_000 })).expect("small"),
            bound,
            committed,
            at_least_one: random::below(3) > 0,
        }
    }
}
