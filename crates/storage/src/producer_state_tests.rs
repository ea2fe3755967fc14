use super::*;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

/// A batch of `count` records by producer 7.
fn batch(epoch: i16, sequence: i32, offset: i64, count: i32, transactional: bool) -> BatchHeader {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: offset,
        producer_id: 7,
        producer_epoch: epoch,
        base_sequence: sequence,
        transactional,
        ..BatchOptions::default()
    });
    for _ in 0..count {
        builder.append(1000, None, Some(b"v"), &[]);
    }
    BatchHeader::read(&builder.build()).expect("a header")
}

fn marker(epoch: i16, offset: i64, commit: bool) -> (BatchHeader, Marker) {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: offset,
        producer_id: 7,
        producer_epoch: epoch,
        transactional: true,
        control: true,
        ..BatchOptions::default()
    });
    let kind = if commit { ControlRecordType::Commit } else { ControlRecordType::Abort };
    builder.append(2000, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 9]), &[]);
    let bytes = builder.build();
    (BatchHeader::read(&bytes).expect("a header"), Marker::read(&bytes).expect("a marker"))
}

fn state_with(batches: &[BatchHeader]) -> ProducerState {
    let mut state = ProducerState::default();
    for header in batches {
        assert_eq!(state.check(header).expect("in order"), None);
        state.replay(header, None);
    }
    state
}

#[test]
fn a_repeat_of_any_of_the_last_five_is_answered_and_an_older_one_refused() {
    let batches: Vec<_> = (0..7).map(|n| batch(0, n * 10, i64::from(n) * 10, 10, false)).collect();
    let state = state_with(&batches);
    for batch in &batches[2..] {
        let found = state.check(batch).expect("known").expect("a duplicate");
        assert_eq!((found.first_offset(), found.last_offset), (batch.base_offset, batch.last_offset()));
    }
    assert!(matches!(state.check(&batches[1]), Err(AppendError::OutOfOrderSequence { last: 69, .. })));
}

#[test]
fn sequences_wrap_from_the_largest_to_zero() {
    let state = state_with(&[batch(0, 0, 0, 1, false)]);
    assert!(matches!(state.check(&batch(0, 2, 1, 1, false)), Err(AppendError::OutOfOrderSequence { last: 0, .. })));
    let mut state = ProducerState::default();
    let near = batch(0, i32::MAX - 1, 0, 4, false);
    assert_eq!(near.last_sequence(), 1, "MAX-1, MAX, 0, 1");
    assert_eq!(state.check(&near).expect("an unknown producer may begin anywhere"), None);
    state.replay(&near, None);
    assert!(state.check(&near).expect("known").is_some(), "the repeat of a batch that wraps");
    assert_eq!(state.check(&batch(0, 2, 4, 1, false)).expect("follows"), None);
    let last = batch(0, 2, 4, 1, false);
    state.replay(&last, None);
    let to_the_end = batch(0, i32::MAX, 5, 1, false);
    let state = ProducerState::from_entries([(
        7,
        ProducerEntry::new(0, 0, Some(BatchMemory { last_sequence: i32::MAX, ..BatchMemory::default() })),
    )]);
    assert_eq!(state.check(&batch(0, 0, 6, 1, false)).expect("0 follows MAX"), None);
    assert!(state.check(&to_the_end).expect("known").is_some());
}

#[test]
fn a_new_epoch_begins_with_zero_and_fences_the_old_one() {
    let mut state = state_with(&[batch(0, 0, 0, 3, false)]);
    assert!(matches!(state.check(&batch(1, 3, 3, 1, false)), Err(AppendError::OutOfOrderSequence { last: -1, .. })));
    let next = batch(1, 0, 3, 1, false);
    assert_eq!(state.check(&next).expect("begins"), None);
    state.replay(&next, None);
    let old = batch(0, 3, 4, 1, false);
    assert!(matches!(state.check(&old), Err(AppendError::InvalidProducerEpoch { epoch: 0, current: 1, .. })));
}

#[test]
fn an_open_transaction_holds_the_last_stable_offset_until_its_marker_is_replicated() {
    let mut state = state_with(&[batch(0, 0, 0, 5, false), batch(0, 5, 5, 5, true), batch(0, 10, 10, 5, true)]);
    assert_eq!(state.first_unstable_offset(), Some(5));
    let outside = batch(0, 15, 15, 1, false);
    assert!(matches!(state.check(&outside), Err(AppendError::InvalidTransactionState { .. })));
    let (header, abort) = marker(0, 15, false);
    assert!(!abort.commit && abort.coordinator_epoch == 9);
    let aborted = state.replay(&header, Some(abort)).expect("an abort");
    assert_eq!((aborted.first_offset, aborted.last_offset, aborted.last_stable_offset), (5, 15, 16));
    state.set_high_watermark(15);
    assert_eq!(state.first_unstable_offset(), Some(5), "the marker itself is not below the high watermark");
    state.set_high_watermark(16);
    assert_eq!(state.first_unstable_offset(), None);
    assert_eq!(state.check(&batch(0, 15, 16, 1, false)).expect("sequences go on"), None);
    let stale = Marker { commit: true, coordinator_epoch: 8 };
    assert!(matches!(state.check_marker(&header, stale, 0), Err(AppendError::CoordinatorFenced { current: 9, .. })));
}

#[test]
fn from_version_two_on_a_marker_needs_a_greater_epoch_unless_it_is_a_repeat() {
    let open = state_with(&[batch(4, 0, 0, 5, true)]);
    let (same, commit) = marker(4, 5, true);
    assert!(matches!(open.check_marker(&same, commit, 2), Err(AppendError::InvalidProducerEpoch { epoch: 4, .. })));
    assert!(open.check_marker(&same, commit, 1).is_ok(), "before, it is that of the transaction");
    let (next, commit) = marker(5, 5, true);
    assert!(open.check_marker(&next, commit, 2).is_ok());
    let mut ended = open;
    ended.replay(&next, Some(commit));
    assert_eq!(ended.check(&batch(5, 0, 6, 1, true)).expect("the next transaction"), None);
    assert!(ended.check_marker(&next, commit, 2).is_ok(), "the repeat of a marker whose answer was lost");
    ended.replay(&batch(5, 0, 6, 1, true), None);
    assert!(ended.check_marker(&next, commit, 2).is_err(), "late: it would end the next transaction");
    assert!(ended.check_marker(&same, commit, 2).is_err() && ended.check_marker(&same, commit, 0).is_err());
    let last = state_with(&[batch(i16::MAX, 0, 0, 1, true)]);
    let (of_last, commit) = marker(i16::MAX, 1, true);
    assert!(last.check_marker(&of_last, commit, 2).is_ok(), "there is no greater one");
}

#[test]
fn an_empty_marker_that_compaction_left_says_nothing() {
    let mut state = ProducerState::default();
    let (header, _) = marker(3, 10, true);
    let empty = BatchHeader { record_count: 0, ..header };
    assert_eq!(state.replay(&empty, None), None);
    assert_eq!(state.check(&batch(3, 7, 11, 1, false)).expect("any sequence of one that is not known"), None);
}

#[test]
fn silence_expires_a_producer_but_not_an_open_transaction() {
    let mut state = state_with(&[batch(0, 0, 0, 1, false)]);
    state.expire(1999, 1000);
    assert_eq!(state.len(), 1);
    state.expire(2000, 1000);
    assert_eq!(state.len(), 0);
    let mut state = state_with(&[batch(0, 0, 0, 1, true)]);
    state.expire(1 << 50, 1000);
    assert_eq!(state.len(), 1);
}
