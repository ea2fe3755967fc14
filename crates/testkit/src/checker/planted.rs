//! Histories with a planted violation, each of which its checker must find, and it alone; and a good one.

use super::{check_all, check_compacted};
use crate::history::{Delivery, Event, FINAL, History, Value};

const IDEMPOTENT: u32 = 0;
const PLAIN: u32 = 1;

fn value(producer: u32, sequence: u64) -> Value {
    Value { producer, sequence }
}

fn acknowledged(value: Value, offset: i64) -> Event {
    Event::Acknowledged { value, partition: 0, offset: Some(offset) }
}

fn read(consumer: &str, offset: i64, value: Value) -> Event {
    let consumer = consumer.into();
    Event::Read { consumer, partition: 0, offset, value: Some(value) }
}

fn committed(offset: i64) -> Event {
    Event::Committed { group: "g", partition: 0, offset }
}

fn committed_is(offset: Option<i64>) -> Event {
    Event::CommittedIs { group: "g", partition: 0, offset }
}

/// Two producers write two values each; a member reads two, commits, and comes back after a crash to what it had
/// committed; the plain producer's retry has repeated a value.
fn good() -> History {
    let mut events: Vec<Event> = Vec::new();
    for sequence in 0..2 {
        events.extend([Event::Sent(value(IDEMPOTENT, sequence)), Event::Sent(value(PLAIN, sequence))]);
    }
    let log = [value(IDEMPOTENT, 0), value(PLAIN, 0), value(PLAIN, 0), value(IDEMPOTENT, 1), value(PLAIN, 1)];
    let at = |offset: i64| log[usize::try_from(offset).expect("small")];
    events.extend([0, 2, 3, 4].map(|offset| acknowledged(at(offset), offset)));
    events.extend([read("member", 0, at(0)), read("member", 1, at(1)), committed(2)]);
    events.extend([read("member", 2, at(2)), Event::Restarted, committed_is(Some(2)), read("member", 2, at(2))]);
    events.extend([committed(3), committed_is(Some(3))]);
    events.extend((0..5).map(|offset| read(FINAL, offset, at(offset))));
    events.push(Event::ReadToEnd { partition: 0, end_offset: 5 });
    let producers = [(IDEMPOTENT, Delivery::Idempotent), (PLAIN, Delivery::Plain)].into();
    History { producers, events }
}

/// Changes the good history, and tells which invariants that breaks.
fn broken(change: impl FnOnce(&mut Vec<Event>)) -> Vec<&'static str> {
    let mut history = good();
    change(&mut history.events);
    let mut invariants: Vec<_> = check_all(&history).iter().map(|violation| violation.invariant).collect();
    invariants.dedup();
    invariants
}

fn replace(events: &mut [Event], old: &Event, new: &Event) {
    let place = events.iter_mut().find(|event| *event == old).expect("the good history has it");
    place.clone_from(new);
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(check_all(&good()), []);
}

#[test]
fn a_lost_tail_is_found() {
    let lost = |events: &mut Vec<Event>| events.retain(|event| *event != read(FINAL, 4, value(PLAIN, 1)));
    assert_eq!(broken(lost), ["acknowledged_never_lost"]);
}

#[test]
fn another_record_in_an_acknowledged_place_is_found() {
    let moved =
        |events: &mut Vec<Event>| replace(events, &acknowledged(value(PLAIN, 1), 4), &acknowledged(value(PLAIN, 1), 2));
    assert_eq!(broken(moved), ["acknowledged_never_lost"]);
}

#[test]
fn what_was_acknowledged_without_a_place_must_be_in_its_partition() {
    let forgotten = |value| Event::Acknowledged { value, partition: 0, offset: None };
    let old = acknowledged(value(PLAIN, 1), 4);
    assert!(broken(|events| replace(events, &old, &forgotten(value(PLAIN, 1)))).is_empty());
    let lost = |events: &mut Vec<Event>| {
        events.insert(4, Event::Sent(value(PLAIN, 2)));
        replace(events, &old, &forgotten(value(PLAIN, 2)));
    };
    assert_eq!(broken(lost), ["acknowledged_never_lost"]);
}

#[test]
fn an_end_that_was_never_read_is_found() {
    let unread = |events: &mut Vec<Event>| {
        events.retain(|event| match event {
            Event::Read { consumer, .. } => &**consumer != FINAL,
            other => !matches!(other, Event::ReadToEnd { .. }),
        });
    };
    assert_eq!(broken(unread), ["acknowledged_never_lost"]);
}

#[test]
fn a_duplicate_of_an_idempotent_producer_is_found() {
    let repeated = |events: &mut Vec<Event>| events.push(read(FINAL, 5, value(IDEMPOTENT, 1)));
    assert_eq!(broken(repeated), ["no_duplicates"]);
}

#[test]
fn a_record_of_nobody_is_found() {
    let unsent = |events: &mut Vec<Event>| events.push(read(FINAL, 5, value(PLAIN, 99)));
    assert_eq!(broken(unsent), ["nothing_invented"]);
    let garbage = |events: &mut Vec<Event>| {
        events.push(Event::Read { consumer: FINAL.into(), partition: 0, offset: 5, value: None });
    };
    assert_eq!(broken(garbage), ["nothing_invented"]);
    let early = |events: &mut Vec<Event>| events.insert(0, read("early", 0, value(IDEMPOTENT, 0)));
    assert_eq!(broken(early), ["nothing_invented"], "nobody can read what has not been sent yet");
}

#[test]
fn a_record_that_changed_is_found() {
    let changed = |events: &mut Vec<Event>| {
        replace(events, &read("member", 1, value(PLAIN, 0)), &read("member", 1, value(PLAIN, 1)));
    };
    assert_eq!(broken(changed), ["one_record_per_offset"]);
}

#[test]
fn a_changed_order_is_found() {
    let swapped = |events: &mut Vec<Event>| {
        events.retain(|event| match event {
            Event::Read { consumer, .. } => &**consumer == FINAL,
            other => !matches!(other, Event::Acknowledged { .. }),
        });
        replace(events, &read(FINAL, 0, value(IDEMPOTENT, 0)), &read(FINAL, 0, value(IDEMPOTENT, 1)));
        replace(events, &read(FINAL, 3, value(IDEMPOTENT, 1)), &read(FINAL, 3, value(IDEMPOTENT, 0)));
    };
    assert_eq!(broken(swapped), ["order_per_partition"]);
}

#[test]
fn a_record_left_out_by_a_consumer_is_found() {
    let skipped = |events: &mut Vec<Event>| events.retain(|event| *event != read("member", 1, value(PLAIN, 0)));
    assert_eq!(broken(skipped), ["order_per_partition"]);
}

#[test]
fn a_commit_that_went_back_or_away_is_found() {
    let back = |events: &mut Vec<Event>| replace(events, &committed_is(Some(3)), &committed_is(Some(2)));
    assert_eq!(broken(back), ["committed_never_back"]);
    let away = |events: &mut Vec<Event>| replace(events, &committed_is(Some(2)), &committed_is(None));
    assert_eq!(broken(away), ["committed_never_back"]);
}

/// A producer's values of two keys, of which compaction has left the last of each.
fn good_compacted() -> History {
    let keys = 200;
    let log = [0, 1, keys, keys + 1, 2 * keys].map(|sequence| value(IDEMPOTENT, sequence));
    let mut events: Vec<Event> = log.iter().map(|value| Event::Sent(*value)).collect();
    events.extend((0..5).zip(log).map(|(offset, value)| acknowledged(value, offset)));
    events.extend([read("follower", 0, log[0]), read("follower", 3, log[3])]);
    events.extend([read(FINAL, 3, log[3]), read(FINAL, 4, log[4])]);
    events.push(Event::ReadToEnd { partition: 0, end_offset: 5 });
    History { producers: [(IDEMPOTENT, Delivery::Idempotent)].into(), events }
}

#[test]
fn what_compaction_takes_back_is_found() {
    assert_eq!(check_compacted(&good_compacted()), []);
    let broken = |change: &dyn Fn(&mut Vec<Event>)| {
        let mut history = good_compacted();
        change(&mut history.events);
        let mut invariants: Vec<_> = check_compacted(&history).iter().map(|violation| violation.invariant).collect();
        invariants.dedup();
        invariants
    };
    let at_the_end = |offset, sequence| read(FINAL, offset, value(IDEMPOTENT, sequence));
    let lost = |events: &mut Vec<Event>| events.retain(|event| *event != at_the_end(4, 400));
    assert_eq!(broken(&lost), ["last_of_each_key"]);
    let older = |events: &mut Vec<Event>| replace(events, &at_the_end(4, 400), &at_the_end(2, 200));
    assert_eq!(broken(&older), ["last_of_each_key"], "an older value of the key is no substitute");
    let moved = |events: &mut Vec<Event>| {
        let old = acknowledged(value(IDEMPOTENT, 400), 4);
        replace(events, &old, &acknowledged(value(IDEMPOTENT, 400), 3));
    };
    assert_eq!(broken(&moved), ["last_of_each_key"], "another value is in its place");
    let unread = |events: &mut Vec<Event>| events.retain(|event| !matches!(event, Event::ReadToEnd { .. }));
    assert_eq!(broken(&unread), ["last_of_each_key"]);
    let again = |events: &mut Vec<Event>| events.push(at_the_end(5, 400));
    assert_eq!(broken(&again), ["no_duplicates"]);
}
