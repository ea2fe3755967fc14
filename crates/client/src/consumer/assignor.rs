//! How a group's leader shares partitions among members: Kafka's client-side assignors. Pure.

/// An assignor by Kafka's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Contiguous ranges of each topic.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// Balanced, with as few moves as possible; everybody stops while partitions move.
    Sticky,
    /// As sticky, but only partitions that move stop (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// From the name on the wire, or the name of Kafka's Java class.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(name) {
            "range" | "RangeAssignor" => Self::Range,
            "roundrobin" | "RoundRobinAssignor" => Self::RoundRobin,
            "sticky" | "StickyAssignor" => Self::Sticky,
            "cooperative-sticky" | "CooperativeStickyAssignor" => Self::CooperativeSticky,
            _ => return None,
        })
    }
}
