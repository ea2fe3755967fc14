use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

use super::*;

const NOW: i64 = 10_000;
const HORIZON: i64 = NOW + 500;

fn header(options: BatchOptions) -> BatchHeader {
    let mut builder = BatchBuilder::new(BatchOptions { base_offset: 100, ..options });
    (0..4).for_each(|n| builder.append(n, Some(b"k"), Some(b"v"), &[]));
    BatchHeader::read(&builder.build()).unwrap()
}

fn plain() -> BatchHeader {
    header(BatchOptions::default())
}

fn with_horizon(ms: i64, control: bool) -> BatchHeader {
    header(BatchOptions { delete_horizon_ms: Some(ms), control, ..BatchOptions::default() })
}

fn rule_of(header: &BatchHeader, is_done: bool) -> BatchRule {
    rule(header, is_done, BatchNeeds::default(), true, NOW)
}

const RECORD: RecordFacts = RecordFacts { offset: 100, has_key: true, has_value: true, last_of_key: None };

#[test]
fn the_last_record_of_a_key_stays() {
    let rule = rule_of(&plain(), false);
    let with_last = |last_of_key| stays(&RecordFacts { last_of_key, ..RECORD }, &rule, 200);
    assert!(with_last(None), "its key is not in the dirty part");
    assert!(with_last(Some(100)));
    assert!(with_last(Some(99)), "it lies behind the dirty part's last: read again by a repeated pass");
    assert!(!with_last(Some(101)));
}

#[test]
fn what_the_map_does_not_cover_stays() {
    let rule = rule_of(&plain(), false);
    let superseded = RecordFacts { last_of_key: Some(150), has_key: false, ..RECORD };
    assert!(stays(&superseded, &rule, 99) && !stays(&superseded, &rule, 100));
}

#[test]
fn a_record_without_a_key_goes() {
    assert!(!stays(&RecordFacts { has_key: false, ..RECORD }, &rule_of(&plain(), false), 200));
}

#[test]
fn a_tombstone_stays_until_its_horizon() {
    let tombstone = RecordFacts { has_value: false, ..RECORD };
    assert!(stays(&tombstone, &rule_of(&plain(), false), 200), "no horizon yet");
    assert!(stays(&tombstone, &rule_of(&with_horizon(NOW + 1, false), false), 200));
    assert!(!stays(&tombstone, &rule_of(&with_horizon(NOW, false), false), 200), "its time has come");
    assert!(stays(&RECORD, &rule_of(&with_horizon(NOW, false), false), 200), "values are not concerned");
    let superseded = RecordFacts { last_of_key: Some(150), ..tombstone };
    assert!(!stays(&superseded, &rule_of(&plain(), false), 200));
}

#[test]
fn tombstones_of_old_magics_go_by_the_age_of_their_segment() {
    let legacy = BatchHeader { magic: 1, ..plain() };
    let tombstone = RecordFacts { has_value: false, ..RECORD };
    for keep in [true, false] {
        let rule = rule(&legacy, false, BatchNeeds::default(), keep, NOW);
        assert_eq!(stays(&tombstone, &rule, 200), keep);
    }
    let left = Left { count: 4, has_tombstone: true };
    assert_eq!(fate(&legacy, left, &rule_of(&legacy, false), HORIZON), Fate::Copy, "there is no place for a horizon");
}

#[test]
fn aborted_records_go_at_once_and_markers_after_their_horizon() {
    assert!(!stays(&RECORD, &rule_of(&plain(), true), 99));
    let marker = header(BatchOptions { control: true, ..BatchOptions::default() });
    assert!(stays(&RECORD, &rule_of(&marker, false), 200), "needed");
    assert!(stays(&RECORD, &rule_of(&marker, true), 200), "done, but its horizon is to be set");
    assert!(stays(&RECORD, &rule_of(&with_horizon(NOW + 1, true), true), 200));
    assert!(!stays(&RECORD, &rule_of(&with_horizon(NOW, true), true), 200));
    assert!(stays(&RECORD, &rule_of(&with_horizon(NOW, true), false), 200), "data has been seen after all");
    let left = Left { count: 4, has_tombstone: false };
    let horizon = Fate::Rewrite { delete_horizon_ms: Some(HORIZON) };
    assert_eq!(fate(&marker, left, &rule_of(&marker, true), HORIZON), horizon);
    assert_eq!(fate(&marker, left, &rule_of(&marker, false), HORIZON), Fate::Copy);
}

#[test]
fn a_batch_that_keeps_all_is_copied() {
    let left = |count, has_tombstone| Left { count, has_tombstone };
    let of = |header: &BatchHeader, left| fate(header, left, &rule_of(header, false), HORIZON);
    assert_eq!(of(&plain(), left(4, false)), Fate::Copy);
    assert_eq!(of(&plain(), left(3, false)), Fate::Rewrite { delete_horizon_ms: None });
    assert_eq!(of(&plain(), left(4, true)), Fate::Rewrite { delete_horizon_ms: Some(HORIZON) });
    assert_eq!(of(&with_horizon(NOW + 9, false), left(4, true)), Fate::Copy, "the first horizon holds");
    assert_eq!(of(&with_horizon(NOW + 9, false), left(1, true)), Fate::Rewrite { delete_horizon_ms: None });
}

#[test]
fn an_empty_batch_stays_where_its_place_is_needed() {
    let none = Left { count: 0, has_tombstone: false };
    let of = |needs| fate(&plain(), none, &rule(&plain(), false, needs, true, NOW), HORIZON);
    assert_eq!(of(BatchNeeds::default()), Fate::Drop);
    for needs in [
        BatchNeeds { last_of_producer: true, ..BatchNeeds::default() },
        BatchNeeds { ends_at_high_watermark: true, ..BatchNeeds::default() },
        BatchNeeds { last_of_group: true, ..BatchNeeds::default() },
    ] {
        assert_eq!(of(needs), Fate::Empty);
    }
}
