use super::*;

const NOW: i64 = 1_000_000;
const WISHES: Wishes = Wishes { now_ms: NOW, min_lag_ms: 0, max_lag_ms: i64::MAX, min_dirty_ratio: 0.5 };

fn segment(base_offset: i64, size: u64) -> SegmentFacts {
    SegmentFacts {
        base_offset,
        size,
        first_timestamp: Some(base_offset * 10 + 1),
        largest_timestamp: Some(base_offset * 10),
    }
}

/// Segments at 0, 100, 200, 300 of 10 bytes each; the last is active and ends at 350.
fn log() -> LogFacts {
    LogFacts {
        segments: [0, 100, 200, 300].map(|base| segment(base, 10)).into(),
        log_start_offset: 0,
        last_stable_offset: 350,
        log_end_offset: 350,
        noted: None,
    }
}

fn range(log: &LogFacts, wishes: &Wishes) -> (i64, i64) {
    let dirt = dirt(log, wishes);
    (dirt.first_dirty, dirt.first_uncleanable)
}

#[test]
fn everything_below_the_active_segment_is_dirty_at_first() {
    let dirt = dirt(&log(), &WISHES);
    assert_eq!((dirt.first_dirty, dirt.first_uncleanable), (0, 300));
    assert_eq!((dirt.clean_bytes, dirt.cleanable_bytes), (0, 30));
    assert!(dirt.is_due(&WISHES) && !dirt.checkpoint_is_wrong);
}

#[test]
fn the_checkpoint_tells_what_is_clean() {
    let noted = |offset| LogFacts { noted: Some(offset), ..log() };
    let dirt_from = |offset| dirt(&noted(offset), &WISHES);
    assert_eq!((dirt_from(100).clean_bytes, dirt_from(100).cleanable_bytes), (10, 20));
    // A pass that ended within a segment: it counts on both sides.
    assert_eq!((dirt_from(150).first_dirty, dirt_from(150).clean_bytes, dirt_from(150).cleanable_bytes), (150, 20, 20));
    assert!(!dirt_from(150).is_due(&WISHES), "a ratio of one half is not above it");
    assert_eq!((dirt_from(300).clean_bytes, dirt_from(300).cleanable_bytes), (30, 0));
    assert!(!dirt_from(300).is_due(&Wishes { min_dirty_ratio: 0.0, ..WISHES }));
}

#[test]
fn a_checkpoint_that_contradicts_the_log_counts_as_none() {
    for (start, noted) in [(50, 49), (0, 351)] {
        let facts = LogFacts { log_start_offset: start, noted: Some(noted), ..log() };
        let dirt = dirt(&facts, &WISHES);
        assert!(dirt.checkpoint_is_wrong && dirt.first_dirty == start, "{noted}");
    }
    let moved = LogFacts { log_start_offset: 50, noted: None, ..log() };
    assert_eq!(range(&moved, &WISHES), (50, 300));
}

#[test]
fn nothing_at_or_behind_the_last_stable_offset() {
    let stable = |offset| LogFacts { last_stable_offset: offset, ..log() };
    assert_eq!(range(&stable(300), &WISHES), (0, 300));
    assert_eq!(range(&stable(299), &WISHES), (0, 200), "the segment that holds it stays whole");
    assert_eq!(range(&stable(200), &WISHES), (0, 200));
    assert_eq!(range(&stable(99), &WISHES), (0, 0));
    assert!(!dirt(&stable(99), &WISHES).is_due(&WISHES));
    // The transaction began below what was compacted before: nothing to do, and nothing is undone.
    let facts = LogFacts { noted: Some(200), ..stable(120) };
    let dirt = dirt(&facts, &WISHES);
    assert_eq!((dirt.first_dirty, dirt.first_uncleanable, dirt.cleanable_bytes), (200, 200, 0));
}

#[test]
fn records_younger_than_the_minimum_lag_are_left_alone() {
    let lag = |min_lag_ms| Wishes { min_lag_ms, ..WISHES };
    // Segments end at 0, 1000, 2000 ms.
    assert_eq!(range(&log(), &lag(NOW - 2_000)), (0, 300), "exactly old enough");
    assert_eq!(range(&log(), &lag(NOW - 1_999)), (0, 200));
    assert_eq!(range(&log(), &lag(NOW - 999)), (0, 100));
    assert_eq!(range(&log(), &lag(i64::MAX)), (0, 0));
    let mut facts = LogFacts { noted: Some(200), ..log() };
    facts.segments[1].largest_timestamp = Some(NOW);
    assert_eq!(range(&facts, &lag(NOW - 2_000)), (200, 300), "what is compacted already does not count");
}

#[test]
fn records_older_than_the_maximum_lag_make_it_due() {
    let facts = LogFacts { noted: Some(200), ..log() };
    // The first dirty batch is of 2001 ms.
    let lag = |max_lag_ms| Wishes { max_lag_ms, ..WISHES };
    assert_eq!(dirt(&facts, &lag(NOW - 2_001)).overdue_ms, 0);
    let late = dirt(&facts, &lag(NOW - 2_002));
    assert!(late.overdue_ms == 1 && late.ratio() < 0.5 && late.is_due(&WISHES));
    assert_eq!(dirt(&facts, &WISHES).overdue_ms, 0);
    let clean = LogFacts { noted: Some(300), ..log() };
    assert_eq!(dirt(&clean, &lag(1)).overdue_ms, 0, "the active segment does not count");
}

#[test]
fn the_dirtiest_log_that_is_due_is_chosen() {
    let of = |noted| dirt(&LogFacts { noted: Some(noted), ..log() }, &WISHES);
    assert_eq!(choose(&[]), None);
    assert_eq!(choose(&[(of(300), WISHES), (of(200), WISHES)]), None);
    let eager = Wishes { min_dirty_ratio: 0.1, ..WISHES };
    assert_eq!(choose(&[(of(200), eager), (of(0), WISHES), (of(100), WISHES)]), Some(1));
    assert_eq!(choose(&[(of(200), eager), (of(300), WISHES)]), Some(0));
    let overdue = Dirt { overdue_ms: 1, ..of(200) };
    assert_eq!(choose(&[(overdue, WISHES)]), Some(0));
}

#[test]
fn an_empty_log_is_never_due() {
    let facts = LogFacts { segments: vec![segment(0, 0)], last_stable_offset: 0, log_end_offset: 0, ..log() };
    let dirt = dirt(&facts, &WISHES);
    assert!(!dirt.is_due(&Wishes { min_dirty_ratio: 0.0, ..WISHES }) && dirt.ratio() == 0.0);
}
