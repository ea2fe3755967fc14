//! A compaction was decided, its process ended, and what it had made is broken when the next one looks: a disk that lies about
//! its syncs, or rots. The old segments are there still, so nothing need be lost, and the partition opens with them. It used to
//! stay closed, whatever lay beside.

use ottla_env::fs;
use ottla_protocol::record_batch::batches;

use super::store::names;
use super::support::NOW;
use super::swap::{Before, Files, before};

/// The decided compaction beside everything that it replaces.
fn decided(before: &Before) -> Files {
    before.old.clone().into_iter().chain(before.with_suffix(|_| ".swap")).collect()
}

/// The longest of the compacted segments.
fn longest(before: &Before) -> String {
    let logs = before.new.iter().filter(|(name, _)| name.ends_with(".log"));
    let (name, _) = logs.max_by_key(|(_, bytes)| batches(bytes).count()).unwrap();
    format!("{name}.swap")
}

/// Where its batches begin.
fn borders(log: &[u8]) -> Vec<usize> {
    let mut end = 0;
    let starts = batches(log).map(|item| {
        let start = end;
        end += item.unwrap().1.len();
        start
    });
    starts.collect()
}

#[test]
fn a_broken_one_is_dropped_while_the_old_segments_are_there() {
    let mut before = before();
    let (whole, swap) = (decided(&before), longest(&before));
    let bytes = &whole[&swap];
    let borders = borders(bytes);
    assert!(borders.len() > 2, "{borders:?}");
    let mut broken = Vec::new();
    for at in (0..bytes.len()).step_by(13) {
        let within = at - borders.iter().rev().find(|start| **start <= at).unwrap();
        // No checksum covers the base offset and the leader epoch.
        if !(0..8).contains(&within) && !(12..16).contains(&within) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            broken.push(flipped);
        }
        if within > 0 {
            broken.push(bytes[..at].to_vec());
        }
    }
    // Such a base offset would take along all segments up to it, the one that is appended to among them.
    let mut far = bytes.clone();
    far[borders.last().unwrap() + 1] ^= 1;
    broken.push(far);
    for damaged in broken {
        let mut files = whole.clone();
        files.insert(swap.clone(), damaged);
        assert_eq!(before.start_with(&files), before.records_before);
    }
}

#[test]
fn and_compacted_anew() {
    let mut before = before();
    let (mut files, swap) = (decided(&before), longest(&before));
    files.get_mut(&swap).unwrap()[70] ^= 1;
    assert_eq!(before.start_with(&files), before.records_before);
    // A process that was killed here had not noted yet how far it came.
    fs::remove_file(before.store.temp.path().join("cleaner-offset-checkpoint")).unwrap();
    before.store.open();
    before.store.clean(NOW).expect("due");
    assert_eq!(before.store.records(), before.records_after);
}

#[test]
fn of_several_segments_all_are_dropped() {
    let mut before = before();
    let log = longest(&before);
    let bytes = decided(&before)[&log].clone();
    // Cut in two, as when offsets would not fit.
    let second = borders(&bytes)[1];
    let (first, rest) = bytes.split_at(second);
    let rest_name = format!("{:020}.log.swap", batches(rest).next().unwrap().unwrap().0.base_offset);
    for broken in [0, 1] {
        let mut parts = [(log.clone(), first.to_vec()), (rest_name.clone(), rest.to_vec())];
        parts[broken].1[70] ^= 1;
        let files: Files = before.old.clone().into_iter().chain(parts).collect();
        assert_eq!(before.start_with(&files), before.records_before, "{broken}");
    }
}

#[test]
fn without_all_old_segments_nothing_is_opened_and_nothing_removed() {
    let mut before = before();
    let (mut whole, swap) = (decided(&before), longest(&before));
    whole.get_mut(&swap).unwrap()[70] ^= 1;
    let replaced: Vec<String> = before.replaced.iter().filter(|name| name.ends_with(".log")).cloned().collect();
    assert!(replaced.len() > 1, "{replaced:?}");
    for name in &replaced {
        // Renamed away; or cut at the last batch.
        let mut gone = whole.clone();
        let bytes = gone.remove(name).unwrap();
        gone.insert(format!("{name}.deleted"), bytes.clone());
        let mut short = whole.clone();
        short.insert(name.clone(), bytes[..*borders(&bytes).last().unwrap()].to_vec());
        for files in [gone, short] {
            before.put(&files);
            let refusal = before.store.refusal();
            assert!(refusal.contains(&swap) && refusal.contains("what it replaces"), "{refusal}");
            let mut left = names(&before.store.dir(), "");
            left.retain(|name| files.contains_key(name));
            assert_eq!(left.len(), files.len(), "everything that may help is there still");
        }
    }
    // Whoever puts back what was gone has his records.
    assert_eq!(before.start_with(&whole), before.records_before);
}
