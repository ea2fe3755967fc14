//! The generator behind `ottla-protocol`: message definitions in, codec out.
//!
//! ```text
//! messages/*.kmsg --parse--> Message --check--> Message --emit--> one Rust module per message
//! ```
//!
//! It runs in the build script of `ottla-protocol` and nowhere else. The notation is described in
//! `docs/design/wire-codec.md`; [`parse`] reads it, [`check`] refuses what cannot be a Kafka message, [`emit`] writes
//! types that borrow from the frame. [`definition`] holds the model that the three share.

pub mod check;
pub mod definition;
pub mod emit;
pub mod parse;

pub use definition::{Field, Kind, Message, Struct, Type, Versions};

/// Reads one definition file: parses and checks it.
///
/// # Errors
/// A sentence that names the file, the line and what is wrong with it.
pub fn read_definition(file_name: &str, text: &str) -> Result<Message, String> {
    let message = parse::parse(text).map_err(|e| format!("{file_name}:{e}"))?;
    check::check(&message).map_err(|e| format!("{file_name}: {e}"))?;
    Ok(message)
}
