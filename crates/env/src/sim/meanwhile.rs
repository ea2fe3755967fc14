//! What another thread does while one waits for its device. A sync takes long, and whatever does not hold the same lock goes on
//! meanwhile; here only one thread runs at a time, so a scenario says what, and when.

use std::fmt;

type Act = Box<dyn FnOnce() + Send>;

/// At most one act, and during which of the coming syncs of files it is due.
#[derive(Default)]
pub(super) struct Meanwhile(Option<(u64, Act)>);

impl Meanwhile {
    pub(super) fn set(&mut self, nth: u64, act: Act) {
        self.0 = Some((nth.max(1), act));
    }

    /// A sync begins.
    pub(super) fn take_due(&mut self) -> Option<Act> {
        let (left, _) = self.0.as_mut()?;
        *left -= 1;
        if *left > 0 { None } else { self.0.take().map(|(_, act)| act) }
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meanwhile").field(&self.0.as_ref().map(|(nth, _)| nth)).finish()
    }
}
