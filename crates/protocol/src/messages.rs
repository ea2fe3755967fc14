//! Every message of Kafka 4.4, generated from `messages/*.kmsg` by `ottla-protocol-gen`; this is the one file that takes
//! the generated code in.
//!
//! A module is one message, named for it; its types carry Kafka's names. See `docs/design/wire-codec.md`.

include!(concat!(env!("OUT_DIR"), "/messages/index.rs"));
