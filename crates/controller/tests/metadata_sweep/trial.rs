//! One damage after the other to the same directory.

use super::damage::{Damage, harm};
use super::files::{self, Files};
use super::fixture::{self, Fixture, How, Image};
use super::kind::{Harm, Kind};
use super::life::{self, Seen, Setting};
use super::lines::{self, Lines};
use super::rules::{Outcome, What, is_right};
use super::{Random, TRIALS, Tally};

/// An undamaged directory as a process sees it.
struct Truth {
    seen: Seen,
    /// What is told anyway.
    lines: Lines,
}

/// Makes a directory from the seed and damages it again and again.
pub(crate) fn trials(seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let fixture = fixture::make(&mut random);
    let truths: Vec<Truth> = fixture.images.iter().map(|image| truth(&fixture, image)).collect();
    let mut tally = Tally::default();
    for _ in 0..TRIALS {
        let which = random.below(fixture.images.len());
        let (image, truth) = (&fixture.images[which], &truths[which]);
        let (harm, damaged) = harm(&image.files, &fixture.older, &mut random, Kind::of);
        let trial = Trial { fixture: &fixture, image, truth: Some(truth), is_clean_end: random.below(2) == 0 };
        let outcome = trial.run(&harm, &damaged);
        let outcome = outcome.unwrap_or_else(|wrong| panic!("{:?}, {harm}: {wrong}", image.how));
        assert!(is_right(&harm, image.how, &outcome), "{:?}, {harm}: {outcome:?}", image.how);
        tally.note(&harm, outcome.in_words(&harm, image.how));
    }
    tally
}

/// An undamaged directory starts, however its process ended, and its metadata is what its files say.
fn truth(fixture: &Fixture, image: &Image) -> Truth {
    let mut lines = Lines::new();
    let mut seen = None;
    for is_clean_end in [true, false] {
        let trial = Trial { fixture, image, truth: None, is_clean_end };
        let (found, told) = trial.both_lives(&image.files).unwrap_or_else(|wrong| panic!("{:?}: {wrong}", image.how));
        let found = found.unwrap_or_else(|why| panic!("{:?}: an undamaged directory is refused: {why}", image.how));
        assert_eq!(found.records, image.model.last(), "{:?}", image.how);
        lines.extend(told);
        seen = Some(found);
    }
    Truth { seen: seen.expect("two lives"), lines }
}

struct Trial<'a> {
    fixture: &'a Fixture,
    image: &'a Image,
    truth: Option<&'a Truth>,
    is_clean_end: bool,
}

impl Trial<'_> {
    /// `Err`: something that must never be.
    fn run(&self, harm: &Harm, damaged: &Files) -> Result<Outcome, String> {
        let (seen, told) = self.both_lives(damaged)?;
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => return Ok(Outcome::Refused(why)),
        };
        let truth = self.truth.ok_or("nothing to compare with")?;
        let told = told.difference(&truth.lines).next().is_some();
        // What was elected in an epoch may have left its mark elsewhere: in no epoch of the log, nor of the file that
        // remembers them, may there be another election.
        let model = &self.image.model;
        let remembered = if harm.kind == Kind::QuorumState { model.epoch } else { truth.seen.epoch - 1 };
        if seen.epoch <= remembered {
            return Err(format!("epoch {} again, after {remembered}", seen.epoch));
        }
        if seen.identity != truth.seen.identity {
            return Ok(Outcome::NotShown(What::Identity));
        }
        if seen.records == truth.seen.records {
            return Ok(if told { Outcome::Mended } else { Outcome::Harmless });
        }
        // A bit may be taken for a torn end only where one may be.
        let is_bit = harm.damage == Damage::FlippedBit && self.image.how == How::Unnoted;
        let from = if is_bit { model.last_batch() } else { model.noted };
        match (model.has_prefix(&seen.records, from), told) {
            (true, true) => Ok(Outcome::Cut),
            (true, false) => Ok(Outcome::NotShown(What::End)),
            (false, _) => {
                Err(format!("another image, told: {told}:\n{:#?}\nis not\n{:#?}", seen.records, truth.seen.records))
            }
        }
    }

    /// What two lives make of the files: what the first found, or why it did not start; and what they told.
    fn both_lives(&self, files: &Files) -> Result<(Result<Seen, String>, Lines), String> {
        let Fixture { host, root, is_dynamic, .. } = self.fixture;
        let setting = Setting { is_dynamic: *is_dynamic, snapshot_after_bytes: u64::MAX };
        host.enter(|| files::put(root, files));
        let begin = |topic, is_clean_end| {
            let root = root.clone();
            lines::of(|| fixture::run(host, async move { life::live(&root, setting, topic, is_clean_end).await }))
        };
        let (first, mut told) = begin("a-topic-more", self.is_clean_end);
        let (found, left) = match first? {
            Ok(both) => both,
            Err(why) => return Ok((Err(why), told)),
        };
        let (second, more) = begin("and-another", true);
        told.extend(more);
        let (again, _) = second?.map_err(|why| format!("the second start is refused: {why}"))?;
        if again.records != left.records {
            return Err(format!("the second life finds\n{:#?}\nthe first left\n{:#?}", again.records, left.records));
        }
        if again.epoch <= left.epoch {
            return Err(format!("epoch {} twice", again.epoch));
        }
        Ok((Ok(found), told))
    }
}
