//! Which transactions a pass has come across, batch by batch: whose records were aborted, and which markers nobody needs
//! any more. A pure value. Kafka class: `CleanedTransactionMetadata`.
//!
//! ```text
//!   t1 data ── t2 data ── t1 abort ── t2 commit ── ...        aborted transactions, known beforehand: t1
//!   dropped     kept        kept: data was there, its entry goes into the new transaction index
//!                                     kept: data is there
//!   (next pass)             may go: no data was seen; after its delete horizon
//! ```

use std::collections::VecDeque;

use ottla_env::collections::{HashMap, HashSet};
use ottla_env::planted;
use ottla_protocol::record_batch::BatchHeader;

use crate::producer_state::Marker;
use crate::transaction_index::AbortedTransaction;

/// What becomes of a control batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkerNeed {
    /// Nothing of its transaction is left: it goes once its delete horizon has passed.
    Done,
    /// It stays.
    Needed,
    /// It stays, and so does the entry of the transaction index.
    NeededByIndex(AbortedTransaction),
}

/// A transaction known to be aborted.
#[derive(Debug)]
struct Aborted {
    transaction: AbortedTransaction,
    /// Whether any of its batches was there.
    seen: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct CleanedTransactions {
    /// By first offset; those that the pass has not reached.
    ahead: VecDeque<AbortedTransaction>,
    /// By producer.
    aborted: HashMap<i64, Aborted>,
    /// Producers of open transactions that were not aborted.
    committed: HashSet<i64>,
}

impl CleanedTransactions {
    /// Beginning at some offset, with every aborted transaction that reaches into what follows.
    pub(super) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|t| t.first_offset);
        Self { ahead: aborted.into(), aborted: HashMap::default(), committed: HashSet::default() }
    }

    fn advance_to(&mut self, offset: i64) {
        while let Some(transaction) = self.ahead.pop_front_if(|t| t.first_offset <= offset) {
            self.aborted.entry(transaction.producer_id).or_insert(Aborted { transaction, seen: false });
        }
    }

    /// The pass comes to a batch of data. True when it was aborted.
    pub(super) fn on_data(&mut self, header: &BatchHeader) -> bool {
        self.advance_to(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        if let Some(aborted) = self.aborted.get_mut(&header.producer_id)
            && !planted::is("aborted records are taken for the last of their keys")
        {
            aborted.seen = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// The pass comes to a control batch; `marker` is None if it is not a transaction's.
    pub(super) fn on_control(&mut self, header: &BatchHeader, marker: Option<Marker>) -> MarkerNeed {
        self.advance_to(header.last_offset());
        if header.record_count == 0 {
            // It was emptied by an earlier pass.
            return MarkerNeed::Done;
        }
        match marker {
            None => MarkerNeed::Needed,
            Some(Marker { commit: true, .. })
                if self.committed.remove(&header.producer_id) && !planted::is("a marker goes before its records") =>
            {
                MarkerNeed::Needed
            }
            Some(Marker { commit: true, .. }) => MarkerNeed::Done,
            Some(Marker { commit: false, .. }) => match self.aborted.remove(&header.producer_id) {
                Some(Aborted { transaction, seen: true }) => MarkerNeed::NeededByIndex(transaction),
                Some(Aborted { seen: false, .. }) | None => MarkerNeed::Done,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

    use super::*;

    fn batch(producer_id: i64, base_offset: i64, control: bool) -> BatchHeader {
        let options = BatchOptions {
            producer_id,
            producer_epoch: 0,
            base_offset,
            control,
            transactional: true,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        builder.append(0, Some(b"k"), Some(b"v"), &[]);
        BatchHeader::read(&builder.build()).unwrap()
    }

    fn marker(commit: bool) -> Option<Marker> {
        Some(Marker { commit, coordinator_epoch: 0 })
    }

    fn aborted(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTransaction {
        AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset: 0 }
    }

    #[test]
    fn aborted_data_goes_and_its_marker_stays_for_this_pass() {
        let mut pass = CleanedTransactions::new(vec![aborted(8, 40, 50), aborted(7, 10, 30)]);
        assert!(!pass.on_data(&batch(7, 5, false)), "an earlier transaction of the same producer");
        assert_eq!(pass.on_control(&batch(7, 6, true), marker(true)), MarkerNeed::Needed);
        assert!(pass.on_data(&batch(7, 10, false)));
        assert!(!pass.on_data(&batch(9, 12, false)));
        assert_eq!(pass.on_control(&batch(7, 30, true), marker(false)), MarkerNeed::NeededByIndex(aborted(7, 10, 30)));
        assert!(!pass.on_data(&batch(7, 31, false)), "a later transaction of the same producer");
        assert_eq!(pass.on_control(&batch(9, 32, true), marker(true)), MarkerNeed::Needed);
        assert_eq!(pass.on_control(&batch(8, 50, true), marker(false)), MarkerNeed::Done, "its data went before");
    }

    #[test]
    fn a_marker_without_data_is_done() {
        let mut pass = CleanedTransactions::new(Vec::new());
        assert_eq!(pass.on_control(&batch(7, 6, true), marker(true)), MarkerNeed::Done);
        assert_eq!(pass.on_control(&batch(7, 7, true), marker(false)), MarkerNeed::Done);
        assert_eq!(pass.on_control(&batch(7, 8, true), None), MarkerNeed::Needed, "a leader change");
        let emptied = BatchHeader { record_count: 0, ..batch(7, 9, true) };
        assert_eq!(pass.on_control(&emptied, None), MarkerNeed::Done);
    }

    #[test]
    fn only_transactional_batches_take_part() {
        let mut pass = CleanedTransactions::new(vec![aborted(7, 0, 30)]);
        let plain = BatchHeader { attributes: 0, ..batch(7, 5, false) };
        assert!(!pass.on_data(&plain));
        assert_eq!(pass.on_control(&batch(7, 30, true), marker(false)), MarkerNeed::Done);
    }
}
