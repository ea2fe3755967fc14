//! The map: ARCHITECTURE.md has a heading per crate, and every crate opens with its own map.

use super::source::Tree;

const MAP: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let map = tree.get(MAP).unwrap_or_default();
    let drawn: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("### `crates/"))
        .filter_map(|rest| rest.split('`').next())
        .collect();
    let crates = tree.crates();
    for name in crates.iter().filter(|name| !drawn.contains(name)) {
        complaints.push(format!("{MAP}: no heading \"### `crates/{name}`\""));
    }
    for name in drawn.iter().filter(|name| !crates.contains(name)) {
        complaints.push(format!("{MAP}: `crates/{name}` is not in the tree"));
    }
    for name in crates {
        let root = ["lib.rs", "main.rs"].map(|file| format!("crates/{name}/src/{file}"));
        let Some((path, text)) = root.iter().find_map(|path| Some((path, tree.get(path)?))) else {
            complaints.push(format!("crates/{name}: neither src/lib.rs nor src/main.rs"));
            continue;
        };
        if !text.starts_with("//!") {
            complaints.push(format!("{path}: opens without //!"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_and_tree_agree_both_ways() {
        let tree = Tree::of(&[
            ("ARCHITECTURE.md", "### `crates/env`\n### `crates/gone`: was here\n"),
            ("crates/env/Cargo.toml", ""),
            ("crates/env/src/lib.rs", "//! The map.\n"),
            ("crates/new/Cargo.toml", ""),
            ("crates/new/src/lib.rs", "use std;\n"),
        ]);
        let complaints = check(&tree);
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(
            complaints[0].contains("crates/new")
                && complaints[1].contains("crates/gone")
                && complaints[2].contains("//!")
        );
    }
}
