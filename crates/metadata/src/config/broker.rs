//! The properties of a broker, all 379 of Kafka 4.4, by subject.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::config::row::Row;

mod groups;
mod logs;
mod network;
mod nodes;
mod operations;
mod replication;
mod security;
mod throttles;
mod tiering;
mod topics;
mod transactions;

/// A subject and its rows.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Heading in the documentation.
    pub title: &'static str,
    /// Rows.
    pub rows: &'static [Row],
}

/// All subjects, in the order of the documentation.
pub const SUBJECTS: &[Subject] = &[
    Subject { title: "Node, roles and the metadata quorum", rows: nodes::ROWS },
    Subject { title: "Listeners and connections", rows: network::ROWS },
    Subject { title: "Topics", rows: topics::ROWS },
    Subject { title: "Logs", rows: logs::ROWS },
    Subject { title: "Replication", rows: replication::ROWS },
    Subject { title: "Groups", rows: groups::ROWS },
    Subject { title: "Transactions", rows: transactions::ROWS },
    Subject { title: "Quotas, metrics and telemetry", rows: operations::ROWS },
    Subject { title: "Remote storage", rows: tiering::ROWS },
    Subject { title: "Security", rows: security::ROWS },
];

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Row>> =
    LazyLock::new(|| SUBJECTS.iter().flat_map(|s| s.rows).map(|row| (row.name, row)).collect());

/// The row of a broker property.
#[must_use]
pub fn row(name: &str) -> Option<&'static Row> {
    BY_NAME.get(name).copied()
}

/// Properties that have no place in a properties file, and exist only while a broker runs.
pub const DYNAMIC_ONLY: &[Row] = throttles::ROWS;

/// The row of a property of a running broker: one of [`row`], or one that only a running broker has.
#[must_use]
pub fn dynamic_row(name: &str) -> Option<&'static Row> {
    row(name).or_else(|| DYNAMIC_ONLY.iter().find(|row| row.name == name))
}

/// All rows, ascending by name.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    BY_NAME.values().copied()
}
