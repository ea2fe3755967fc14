//! What clients saw, in the order in which they saw it: the evidence that the checkers judge.
//!
//! Every value is written once: [`Value`] names its producer and its place in that producer's sequence. So a read tells
//! what was lost, repeated, reordered or invented, without looking at anything inside the broker.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// What one producer's record carries: who sent it, and as its how-manyeth.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Value {
    /// The producer's number in the history.
    pub producer: u32,
    /// Counts from 0 without gaps, in the order of sending.
    pub sequence: u64,
}

/// Keys of a run: so few that a compacted topic keeps next to nothing of what was sent.
const KEYS: u64 = 200;

impl Value {
    /// The record's key, which counts only where a topic is compacted.
    #[must_use]
    pub fn key(self) -> u64 {
        self.sequence % KEYS
    }

    /// The bytes of the record's value.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Reads them back; `None` for bytes that no producer of a history wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (producer, sequence) = std::str::from_utf8(bytes).ok()?.split_once('#')?;
        Some(Self { producer: producer.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.producer, self.sequence)
    }
}

/// How a producer sends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// With idempotence: no duplicates, and order within a partition.
    Idempotent,
    /// Without: a retry may repeat and reorder.
    Plain,
}

/// Something that a client saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A value was given to a producer.
    Sent(Value),
    /// The broker promised to keep it (acks=all).
    Acknowledged {
        /// Which value.
        value: Value,
        /// Where it shall be.
        partition: i32,
        /// Where it shall be; `None` if it was acknowledged by a broker that had forgotten where.
        offset: Option<i64>,
    },
    /// A consumer read a record.
    Read {
        /// The consumer's name; it has a new one whenever it starts to read anew.
        consumer: Arc<str>,
        /// Where it was.
        partition: i32,
        /// Where it was.
        offset: i64,
        /// What it carried; `None` if nothing that a producer of the history wrote.
        value: Option<Value>,
    },
    /// Everything in a partition had been read by [`FINAL`], which stands at this offset.
    ReadToEnd {
        /// Which partition.
        partition: i32,
        /// The log end offset.
        end_offset: i64,
    },
    /// The coordinator promised to keep a group's committed offset.
    Committed {
        /// The group.
        group: &'static str,
        /// Which partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
    },
    /// The coordinator answered what a group has committed; `None` for nothing.
    CommittedIs {
        /// The group.
        group: &'static str,
        /// Which partition.
        partition: i32,
        /// The next offset to read.
        offset: Option<i64>,
    },
    /// The broker was killed and is back. No promise depends on it; it is here for whoever reads the history.
    Restarted,
}

/// The consumer that reads all partitions from their beginning when everything else has ended.
pub const FINAL: &str = "final";

/// How many events a history holds; a scenario that needs more is too long to be judged in memory.
pub const MAX_EVENTS: usize = 20_000_000;

/// What was seen in a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// How each producer sends, by its number.
    pub producers: BTreeMap<u32, Delivery>,
    /// In the order in which they were seen.
    pub events: Vec<Event>,
}

impl History {
    /// The record of all partitions at the end: what [`FINAL`] read, in its order.
    pub fn final_records(&self) -> impl Iterator<Item = (i32, i64, Option<Value>)> {
        self.events.iter().filter_map(|event| match event {
            Event::Read { consumer, partition, offset, value } if &**consumer == FINAL => {
                Some((*partition, *offset, *value))
            }
            _ => None,
        })
    }

    /// Whether a value's producer is idempotent.
    #[must_use]
    pub fn is_idempotent(&self, value: Value) -> bool {
        self.producers.get(&value.producer) == Some(&Delivery::Idempotent)
    }
}

/// Takes down what several clients see at once.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<History>);

impl Recorder {
    /// A recorder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a new producer its number.
    pub fn producer(&self, delivery: Delivery) -> u32 {
        let producers = &mut self.0.lock().producers;
        let number = u32::try_from(producers.len()).expect("a run has few producers");
        producers.insert(number, delivery);
        number
    }

    /// Adds an event.
    ///
    /// # Panics
    /// Beyond [`MAX_EVENTS`].
    pub fn saw(&self, event: Event) {
        let events = &mut self.0.lock().events;
        assert!(events.len() < MAX_EVENTS, "the history is full");
        events.push(event);
    }

    /// What was seen.
    #[must_use]
    pub fn into_history(self) -> History {
        self.0.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_bytes() {
        let value = Value { producer: 3, sequence: 70_000 };
        assert_eq!(Value::from_bytes(&value.to_bytes()), Some(value));
        for foreign in ["", "3", "#", "a#1", "1#-1", "1#2#3"] {
            assert_eq!(Value::from_bytes(foreign.as_bytes()), None, "{foreign}");
        }
        assert_eq!(Value::from_bytes(&[0xff, b'#']), None);
    }

    #[test]
    fn the_recorder_keeps_order_and_numbers_producers() {
        let recorder = Recorder::new();
        assert_eq!(recorder.producer(Delivery::Plain), 0);
        assert_eq!(recorder.producer(Delivery::Idempotent), 1);
        recorder.saw(Event::Restarted);
        recorder.saw(Event::Sent(Value { producer: 1, sequence: 0 }));
        let history = recorder.into_history();
        assert_eq!(history.events[0], Event::Restarted);
        assert!(history.is_idempotent(Value { producer: 1, sequence: 0 }));
        assert!(!history.is_idempotent(Value { producer: 0, sequence: 0 }));
    }
}
