//! Who asks, and what they may do.

pub mod authorizer;

use std::fmt;
use std::sync::Arc;

/// Whom a connection speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Type, nearly always `User`.
    pub kind: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Principal {
    /// The principal of every plaintext connection.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { kind: Arc::from("User"), name: Arc::from("ANONYMOUS") }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}
