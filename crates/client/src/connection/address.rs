//! `host:port`.

use std::fmt;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Address {
    /// Reads `host:port` or `[ipv6]:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty()).then_some(())?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_host_and_port_with_brackets_around_ipv6() {
        let parsed = Address::parse(" broker-1.example:9092 ").expect("host and port");
        assert_eq!((parsed.host.as_str(), parsed.port), ("broker-1.example", 9092));
        let v6 = Address::parse("[::1]:19092").expect("ipv6 and port");
        assert_eq!((v6.host.as_str(), v6.to_string().as_str()), ("::1", "[::1]:19092"));
        for wrong in ["localhost", ":9092", "a:b", "a:70000", ""] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }
}
