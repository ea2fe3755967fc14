//! The partition log on disk, in Kafka's own format.
