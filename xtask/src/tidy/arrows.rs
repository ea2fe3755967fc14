//! Arrows: which crate may use which, read from the manifests.

use super::source::Tree;

/// Each crate with those of ours that it may depend on, beside the two that have a rule of their own (below).
/// The order is that of the layers; an entry here without a crate in the tree, and the reverse, is a complaint.
const ARROWS: [(&str, &[&str]); 11] = [
    ("protocol", &[]),
    ("protocol-gen", &[]),
    ("env", &[]),
    ("storage", &[]),
    ("metadata", &[]),
    ("client", &[]),
    ("coordinator", &["metadata"]),
    ("controller", &["metadata", "storage", "client"]),
    ("broker", &["coordinator", "storage", "metadata", "client"]),
    ("server", &["broker", "controller", "coordinator", "storage", "metadata", "client"]),
    ("testkit", &["server", "broker", "controller", "coordinator", "storage", "metadata", "client"]),
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in tree.crates() {
        let Some(allowed) = allowed(name) else {
            complaints.push(format!("crates/{name}: no arrows are drawn for it in xtask/src/tidy/arrows.rs"));
            continue;
        };
        let manifest = tree.get(&format!("crates/{name}/Cargo.toml")).unwrap_or_default();
        for (section, dependency) in dependencies(manifest) {
            if !may(name, &allowed, section, dependency) {
                complaints
                    .push(format!("crates/{name}/Cargo.toml: [{section}] ottla-{dependency} goes against the arrows"));
            }
        }
    }
    complaints
}

fn allowed(name: &str) -> Option<Vec<&'static str>> {
    let own = ARROWS.iter().find(|(crate_name, _)| *crate_name == name)?.1;
    let mut allowed = own.to_vec();
    if !["protocol", "protocol-gen", "env"].contains(&name) {
        allowed.push("protocol");
        if name != "coordinator" {
            allowed.push("env");
        }
    }
    Some(allowed)
}

fn may(name: &str, allowed: &[&str], section: &str, dependency: &str) -> bool {
    match (section, dependency) {
        // The generator is for protocol alone: at build time, and in the test that reads the definitions again.
        (_, "protocol-gen") => name == "protocol" && section != "dependencies",
        ("build-dependencies", _) => false,
        // Tests may use the testkit and whatever lies below their own crate's layer.
        ("dev-dependencies", "testkit" | "env" | "protocol") => true,
        _ => allowed.contains(&dependency),
    }
}

/// The `ottla-...` lines of a manifest with the section that they stand in.
fn dependencies(manifest: &str) -> Vec<(&str, &str)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').rsplit('.').next().unwrap_or_default();
        } else if section.ends_with("dependencies")
            && let Some(rest) = line.strip_prefix("ottla-")
        {
            found.push((section, rest.split(['.', ' ', '=']).next().unwrap_or_default()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complain(name: &str, manifest: &str) -> Vec<String> {
        check(&Tree::of(&[(&format!("crates/{name}/Cargo.toml"), manifest)]))
    }

    #[test]
    fn an_arrow_may_point_down_only() {
        assert!(complain("broker", "[dependencies]\nottla-storage.workspace = true\n").is_empty());
        assert!(complain("storage", "[dependencies]\nottla-env.workspace = true\n").is_empty());
        assert_eq!(complain("storage", "[dependencies]\nottla-broker.workspace = true\n").len(), 1);
        assert_eq!(complain("coordinator", "[dependencies]\nottla-env.workspace = true\n").len(), 1);
        assert_eq!(complain("broker", "[dependencies]\nottla-testkit.workspace = true\n").len(), 1);
        assert!(complain("broker", "[dev-dependencies]\nottla-testkit.workspace = true\n").is_empty());
        assert_eq!(complain("env", "[target.'cfg(unix)'.dependencies]\nottla-protocol = { path = \"x\" }\n").len(), 1);
        assert_eq!(complain("attic", "").len(), 1, "a crate that nobody drew");
    }
}
