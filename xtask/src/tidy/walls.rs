//! Walls: what a crate must not name. clippy.toml bans the calls; here are the crates, and the ways around clippy.

use super::source::{Tree, is_test, without_tests};

/// A word that must not appear in the code (tests apart) below a folder, and why.
const WALLS: [(&str, &[&str], &str); 7] = [
    ("crates/protocol/src/", &["tokio", "std::fs", "std::net::Tcp"], "protocol is bytes in, bytes out: it never waits"),
    (
        "crates/coordinator/src/",
        &["tokio", "ottla_env", "std::fs", "std::net::Tcp"],
        "coordinators decide and never do",
    ),
    (
        "crates/controller/src/raft/",
        &["tokio", "ottla_env", "ottla_storage", "std::fs", "std::net::Tcp", "tracing::"],
        "the KRaft core is a pure state machine",
    ),
    (
        "crates/metadata/src/",
        &["tokio", "ottla_env", "std::fs", "std::net::Tcp"],
        "metadata is what a node knows, not what it does",
    ),
    (
        "crates/storage/src/",
        &["tokio", "ottla_metadata"],
        "storage knows offsets and batches; never requests, replicas, groups or raft",
    ),
    ("crates/client/src/", &["ottla_broker", "ottla_storage"], "the client knows the wire only"),
    ("crates/broker/src/", &["ottla_controller"], "the broker reaches a controller through ControllerDoor alone"),
];

/// Where the bans of clippy.toml may be lifted: the door to the system, what is not part of the product, and the one reader to
/// which a short read is welcome.
const LIFTED: [&str; 7] = [
    "crates/env/",
    "xtask/",
    "crates/testkit/",
    "fuzz/",
    "bench/",
    "crates/protocol-gen/",
    "crates/protocol/src/compression/decompressor.rs",
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (below, words, why) in WALLS {
        for (path, text) in tree.rust(below).filter(|(path, _)| !is_test(path)) {
            for (number, line) in code(without_tests(text)) {
                for word in words.iter().filter(|word| line.contains(**word)) {
                    complaints.push(format!("{path}:{number}: {word}: {why}"));
                }
            }
        }
    }
    complaints.extend(lifted_bans(tree));
    complaints.extend(oracle(tree));
    complaints
}

/// `allow(clippy::disallowed_...)` outside the door to the system.
fn lifted_bans(tree: &Tree) -> Vec<String> {
    let product =
        |path: &str| !LIFTED.iter().any(|free| path.starts_with(free)) && !is_test(path) && !path.ends_with("build.rs");
    let mut complaints = Vec::new();
    for (path, text) in tree.rust("").filter(|(path, _)| product(path)) {
        for (number, line) in code(without_tests(text)).filter(|(_, line)| line.contains("clippy::disallowed_")) {
            complaints.push(format!("{path}:{number}: a ban of clippy.toml is lifted: {}", line.trim()));
        }
    }
    complaints
}

/// The oracle of the codec is a dev-dependency of protocol, and nothing else anywhere.
fn oracle(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with("/Cargo.toml")) {
        let mut section = "";
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let fine = path == "crates/protocol/Cargo.toml" && section == "[dev-dependencies]";
            if line.starts_with("kafka-protocol") && !fine {
                complaints.push(format!(
                    "{path}: kafka-protocol is the codec's oracle in protocol's tests, and nothing else"
                ));
            }
        }
    }
    complaints
}

/// Lines that are not comments, numbered from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_stops_code_and_lets_comments_and_tests_pass() {
        let tree = Tree::of(&[
            (
                "crates/coordinator/src/a.rs",
                "//! no tokio here\nuse tokio::sync;\n#[cfg(test)]\nmod tests {\nuse tokio::x;\n}\n",
            ),
            ("crates/coordinator/src/tests.rs", "use tokio::sync;\n"),
            ("crates/broker/src/b.rs", "#[allow(clippy::disallowed_methods)]\n"),
            ("crates/env/src/c.rs", "#[allow(clippy::disallowed_methods)]\n"),
            ("crates/broker/Cargo.toml", "[dev-dependencies]\nkafka-protocol.workspace = true\n"),
            ("crates/protocol/Cargo.toml", "[dev-dependencies]\nkafka-protocol.workspace = true\n"),
        ]);
        let complaints = check(&tree);
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(complaints[0].starts_with("crates/coordinator/src/a.rs:2: tokio"));
        assert!(complaints[1].starts_with("crates/broker/src/b.rs:1"));
        assert!(complaints[2].starts_with("crates/broker/Cargo.toml"));
    }
}
