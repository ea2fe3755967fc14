//! A native Kafka client: connection, metadata, producer, consumer, admin.
