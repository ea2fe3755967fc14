//! [`Listener`]: `listeners`, `advertised.listeners` and `listener.security.protocol.map`, put together.

use std::collections::BTreeMap;
use std::fmt;

/// How a listener is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext = 0,
    /// TLS.
    Ssl = 1,
    /// SASL without encryption.
    SaslPlaintext = 2,
    /// SASL over TLS.
    SaslSsl = 3,
}

impl SecurityProtocol {
    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];
        all.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address, the latter of version 6 without brackets; empty for all interfaces.
    pub host: String,
    /// Port; 0 lets the system choose one.
    pub port: u16,
}

impl Address {
    /// Whether it is no address that anybody could connect to.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0")
    }

    /// Reads `host:port`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A listener of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Name, in capitals.
    pub name: String,
    /// How it is secured.
    pub protocol: SecurityProtocol,
    /// Where it listens.
    pub bind: Address,
    /// What clients are told. A wildcard host means the name of this machine, which whoever binds it must find out; so
    /// does a port 0 mean the port that was bound.
    pub advertised: Address,
    /// Whether the controller is asked on it.
    pub is_controller: bool,
}

/// Reads `NAME://host:port,…`.
pub(crate) fn parse_listeners(items: &[String]) -> Result<Vec<(String, Address)>, String> {
    let parse = |item: &String| {
        let expected = || format!("`{item}` is not NAME://host:port");
        let (name, address) = item.split_once("://").ok_or_else(expected)?;
        let address = Address::parse(address).filter(|_| !name.is_empty()).ok_or_else(expected)?;
        Ok((name.to_ascii_uppercase(), address))
    };
    items.iter().map(parse).collect()
}

/// Reads `NAME:PROTOCOL,…`.
pub(crate) fn parse_protocol_map(text: &str) -> Result<BTreeMap<String, SecurityProtocol>, String> {
    let parse = |item: &str| {
        let (name, protocol) = item.split_once(':').ok_or_else(|| format!("`{item}` is not NAME:PROTOCOL"))?;
        let known = SecurityProtocol::from_name(protocol.trim());
        let protocol = known.ok_or_else(|| {
            format!("`{protocol}` is no security protocol; PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL are")
        })?;
        Ok((name.trim().to_ascii_uppercase(), protocol))
    };
    text.split(',').filter(|item| !item.trim().is_empty()).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_kinds_are_read() {
        let read = |text| Address::parse(text).map(|a| (a.host.clone(), a.port, a.to_string()));
        assert_eq!(read("localhost:9092"), Some(("localhost".into(), 9092, "localhost:9092".into())));
        assert_eq!(read("[::1]:0"), Some(("::1".into(), 0, "[::1]:0".into())));
        assert_eq!(read(":9092"), Some((String::new(), 9092, ":9092".into())));
        for bad in ["localhost", "::1:9092", "[::1:9092", "a:65536", "a:", "a:-1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_in_capitals() {
        let listeners = parse_listeners(&["client://h:1".into()]).unwrap();
        assert_eq!(listeners.first().map(|(name, _)| name.as_str()), Some("CLIENT"));
        assert!(parse_listeners(&["h:1".into()]).is_err() && parse_listeners(&["://h:1".into()]).is_err());
        let map = parse_protocol_map("client:plaintext, X:SASL_SSL").unwrap();
        assert_eq!(map.get("CLIENT"), Some(&SecurityProtocol::Plaintext));
        assert_eq!(map.get("X"), Some(&SecurityProtocol::SaslSsl));
        assert!(parse_protocol_map("X:TLS").is_err());
    }
}
