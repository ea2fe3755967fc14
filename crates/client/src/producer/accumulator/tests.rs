//! Order and sequences over retries, without a clock or a broker.

use ottla_protocol::record_batch::BatchHeader;
use tokio::sync::Semaphore;

use super::super::batch::{Acknowledged, Identity};
use super::*;

const LINGER_MS: i64 = 5;
const EVERYTHING: usize = usize::MAX;

struct Bench {
    accumulator: Accumulator,
    memory: Arc<Semaphore>,
    topic: Arc<str>,
}

impl Bench {
    fn new(idempotent: bool) -> Self {
        let limits = Limits {
            batch_size: 200,
            linger_ms: LINGER_MS,
            delivery_timeout: Duration::from_millis(1000),
            compression: Compression::None,
            idempotent,
        };
        let mut accumulator = Accumulator::new(limits);
        accumulator.set_producer(ProducerIdAndEpoch { id: 7, epoch: 0 });
        let topic = accumulator.topic_name("t");
        Self { accumulator, memory: Arc::new(Semaphore::new(1 << 20)), topic }
    }

    /// Adds a record of 100 bytes to partition 0; two of them are more than a batch takes.
    fn append(&mut self, now_ms: i64) -> (i32, OutcomeReceiver, bool) {
        let permit = Arc::clone(&self.memory).try_acquire_many_owned(100).expect("memory is left");
        let topic = Arc::clone(&self.topic);
        self.accumulator.append(&topic, 0, &ProducerRecord::new("t", &[b'x'; 100]), 0, permit, now_ms)
    }

    /// Makes a batch of one record and takes it.
    fn batch(&mut self) -> Drained {
        self.append(0);
        self.drain(LINGER_MS).expect("it lingered long enough")
    }

    fn drain(&mut self, now_ms: i64) -> Option<Drained> {
        self.accumulator.drain(now_ms, EVERYTHING, |_, _| true).pop()
    }

    /// A bench whose partition has had its first batch written.
    fn established() -> Self {
        let mut bench = Self::new(true);
        let first = bench.batch();
        bench.written(&first);
        bench
    }

    fn retry(&mut self, drained: Drained) {
        self.accumulator.retry(drained, Returned::InDoubt, 0);
    }

    fn out_of_line(&mut self, drained: Drained) {
        self.accumulator.retry(drained, Returned::OutOfLine, 0);
    }

    fn lose(&mut self, drained: &Drained) {
        self.accumulator.lost("t", 0, &drained.batch);
    }

    /// Gives the ids of those that are written by that, too.
    fn written(&mut self, drained: &Drained) -> Vec<u64> {
        self.accumulator.written("t", 0, &drained.batch).iter().map(|b| b.id).collect()
    }

    /// The identity of what leaves next.
    fn next(&mut self) -> Option<(Drained, (i16, i32))> {
        let drained = self.drain(LINGER_MS)?;
        let identity = identity(&drained);
        Some((drained, identity))
    }
}

/// Epoch and first sequence in the bytes that would be sent.
fn identity(drained: &Drained) -> (i16, i32) {
    let header = BatchHeader::read(&drained.batch.bytes).expect("a batch");
    assert!(ottla_protocol::record_batch::check_crc(&drained.batch.bytes));
    (header.producer_epoch, header.base_sequence)
}

#[test]
fn a_batch_waits_for_linger_unless_it_is_full_or_somebody_flushes() {
    let mut bench = Bench::established();
    assert!(bench.append(0).2, "the first record of a batch wakes the sender");
    let leader = |_: &str, _| Some(1);
    assert_eq!(bench.accumulator.ready(0, leader).next_ms, Some(LINGER_MS));
    assert!(bench.drain(LINGER_MS - 1).is_none());
    assert!(bench.append(0).2, "the second one does not fit: the first batch is full");
    assert_eq!(bench.accumulator.ready(0, leader).brokers, BTreeSet::from([1]));
    assert_eq!(bench.drain(0).expect("full").batch.records, 1);
    assert!(bench.drain(0).is_none(), "the second batch lingers");
    bench.accumulator.flushing = 1;
    assert!(bench.drain(0).is_some());
}

#[test]
fn without_a_leader_nothing_is_lost_and_metadata_is_wanted() {
    let mut bench = Bench::new(true);
    bench.append(0);
    let ready = bench.accumulator.ready(LINGER_MS, |_, _| None);
    assert!(ready.leaderless && ready.brokers.is_empty());
    assert_eq!(bench.accumulator.incomplete().len(), 1);
}

#[test]
fn a_request_takes_one_batch_of_each_partition_and_no_more_bytes_than_allowed() {
    let mut bench = Bench::new(false);
    let topic = Arc::clone(&bench.topic);
    for partition in [0, 0, 1, 2] {
        let permit = Arc::clone(&bench.memory).try_acquire_many_owned(1).expect("memory is left");
        let record = ProducerRecord::new("t", &[b'x'; 150]);
        bench.accumulator.append(&topic, partition, &record, 0, permit, 0);
    }
    let partitions = |drained: Vec<Drained>| drained.iter().map(|d| d.partition).collect::<Vec<_>>();
    let wanted = |_: &str, p| p != 1;
    assert_eq!(partitions(bench.accumulator.drain(LINGER_MS, EVERYTHING, wanted)), [0, 2]);
    assert_eq!(partitions(bench.accumulator.drain(LINGER_MS, 1, |_, _| true)), [0], "at least one");
    assert_eq!(partitions(bench.accumulator.drain(LINGER_MS, EVERYTHING, |_, _| true)), [1]);
}

#[test]
fn the_first_batch_of_a_line_goes_alone() {
    let mut bench = Bench::new(true);
    let first = bench.batch();
    bench.append(0);
    assert!(
        bench.drain(LINGER_MS).is_none(),
        "a broker that knows nothing of the producer would take it without the first"
    );
    bench.written(&first);
    let (second, third) = (bench.drain(LINGER_MS).expect("now"), bench.batch());
    assert_eq!([identity(&second), identity(&third)], [(0, 1), (0, 2)], "and then many are under way");
    let mut bench = Bench::new(false);
    bench.batch();
    bench.batch();
}

#[test]
fn batches_that_come_back_leave_again_in_their_order_with_their_sequences() {
    let mut bench = Bench::established();
    let (first, second, third) = (bench.batch(), bench.batch(), bench.batch());
    assert_eq!([identity(&first), identity(&second), identity(&third)], [(0, 1), (0, 2), (0, 3)]);
    bench.retry(third);
    assert!(bench.drain(LINGER_MS).is_none(), "the others are still away");
    bench.retry(first);
    assert!(bench.drain(LINGER_MS).is_none(), "the second is still away");
    bench.retry(second);
    bench.append(0);
    let (first, sequence) = bench.next().expect("all are back");
    assert_eq!(sequence, (0, 1));
    assert!(bench.drain(LINGER_MS).is_none(), "the others follow once it is written");
    assert!(bench.written(&first).is_empty());
    let again: Vec<_> = (0..3).map(|_| bench.next().expect("all of them").1).collect();
    assert_eq!(again, [(0, 2), (0, 3), (0, 4)]);
}

/// Five batches are appended and not acknowledged; the broker dies, starts, takes its snapshot, dies again: of the producer
/// it knows the last batch only.
#[test]
fn what_the_broker_has_forgotten_is_told_by_what_it_remembers() {
    let mut bench = Bench::established();
    let sent = [bench.batch(), bench.batch(), bench.batch()];
    let ids: Vec<u64> = sent.iter().map(|d| d.batch.id).collect();
    sent.into_iter().for_each(|d| bench.retry(d));
    bench.append(0);
    for expected in [1, 2] {
        let (drained, sequence) = bench.next().expect("in their order");
        assert_eq!(sequence, (0, expected));
        bench.out_of_line(drained);
    }
    let (last, sequence) = bench.next().expect("the last that was sent");
    assert_eq!(sequence, (0, 3), "under its own identity, not sent anew under another");
    assert_eq!(bench.written(&last), ids[..2], "a duplicate, before which nothing is missing");
    assert_eq!(bench.next().expect("the line goes on").1, (0, 4));
}

#[test]
fn when_all_that_was_sent_is_refused_none_is_written_and_an_epoch_begins() {
    let mut bench = Bench::established();
    let sent = [bench.batch(), bench.batch()];
    sent.into_iter().for_each(|d| bench.retry(d));
    bench.append(0);
    for _ in 0..2 {
        let (drained, _) = bench.next().expect("in their order");
        bench.out_of_line(drained);
    }
    let (first, sequence) = bench.next().expect("again");
    assert_eq!(sequence, (1, 0));
    bench.written(&first);
    assert_eq!([bench.next().expect("again").1, bench.next().expect("the new one").1], [(1, 1), (1, 2)]);
}

/// NOT_LEADER_OR_FOLLOWER for the first, OUT_OF_ORDER_SEQUENCE_NUMBER for what came behind it.
#[test]
fn who_was_refused_for_another_follows_it() {
    let mut bench = Bench::established();
    let (first, second) = (bench.batch(), bench.batch());
    bench.retry(first);
    bench.out_of_line(second);
    let (first, sequence) = bench.next().expect("both are back");
    assert_eq!(sequence, (0, 1));
    assert!(bench.drain(LINGER_MS).is_none());
    assert!(bench.written(&first).is_empty(), "of the second nothing is known");
    assert_eq!(bench.next().expect("now").1, (0, 2));
}

#[test]
fn after_a_lost_batch_the_partition_begins_a_new_epoch_once_nothing_is_away() {
    let mut bench = Bench::established();
    let (first, second) = (bench.batch(), bench.batch());
    bench.lose(&first);
    bench.append(0);
    assert!(bench.drain(LINGER_MS).is_none(), "the second may still be written in the old epoch");
    bench.out_of_line(second);
    let (second, sequence) = bench.next().expect("back");
    assert_eq!(sequence, (1, 0));
    bench.written(&second);
    assert_eq!(bench.next().expect("the third").1, (1, 1));
}

#[test]
fn what_may_be_written_is_not_sent_under_another_epoch() {
    let mut bench = Bench::established();
    let (first, second) = (bench.batch(), bench.batch());
    bench.retry(first);
    bench.retry(second);
    assert_eq!(bench.accumulator.expire(1000).len(), 2);
    assert_eq!(identity(&bench.batch()), (1, 0), "both were given up: nobody can tell any more");
    let mut bench = Bench::established();
    let first = bench.batch();
    bench.append(10);
    let second = bench.drain(10 + LINGER_MS).expect("due");
    bench.retry(first);
    bench.retry(second);
    assert_eq!(bench.accumulator.expire(1005).len(), 1);
    bench.append(1000);
    let (second, sequence) = bench.next().expect("it is asked for");
    assert_eq!(sequence, (0, 2));
    bench.written(&second);
    assert_eq!(identity(&bench.drain(1000 + LINGER_MS).expect("due")), (0, 3), "so the first had been written as well");
}

#[test]
fn when_epochs_are_used_up_a_new_producer_id_is_asked_for() {
    let mut bench = Bench::new(true);
    bench.accumulator.set_producer(ProducerIdAndEpoch { id: 7, epoch: i16::MAX });
    let lost = bench.batch();
    assert_eq!(identity(&lost), (i16::MAX, 0));
    bench.lose(&lost);
    bench.append(0);
    assert!(bench.drain(LINGER_MS).is_none());
    assert!(bench.accumulator.needs_producer_id());
    bench.accumulator.set_producer(ProducerIdAndEpoch { id: 8, epoch: 0 });
    let next = bench.drain(LINGER_MS).expect("a new id");
    assert_eq!((next.batch.identity.map(|i| i.producer_id), identity(&next)), (Some(8), (0, 0)));
}

#[test]
fn sequences_wrap_to_zero() {
    let mut bench = Bench::established();
    if let Some(queue) = bench.accumulator.queue("t", 0) {
        queue.identity = Some(Identity { producer_id: 7, epoch: 0, base_sequence: i32::MAX });
    }
    assert_eq!(identity(&bench.batch()), (0, i32::MAX));
    assert_eq!(identity(&bench.batch()), (0, 0));
}

#[test]
fn what_waits_too_long_fails_and_breaks_the_sequence_only_if_it_was_sent() {
    let mut bench = Bench::new(true);
    bench.append(0);
    let expired = bench.accumulator.expire(1000);
    assert!(matches!(expired[0].1, Error::Timeout { .. }));
    assert_eq!(identity(&bench.batch()), (0, 0), "never sent, so no gap");
    let mut bench = Bench::new(true);
    let sent = bench.batch();
    bench.retry(sent);
    assert_eq!(bench.accumulator.expire(1000).len(), 1);
    assert_eq!(identity(&bench.batch()), (1, 0), "perhaps written: the epoch must change");
}

#[test]
fn memory_comes_back_with_the_outcome() {
    let mut bench = Bench::new(true);
    let before = bench.memory.available_permits();
    let (index, outcome, _) = bench.append(0);
    assert_eq!((index, bench.memory.available_permits()), (0, before - 100));
    let drained = bench.drain(LINGER_MS).expect("due");
    bench.written(&drained);
    drained.batch.complete(Ok(Acknowledged { base_offset: 3, log_append_time_ms: -1 }));
    assert_eq!(bench.memory.available_permits(), before);
    assert!(outcome.borrow().as_ref().is_some_and(Result::is_ok));
    assert!(bench.accumulator.incomplete().is_empty());
}
