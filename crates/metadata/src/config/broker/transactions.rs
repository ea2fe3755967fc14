//! Transactions and their state.

use crate::config::row::rows;

rows! {
    "transaction.max.timeout.ms": Int = "900000" where AtLeast(1), High, ReadOnly,
        Warn,
        "Longest timeout that a producer may ask for its transactions.";
    "transaction.partition.verification.enable": Boolean = "true" where Any, Low, ClusterWide,
        Warn,
        "Whether a partition leader asks the coordinator before it takes a transactional write.";
    "transaction.two.phase.commit.enable": Boolean = "false" where Any, Low, ReadOnly,
        Warn,
        "Whether producers may prepare transactions for a two-phase commit.";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = "10000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How often transactions past their timeout are looked for.";
    "transaction.remove.expired.transaction.cleanup.interval.ms": Int = "3600000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How often expired transactional ids are looked for.";
    "transactional.id.expiration.ms": Int = "604800000" where AtLeast(1), High, ReadOnly,
        Warn,
        "How long an unused transactional id is remembered.";
    "transaction.state.log.num.partitions": Int = "50" where AtLeast(1), High, ReadOnly,
        Warn,
        "Partitions of `__transaction_state`.";
    "transaction.state.log.replication.factor": Short = "3" where AtLeast(1), High, ReadOnly,
        Warn,
        "Replicas of `__transaction_state`.";
    "transaction.state.log.min.isr": Int = "2" where AtLeast(1), High, ReadOnly,
        Warn,
        "Replicas in sync that `__transaction_state` needs.";
    "transaction.state.log.segment.bytes": Int = "104857600" where AtLeast(1), High, ReadOnly,
        Warn,
        "Segment size of `__transaction_state`.";
    "transaction.state.log.load.buffer.size": Int = "5242880" where AtLeast(1), High, ReadOnly,
        Warn,
        "Bytes that are read at once when a transaction coordinator loads its state.";
    "add.partitions.to.txn.retry.backoff.ms": Int = "20" where AtLeast(1), High, ReadOnly,
        Warn,
        "First pause before the broker asks the transaction coordinator again.";
    "add.partitions.to.txn.retry.backoff.max.ms": Int = "100" where AtLeast(0), High, ReadOnly,
        Warn,
        "Longest such pause.";
}
