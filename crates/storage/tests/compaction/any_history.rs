//! Whatever was appended, in whatever order, with passes and restarts in between: the model holds.

use std::collections::BTreeMap;

use ottla_env::fs;
use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{self, BatchBuilder, BatchOptions, TimestampType};
use ottla_storage::{AppendOrigin, CleanerConfig, LogConfig};
use proptest::prelude::*;

use super::model::{Model, Transaction, Written};
use super::store::{Store, eager};
use super::support::NOW;

/// Producers without a transaction, and those with.
const PRODUCERS: u8 = 4;

#[derive(Debug, Clone)]
enum Step {
    /// A batch of keys with values of that length, or tombstones.
    Put {
        producer: u8,
        records: Vec<(u8, Option<u8>)>,
        codec: u8,
        transactional: bool,
    },
    /// The end of the producer's transaction, if it has one open.
    End {
        producer: u8,
        commit: bool,
    },
    /// A pass, so much later.
    Clean {
        after_ms: i64,
    },
    Reopen {
        clean: bool,
        without_snapshots: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0u8..9, prop::option::weighted(0.75, any::<u8>()));
    prop_oneof![
        12 => (0..=PRODUCERS, prop::collection::vec(record, 1..5), 0u8..5, any::<bool>()).prop_map(
            |(producer, records, codec, transactional)| Step::Put { producer, records, codec, transactional }
        ),
        4 => (1..=PRODUCERS, any::<bool>()).prop_map(|(producer, commit)| Step::End { producer, commit }),
        3 => (0i64..900).prop_map(|after_ms| Step::Clean { after_ms }),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(clean, without_snapshots)| Step::Reopen { clean, without_snapshots }),
    ]
}

struct Run {
    store: Store,
    model: Model,
    now_ms: i64,
    /// Number of each producer's open transaction.
    open: BTreeMap<u8, usize>,
    /// Each producer's next sequence, and its last batch as it was sent.
    sequences: BTreeMap<u8, (i32, Vec<u8>)>,
    budget: u32,
    log_append_time: bool,
}

impl Run {
    fn new(config: LogConfig, cleaner: CleanerConfig, budget: u32) -> Self {
        let log_append_time = config.log_append_time;
        let model = Model { delete_retention_ms: config.delete_retention_ms, ..Model::default() };
        let store = Store::with_cleaner(config, cleaner);
        Self { store, model, now_ms: NOW, open: BTreeMap::new(), sequences: BTreeMap::new(), budget, log_append_time }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put { producer, records, codec, transactional } => {
                self.put(*producer, records, *codec, *transactional)
            }
            Step::End { producer, commit } => self.end(*producer, *commit),
            Step::Clean { after_ms } => {
                self.now_ms += after_ms;
                self.clean();
            }
            Step::Reopen { clean, without_snapshots } => self.reopen(*clean, *without_snapshots),
        }
    }

    fn put(&mut self, producer: u8, records: &[(u8, Option<u8>)], codec: u8, transactional: bool) {
        // A producer with an open transaction goes on with it.
        let transactional = producer > 0 && (transactional || self.open.contains_key(&producer));
        let mut options = BatchOptions { compression: Compression::ALL[usize::from(codec)], ..BatchOptions::default() };
        if producer > 0 {
            options.producer_id = i64::from(producer);
            options.producer_epoch = 0;
            options.base_sequence = self.sequences.get(&producer).map_or(0, |(next, _)| *next);
            options.transactional = transactional;
        }
        let mut batch = BatchBuilder::new(options);
        let mut written = Vec::new();
        for (n, (key, length)) in records.iter().enumerate() {
            // Some keys have a common head, one is empty.
            let key = b"keykeykey"[..usize::from(*key)].to_vec();
            let value = length.map(|length| vec![length; usize::from(length)]);
            let timestamp = NOW + n as i64 * 7 - i64::from(producer);
            batch.append(timestamp, Some(&key), value.as_deref(), &[("h", None)]);
            let transaction = None;
            written.push(Written { key, value, timestamp, at_ms: self.now_ms, transaction });
        }
        let bytes = batch.build();
        if producer > 0 {
            let next = options.base_sequence + records.len() as i32;
            self.sequences.insert(producer, (next, bytes.clone()));
        }
        let first = self.store.append(bytes, AppendOrigin::Client);
        let transaction = transactional.then(|| self.transaction_of(producer));
        for (offset, record) in (first..).zip(written) {
            let timestamp = if self.log_append_time { NOW } else { record.timestamp };
            self.model.records.insert(offset, Written { transaction, timestamp, ..record });
        }
    }

    fn transaction_of(&mut self, producer: u8) -> usize {
        let transactions = &mut self.model.transactions;
        *self.open.entry(producer).or_insert_with(|| {
            transactions.push(Transaction::default());
            transactions.len() - 1
        })
    }

    fn end(&mut self, producer: u8, commit: bool) {
        let Some(n) = self.open.remove(&producer) else { return };
        let marker = self.store.end_transaction(i64::from(producer), commit);
        self.model.transactions[n] = Transaction { commit: Some(commit), marker: Some(marker) };
    }

    fn clean(&mut self) {
        if let Some(cleaned) = self.store.clean(self.now_ms) {
            assert!(cleaned.to >= self.model.cleaned_to && cleaned.to <= self.store.log().last_stable_offset());
            assert_eq!(self.store.checkpoint(), Some(cleaned.to));
            (self.model.cleaned_to, self.model.cleaned_at_ms) = (cleaned.to, self.now_ms);
        }
        assert_eq!(self.store.manager().cleaner_stats().uncleanable_partitions, 0);
        self.check();
    }

    fn reopen(&mut self, clean: bool, without_snapshots: bool) {
        // What was not flushed is there all the same: only the process ends.
        self.store.reopen(clean);
        if without_snapshots {
            // Producers are then known from what compaction has left of their batches.
            self.store.close();
            for name in self.store.files(".snapshot") {
                fs::remove_file(self.store.dir().join(name)).unwrap();
            }
            self.store.open();
        }
        self.check();
        self.check_repeats();
    }

    /// Each producer's last batch is known, whatever is left of it.
    fn check_repeats(&self) {
        let log = self.store.log();
        for (producer, (_, last)) in &self.sequences {
            let mut again = last.clone();
            record_batch::set_base_offset(&mut again, 0);
            let info = log.append_as_leader(&mut again, 0, AppendOrigin::Client, NOW).unwrap();
            assert!(info.duplicate, "the last batch of producer {producer} is forgotten");
        }
    }

    fn check(&self) {
        let budget = self.budget;
        self.model.check(&self.store.log(), || budget);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_model_holds(
        steps in prop::collection::vec(step(), 1..70),
        segment_bytes in 300usize..3_000,
        budget in 1u32..4_000,
        delete_retention_ms in prop_oneof![Just(0), Just(1_000), Just(i64::MAX / 4)],
        // Room for seven keys of nine in the smallest map: passes end within batches.
        memory in prop_oneof![Just(16 * 8u64), Just(128 << 20)],
        log_append_time in any::<bool>(),
    ) {
        let config = LogConfig { delete_retention_ms, log_append_time, ..eager(segment_bytes.max(1_500)) };
        let cleaner = CleanerConfig { dedupe_buffer_bytes: memory, ..CleanerConfig::default() };
        let mut run = Run::new(config, cleaner, budget);
        for step in &steps {
            run.step(step);
        }
        run.clean();
        run.reopen(true, true);
        run.clean();
    }
}

#[test]
fn the_timestamp_type_is_kept_by_what_is_rewritten() {
    let store = Store::new(LogConfig { log_append_time: true, ..eager(400) });
    for n in 0..20 {
        store.put(&format!("key-{}", n % 3), (n % 4 != 0).then_some("value"));
    }
    store.clean(NOW).expect("due");
    assert!(store.heads().iter().all(|head| head.timestamp_type() == TimestampType::LogAppendTime));
}
