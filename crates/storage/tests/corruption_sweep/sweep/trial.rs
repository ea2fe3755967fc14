//! One damage after the other to the same directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_storage::LogManager;

use super::damage::harm;
use super::files;
use super::fixture::{self, Fixture, Image, ORDERS, TOPICS};
use super::judge::{Difference, judge};
use super::kind::Kind;
use super::lines::{self, Lines};
use super::observe::{Seen, View, log, observe};
use super::rules::{Outcome, is_right};
use super::{Random, TRIALS, Tally};

/// An undamaged directory as a process sees it.
struct Truth {
    seen: BTreeMap<&'static str, Seen>,
    /// Up to where each topic was on the device.
    durable: BTreeMap<&'static str, i64>,
    /// What is told anyway.
    lines: Lines,
}

type Probes = BTreeMap<&'static str, Vec<i64>>;

/// Makes a directory in `root` from the seed and damages it again and again.
pub(crate) fn trials(seed: u64, root: &Path) -> Tally {
    let mut random = Random::new(seed);
    let mut fixture = fixture::make(root, &mut random);
    let probes = TOPICS.map(|topic| (topic, probes(&fixture, topic, &mut random))).into();
    let truths: Vec<Truth> = fixture.images.iter().map(|image| truth(root, image, &fixture, &probes)).collect();
    for truth in &truths {
        for (base, batch) in &truth.seen[fixture::TABLE].batches {
            fixture.table.written.compacted.entry(*base).or_default().push(batch.clone());
        }
    }
    let mut tally = Tally::default();
    for _ in 0..TRIALS {
        let which = random.below(fixture.images.len());
        let (image, truth) = (&fixture.images[which], &truths[which]);
        let (harm, damaged) = harm(&image.files, &fixture.older, &mut random, Kind::of);
        files::put(root, &damaged);
        let kind = Some(harm.kind);
        let trial = Trial { root, fixture: &fixture, truth, probes: &probes, kind, is_clean_end: random.below(2) == 0 };
        let outcome = trial.run().unwrap_or_else(|wrong| panic!("{:?}, {harm}: {wrong}", image.how));
        assert!(is_right(&harm, &outcome), "{:?}, {harm}: {outcome:?}", image.how);
        tally.note(&harm, outcome.in_words(&harm, image.how));
    }
    tally
}

/// Times to search for.
fn probes(fixture: &Fixture, topic: &str, random: &mut Random) -> Vec<i64> {
    let times = &fixture.written(topic).times;
    let mut probes: Vec<i64> = (0..12).map(|_| random.one_of(times).1 + random.below(3) as i64 - 1).collect();
    probes.extend([0, times.iter().map(|(_, time)| *time).max().unwrap_or(0)]);
    probes
}

/// What is read of an undamaged directory is what was written.
fn truth(root: &Path, image: &Image, fixture: &Fixture, probes: &Probes) -> Truth {
    files::put(root, &image.files);
    let (observed, lines) = lines::of(|| observe(root, probes));
    let (manager, view) = observed.expect("sound");
    let seen: BTreeMap<_, _> = view.into_iter().map(|(topic, seen)| (topic, seen.expect("sound"))).collect();
    for (topic, seen) in &seen {
        let written = fixture.written(topic);
        let of_topic = judge(topic, seen, seen, written, seen.end);
        assert_eq!(of_topic, Ok(Vec::new()), "{:?} of {topic}", image.how);
        assert_eq!(seen.damaged, []);
        if *topic != fixture::TABLE {
            let kept: BTreeMap<_, _> = written
                .batches
                .iter()
                .filter(|(base, batch)| {
                    let header = ottla_protocol::record_batch::BatchHeader::read(batch).expect("a batch");
                    **base + i64::from(header.last_offset_delta) >= seen.start
                })
                .map(|(base, batch)| (*base, batch.clone()))
                .collect();
            assert_eq!(seen.batches, kept, "{:?} of {topic}", image.how);
        }
    }
    let durable = TOPICS.map(|topic| (topic, image.recovery_point(topic))).into();
    let mut truth = Truth { seen, durable, lines };
    drop(manager);
    for is_clean_end in [true, false] {
        files::put(root, &image.files);
        let trial = Trial { root, fixture, truth: &truth, probes, kind: None, is_clean_end };
        let (differences, lines) = trial.both_processes().unwrap_or_else(|_| panic!("sound"));
        assert_eq!(differences, []);
        truth.lines.extend(lines);
    }
    truth
}

/// Why there is nothing to compare.
enum Ended {
    Refused(String),
    Wrong(String),
}

impl From<String> for Ended {
    fn from(what: String) -> Self {
        Self::Wrong(what)
    }
}

struct Trial<'a> {
    root: &'a Path,
    fixture: &'a Fixture,
    truth: &'a Truth,
    probes: &'a Probes,
    /// Of the file that is damaged.
    kind: Option<Kind>,
    is_clean_end: bool,
}

impl Trial<'_> {
    /// `Err`: something was served that must never be.
    fn run(&self) -> Result<Outcome, String> {
        match self.both_processes() {
            Err(Ended::Refused(why)) => Ok(Outcome::Refused(why)),
            Err(Ended::Wrong(what)) => Err(what),
            Ok((differences, told)) => {
                let told = told.difference(&self.truth.lines).cloned().collect();
                Ok(Outcome::of(&differences, &told))
            }
        }
    }

    /// What two processes, one after the other, make of the directory, and what they tell.
    fn both_processes(&self) -> Result<(Vec<Difference>, Lines), Ended> {
        let (first, mut told) = lines::of(|| observe(self.root, self.probes));
        let (manager, view) = first.map_err(Ended::Refused)?;
        // What was not synced may be lost with its file, and with nothing else: the process was killed, not the power.
        let holds_records = matches!(self.kind, Some(Kind::Log | Kind::Swap));
        let durable = |topic: &str| if holds_records { self.truth.durable[topic] } else { self.truth.seen[topic].end };
        let mut differences = self.judge(&view, |topic| self.truth.seen[topic].clone(), durable)?;
        let (after, more) = lines::of(|| self.go_on(manager, &view));
        told.extend(more);
        let after = after?;
        let (second, more) = lines::of(|| observe(self.root, self.probes));
        told.extend(more);
        let (_manager, again) = second.map_err(|refused| format!("the second start: {refused}"))?;
        differences.extend(self.judge(&again, |topic| after[topic].clone(), |topic| after[topic].end)?);
        Ok((differences, told))
    }

    fn judge(
        &self,
        view: &View,
        truth: impl Fn(&str) -> Seen,
        durable: impl Fn(&str) -> i64,
    ) -> Result<Vec<Difference>, String> {
        let is_replaced = self.kind == Some(Kind::PartitionMetadata);
        let mut differences = Vec::new();
        for (topic, seen) in view {
            match seen {
                Ok(seen) => {
                    let found = judge(topic, &truth(topic), seen, self.fixture.written(topic), durable(topic));
                    if seen.end < durable(topic) && !is_replaced {
                        return Err(format!("{topic} ends at {}, {} was on the device", seen.end, durable(topic)));
                    }
                    differences.extend(found.map_err(|wrong| format!("{topic}: {wrong}"))?);
                }
                Err(_) if is_replaced => differences.push(Difference::Lost),
                Err(why) => return Err(format!("{topic} does not open: {why}")),
            }
        }
        Ok(differences)
    }

    /// Appends to each topic, and ends the process. Gives what another one should see.
    fn go_on(&self, manager: Arc<LogManager>, view: &View) -> Result<BTreeMap<&'static str, Seen>, String> {
        let mut expected = BTreeMap::new();
        for topic in TOPICS {
            let Ok(seen) = &view[topic] else {
                expected.insert(topic, Seen::default());
                continue;
            };
            let mut seen = seen.clone();
            let log = log(&manager, topic)?;
            if topic == ORDERS
                && let Some(sent_at) = self.fixture.orders.last_sent_at()
                && seen.batches.contains_key(&sent_at)
                && self.fixture.orders.retry(&log) != Some(Ok((true, sent_at)))
            {
                return Err(format!("the producer of the batch at {sent_at} is not known any more"));
            }
            let (offset, batch) = self.fixture.writer(topic).clone().go_on(&log)?;
            if offset < seen.end {
                return Err(format!("{topic}: offset {offset} is given twice"));
            }
            seen.batches.insert(offset, batch);
            (seen.end, seen.last_stable) = (log.log_end_offset(), log.last_stable_offset());
            seen.epochs = log.epochs().iter().map(|entry| (entry.epoch, entry.start_offset)).collect();
            expected.insert(topic, seen);
        }
        if self.is_clean_end {
            manager.stop(9).map_err(|error| error.to_string())?;
        }
        Ok(expected)
    }
}
