//! `docs/api-support.md` is what the dispatch table says. Run with `OTTLA_WRITE_DOCS=1` (`cargo xtask docs`) to write it anew.

use std::fmt::Write as _;
use std::path::Path;

use ottla_broker::dispatch::{APIS, ApiRow};
use ottla_protocol::api::ApiKey;

const INTRODUCTION: &str = "\
# APIs

Written by `cargo xtask docs` from the dispatch table (`crates/broker/src/dispatch.rs`), by which the broker runs and from which
ApiVersions is answered. The versions of an API that is served are exactly those of Apache Kafka 4.4.

## Served

| Key | API | Versions | Listeners | What the caller must be allowed | Scheduling |
|---|---|---|---|---|---|
";

fn listeners(row: &ApiRow) -> &'static str {
    match (row.on_broker, row.on_controller) {
        (true, true) => "broker, controller",
        (true, false) => "broker",
        (false, true) => "controller",
        (false, false) => "none",
    }
}

fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut rows: Vec<&ApiRow> = APIS.iter().collect();
    rows.sort_by_key(|row| row.key.code());
    for row in rows {
        let (key, name, on) = (row.key.code(), row.key.name(), listeners(row));
        writeln!(text, "| {key} | {name} | {}–{} | {on} | {} | {} |", row.min, row.max, row.operation, row.class)
            .expect("writing to a string cannot fail");
    }
    text.push_str("\n## Not served\n\nNot advertised; a request for one closes the connection with a log line, as with any unknown API.\n\n");
    let missing: Vec<String> = ApiKey::ALL
        .iter()
        .filter(|key| !APIS.iter().any(|row| row.key == **key))
        .map(|key| format!("{} ({})", key.name(), key.code()))
        .collect();
    text.push_str(&missing.join(", "));
    text.push_str(".\n");
    text
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test reads and writes the tree")]
fn the_document_in_the_tree_is_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api-support.md");
    let document = document();
    if std::env::var_os("OTTLA_WRITE_DOCS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let tree = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(tree == document, "docs/api-support.md is not what the table says: run `cargo xtask docs`");
}

#[test]
fn every_range_is_kafkas() {
    for row in APIS {
        // Produce advertises 0 to 2 for old librdkafka, and refuses them (KIP-896).
        let min = if row.key == ApiKey::Produce { 0 } else { row.key.min_version() };
        assert_eq!((row.min, row.max), (min, row.key.max_version()), "{}", row.key.name());
    }
}
