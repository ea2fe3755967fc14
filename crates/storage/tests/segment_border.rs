//! Concatenated fetches equal the appended log, whatever the sizes of segments, batches and budgets, and however often the
//! log is opened again in between. (A broker was seen to fill the rest of a fetch from the next segment before the current
//! one was read to its end; its consumers silently skipped what lay between.)

mod support;

use ottla_protocol::record_batch::{batches, set_base_offset, set_leader_epoch};
use ottla_storage::{LogDir, OpenOptions};
use proptest::prelude::*;
use support::*;

#[derive(Debug, Clone)]
enum Step {
    Append {
        records: usize,
        bytes: usize,
    },
    /// Opened again after a clean stop, or after none.
    Reopen {
        clean: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..6, 1usize..200).prop_map(|(records, bytes)| Step::Append { records, bytes }),
        1 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn concatenated_fetches_are_the_log(
        steps in prop::collection::vec(step(), 1..80),
        segment_bytes in 1500usize..6000,
        budgets in prop::collection::vec(1u32..3000, 1..8),
        start in 0.0f64..1.0,
    ) {
        let temp = tempfile::tempdir().expect("a directory");
        format(temp.path());
        let dir = LogDir::open(temp.path()).expect("locked");
        let config = small(segment_bytes);
        let mut log = open(&dir, &config, OpenOptions::default());
        let mut expected: Vec<(i64, Vec<u8>)> = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Append { records, bytes } => {
                    let mut sent = batch(*records, &"x".repeat(*bytes));
                    let info = append(&log, sent.clone());
                    set_base_offset(&mut sent, info.first_offset);
                    set_leader_epoch(&mut sent, 0);
                    expected.push((info.first_offset, sent));
                }
                Step::Reopen { clean } => {
                    let recovery_point = if n % 2 == 0 { log.flushed_offset() } else { 0 };
                    if *clean {
                        log.close().expect("closed");
                    }
                    drop(log);
                    log = open(&dir, &config, OpenOptions { clean_shutdown: *clean, recovery_point, ..OpenOptions::default() });
                }
            }
        }
        let from = (start * log.log_end_offset() as f64) as i64;
        let first = expected.partition_point(|(offset, _)| *offset <= from).saturating_sub(1);
        let wanted: Vec<u8> = expected.iter().skip(first).flat_map(|(_, bytes)| bytes.clone()).collect();
        let mut budget = budgets.iter().cycle();
        let read = read_all(&log, from, || *budget.next().expect("endless"));
        for (n, bound) in (0..=log.log_end_offset()).step_by(3).enumerate() {
            let offset = bound * (n as i64 % 5) / 5;
            let slice = log.read(offset, *budget.next().expect("endless"), bound, true).expect("read").slice;
            let bytes = slice.map_or_else(Vec::new, |slice| slice.read().expect("whole"));
            let last = batches(&bytes).last().map(|b| b.expect("a batch").0.next_offset());
            prop_assert!(last.is_none_or(|next| next <= bound), "read up to {last:?} of {bound}");
            // The batch that holds the offset ends below the bound: it must be given.
            let holder = expected.partition_point(|(first, _)| *first <= offset);
            let ends = expected.get(holder).map_or(log.log_end_offset(), |(first, _)| *first);
            prop_assert_eq!(last.is_some(), offset < bound && ends <= bound, "offset {} bound {}", offset, bound);
        }
        prop_assert_eq!(read, if log.log_end_offset() == 0 { Vec::new() } else { wanted });
    }
}
