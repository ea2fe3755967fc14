//! Sizes: a file holds one idea. The list of larger ones is a ratchet: it may shrink, and a file in it may not grow.

use super::source::Tree;

/// The length that needs no excuse.
const LINES_MAX: usize = 600;

/// Files that were longer when the ratchet was set, with the length that they may have. Take out what has become short.
const EXCUSED: [(&str, usize); 1] = [("crates/client/src/consumer/mod.rs", 620)];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.rust("") {
        let lines = text.lines().count();
        let limit = EXCUSED.iter().find(|(excused, _)| *excused == path).map_or(LINES_MAX, |(_, limit)| *limit);
        if lines > limit {
            complaints.push(format!("{path}: {lines} lines, at most {limit}: split it by idea"));
        }
    }
    for (path, _) in EXCUSED {
        let lines = tree.get(path).map_or(0, |text| text.lines().count());
        if lines <= LINES_MAX {
            complaints.push(format!("{path}: {lines} lines need no excuse in xtask/src/tidy/sizes.rs any more"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_a_complaint() {
        let long = "x\n".repeat(LINES_MAX + 1);
        let complaints = check(&Tree::of(&[("crates/a/src/lib.rs", &long), ("b.rs", "x\n")]));
        assert_eq!(complaints.len(), 1, "{complaints:?}");
    }
}
