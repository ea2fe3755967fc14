//! The APIs of Kafka 4.4 as their definitions state them: key, versions, flexibility, listeners.
//!
//! The rows come from `messages/*_request.kmsg`. What a broker serves and advertises is not said here but in its own
//! dispatch table, which may differ: Produce, for one, is defined from version 3 and advertised from 0 (KAFKA-18659).

/// Defines [`ApiKey`] from rows of `Name = key, first version, last stable version, first flexible version (-1: none),
/// on brokers, on controllers`.
macro_rules! api_keys {
    ($($name:ident = $key:literal, $min:literal, $max:literal, $flexible:literal, $broker:literal, $controller:literal;)*) => {
        /// An API of the wire, by the number that begins its requests (`org.apache.kafka.common.protocol.ApiKeys`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("Key ", stringify!($key), ", versions ", stringify!($min), " to ", stringify!($max), ".")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// Every API that has a version left, in the order of keys.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The API of a key; `None` for a key that Kafka 4.4 does not have or has removed.
            #[must_use]
            pub fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name, such as `OffsetForLeaderEpoch`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            fn facts(self) -> Facts {
                match self {
                    $(Self::$name => Facts {
                        min: $min, max: $max, first_flexible: $flexible, broker: $broker, controller: $controller,
                    },)*
                }
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/messages/api_keys.rs"));

struct Facts {
    min: i16,
    max: i16,
    first_flexible: i16,
    broker: bool,
    controller: bool,
}

impl ApiKey {
    /// The number of the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// First version.
    #[must_use]
    pub fn min_version(self) -> i16 {
        self.facts().min
    }

    /// Last stable version; a newer one that is defined but unstable is not counted.
    #[must_use]
    pub fn max_version(self) -> i16 {
        self.facts().max
    }

    /// Whether the definition has this version as a stable one.
    #[must_use]
    pub fn has_version(self, version: i16) -> bool {
        let facts = self.facts();
        facts.min <= version && version <= facts.max
    }

    /// First version with compact lengths and tagged fields (KIP-482), if any has them.
    #[must_use]
    pub fn first_flexible(self) -> Option<i16> {
        Some(self.facts().first_flexible).filter(|v| *v >= 0)
    }

    /// 2 for flexible versions, 1 for the others.
    #[must_use]
    pub fn request_header_version(self, version: i16) -> i16 {
        1 + i16::from(self.is_flexible(version))
    }

    /// 1 for flexible versions, 0 for the others and always for ApiVersions (KIP-511).
    #[must_use]
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self != Self::ApiVersions && self.is_flexible(version))
    }

    /// Whether a broker's listener serves it in Kafka.
    #[must_use]
    pub fn on_broker(self) -> bool {
        self.facts().broker
    }

    /// Whether a controller's listener serves it in Kafka.
    #[must_use]
    pub fn on_controller(self) -> bool {
        self.facts().controller
    }

    fn is_flexible(self, version: i16) -> bool {
        self.first_flexible().is_some_and(|first| version >= first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_kafka_4_4() {
        // 0 to 94 without the four that ZooKeeper took along (4 to 7).
        let want: Vec<i16> = (0..=94).filter(|k| !(4..=7).contains(k)).collect();
        assert_eq!(ApiKey::ALL.iter().map(|k| k.code()).collect::<Vec<_>>(), want);
        assert!(
            ApiKey::ALL.iter().all(|k| ApiKey::from_code(k.code()) == Some(*k) && k.min_version() <= k.max_version())
        );
        assert_eq!(ApiKey::from_code(4), None);
    }

    #[test]
    fn an_unstable_version_is_not_the_last_one() {
        assert_eq!((ApiKey::InitProducerId.min_version(), ApiKey::InitProducerId.max_version()), (0, 5));
        assert_eq!((ApiKey::Fetch.min_version(), ApiKey::Fetch.max_version()), (4, 18));
    }

    #[test]
    fn header_versions_follow_flexibility_but_for_api_versions() {
        assert_eq!(ApiKey::Produce.request_header_version(8), 1);
        assert_eq!(ApiKey::Produce.request_header_version(9), 2);
        assert_eq!(ApiKey::Produce.response_header_version(9), 1);
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
        assert_eq!(ApiKey::SaslHandshake.first_flexible(), None);
        assert!(ApiKey::Vote.on_controller() && !ApiKey::Vote.on_broker());
    }
}
