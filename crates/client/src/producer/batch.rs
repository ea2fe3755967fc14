//! A batch on its way: records collected while it is open, bytes once it is sealed, and the one place where all its
//! records learn their outcome.

use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{self, BatchBuilder, BatchOptions};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::record::ProducerRecord;
use crate::error::Error;

/// What the broker said about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// Offset of the first record; -1 when unknown (acks=0, or a duplicate that the broker no longer remembers).
    pub(super) base_offset: i64,
    /// The broker's time, if the topic uses LogAppendTime, else -1.
    pub(super) log_append_time_ms: i64,
}

pub(super) type Outcome = Result<Acknowledged, Error>;
pub(super) type OutcomeReceiver = watch::Receiver<Option<Outcome>>;

/// Producer id, epoch and first sequence that a batch was sent with; a retry keeps them, so that the broker knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) base_sequence: i32,
}

/// A batch that still takes records.
pub(super) struct OpenBatch {
    id: u64,
    builder: BatchBuilder,
    records: i32,
    created_ms: i64,
    outcome: watch::Sender<Option<Outcome>>,
    memory: OwnedSemaphorePermit,
}

impl OpenBatch {
    pub(super) fn new(id: u64, compression: Compression, memory: OwnedSemaphorePermit, now_ms: i64) -> Self {
        let options = BatchOptions { compression, ..BatchOptions::default() };
        Self {
            id,
            builder: BatchBuilder::new(options),
            records: 0,
            created_ms: now_ms,
            outcome: watch::Sender::new(None),
            memory,
        }
    }

    /// Adds a record; returns its number within the batch and where its outcome will be.
    pub(super) fn append(&mut self, record: &ProducerRecord<'_>, timestamp_ms: i64) -> (i32, OutcomeReceiver) {
        self.builder.append(timestamp_ms, record.key, record.value, record.headers);
        let index = self.records;
        self.records += 1;
        (index, self.outcome.subscribe())
    }

    pub(super) fn hold(&mut self, memory: OwnedSemaphorePermit) {
        self.memory.merge(memory);
    }

    pub(super) fn subscribe(&self) -> OutcomeReceiver {
        self.outcome.subscribe()
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.builder.len_bytes()
    }

    pub(super) fn created_ms(&self) -> i64 {
        self.created_ms
    }

    /// Ends it: writes and compresses the bytes.
    pub(super) fn seal(self) -> Batch {
        Batch {
            id: self.id,
            bytes: self.builder.build(),
            records: self.records,
            created_ms: self.created_ms,
            attempts: 0,
            identity: None,
            in_doubt: false,
            refused: false,
            outcome: self.outcome,
            _memory: self.memory,
        }
    }
}

/// A batch that is sent and, if need be, sent again.
pub(super) struct Batch {
    /// Grows in the order of sending within a partition.
    pub(super) id: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) records: i32,
    pub(super) created_ms: i64,
    pub(super) attempts: u32,
    pub(super) identity: Option<Identity>,
    /// It was sent with its identity, and may have been written for all we know.
    pub(super) in_doubt: bool,
    /// The broker said that it does not follow, and nothing was sent before it since.
    pub(super) refused: bool,
    outcome: watch::Sender<Option<Outcome>>,
    /// Part of `buffer.memory`, given back with the batch.
    _memory: OwnedSemaphorePermit,
}

impl Batch {
    /// Writes the identity into the bytes.
    pub(super) fn identify(&mut self, identity: Identity) {
        self.identity = Some(identity);
        record_batch::set_producer(&mut self.bytes, identity.producer_id, identity.epoch, identity.base_sequence);
    }

    /// Tells the outcome to all its records.
    pub(super) fn complete(self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }

    pub(super) fn subscribe(&self) -> OutcomeReceiver {
        self.outcome.subscribe()
    }
}
