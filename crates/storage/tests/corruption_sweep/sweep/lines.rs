//! What a process tells its operator: warnings and errors of the log, without the numbers, which differ from run to run.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Lines by their text.
pub(crate) type Lines = BTreeSet<String>;

/// Does `act` and gives the lines that it wrote on this thread.
pub(crate) fn of<T>(act: impl FnOnce() -> T) -> (T, Lines) {
    let listener = Listener::default();
    let lines = Arc::clone(&listener.lines);
    let result = tracing::subscriber::with_default(listener, act);
    let told = std::mem::take(&mut *lines.lock());
    (result, told)
}

#[derive(Default)]
struct Listener {
    lines: Arc<Mutex<Lines>>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.lines.lock().insert(line.0.replace(|c: char| c.is_ascii_digit(), "#"));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // The name that a directory gets when it is set aside is drawn.
        if field.name() != "to" {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}
