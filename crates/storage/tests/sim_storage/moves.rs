//! A partition that moves to another directory, a step at a time: nobody who uses it must notice.

use std::sync::Arc;

use ottla_env::sim::{is_dying, note};
use ottla_storage::{Copied, CopyError, ReadError};

use crate::chance;
use crate::run::{End, Run};

impl Run {
    /// Begins a move, copies on, calls it off, or lets the copy take its log's place.
    pub(crate) fn move_on(&mut self, at: usize) {
        let (topic, partition) = (self.parts[at].topic, self.parts[at].partition);
        let (manager, log) = (Arc::clone(self.manager()), self.log(at));
        let Some(future) = manager.future(topic, partition) else {
            let dirs = manager.log_dirs();
            self.parts[at].may_move = true;
            let made = manager.create_future(topic, partition, &dirs[chance(dirs.len() as u64)]);
            let _told = self.heard(made.map_err(CopyError::from));
            return;
        };
        if chance(12) == 0 {
            let called_off = self.heard(manager.delete_future(topic, partition).map_err(CopyError::from));
            if called_off.is_some() {
                self.parts[at].may_move = false;
            }
            return;
        }
        for _ in 0..=chance(12) {
            let max_bytes = u32::try_from(1 + chance(4_000)).expect("small");
            let Some(copied) = self.heard(future.copy_from(&log, max_bytes)) else { return };
            if copied == Copied::CaughtUp {
                self.parts[at].may_note();
                let replacement = manager.replacement(topic, partition).expect("both are there");
                let finished = replacement.finish();
                drop(log);
                let finished = self.heard(finished.map_err(CopyError::from));
                if let Some(finished) = finished {
                    note(&format!("it moved to {}", future.dir().path().display()));
                    self.parts[at].begins_at(future.log_start_offset());
                    self.parts[at].may_move = false;
                    assert!(finished.is_some_and(|log| Arc::ptr_eq(&log, &future)), "nothing came between");
                }
                return;
            }
        }
    }

    /// The power goes while a partition moves, and what it has left of the copy goes on to the end.
    pub(crate) fn move_over_a_power_cut(&mut self, at: usize) {
        // Of what the log has the power takes nothing then: a hole is the copy's.
        self.flush(at);
        if self.copy_some(at) {
            self.restart(End::PowerCut);
        }
        for _ in 0..3 {
            if self.parts[at].exists && self.log(at).dir().check_online().is_ok() {
                self.move_on(at);
            }
        }
    }

    /// Copies a little of a log, to some other directory if none is said yet. False if there is nothing under way.
    fn copy_some(&mut self, at: usize) -> bool {
        let (topic, partition) = (self.parts[at].topic, self.parts[at].partition);
        let (manager, log) = (Arc::clone(self.manager()), self.log(at));
        let others: Vec<_> = manager.log_dirs().iter().filter(|dir| !Arc::ptr_eq(dir, log.dir())).collect();
        if others.is_empty() || log.dir().check_online().is_err() {
            return false;
        }
        if manager.future(topic, partition).is_none() {
            self.parts[at].may_move = true;
            let made = manager.create_future(topic, partition, others[chance(others.len() as u64)]);
            if self.heard(made.map_err(CopyError::from)).is_none() {
                return false;
            }
        }
        let Some(future) = manager.future(topic, partition) else { return false };
        for _ in 0..2 + chance(10) {
            let max_bytes = u32::try_from(1 + chance(400)).expect("small");
            match self.heard(future.copy_from(&log, max_bytes)) {
                Some(Copied::Bytes(_)) => {}
                Some(Copied::CaughtUp) => break,
                None => return false,
            }
        }
        true
    }

    fn heard<T>(&mut self, result: Result<T, CopyError>) -> Option<T> {
        if is_dying() {
            self.die();
            return None;
        }
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        note(&format!("the move failed: {error}"));
        // A move does not get by what is damaged.
        let has_rotted = || self.parts.iter().any(|part| !part.rotten.is_empty());
        let is_rot = matches!(error, CopyError::Read(ReadError::Damaged { .. })) && has_rotted();
        assert!(self.must_reboot() || error.may_pass() || is_rot, "{error}, but every directory is online");
        let gone = |part: &crate::model::Part| self.manager().get(part.topic, part.partition).is_none();
        if self.parts.iter().any(|part| part.exists && gone(part)) {
            // Between the two renames: only a start can tell.
            self.restart(End::PowerCut);
        }
        None
    }
}
