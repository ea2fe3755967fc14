//! Sizes: a file holds one idea. The list of larger ones is a ratchet: it may shrink, and a file in it may not grow.

use super::source::Tree;

/// The length that needs no excuse.
const LINES_MAX: usize = 600;

/// Files that were longer when the ratchet was set, with the length that they may have. Take out what has become short.
const EXCUSED: [(&str, usize); 0] = [];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    against(tree, &EXCUSED)
}

fn against(tree: &Tree, excused: &[(&str, usize)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.rust("") {
        let lines = text.lines().count();
        let limit = excused.iter().find(|(excused, _)| *excused == path).map_or(LINES_MAX, |(_, limit)| *limit);
        if lines > limit {
            complaints.push(format!("{path}: {lines} lines, at most {limit}: split it by idea"));
        }
    }
    for (path, _) in excused {
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
    fn a_long_file_is_a_complaint_and_so_is_an_excuse_that_nobody_needs() {
        let (long, longer) = ("x\n".repeat(LINES_MAX + 1), "x\n".repeat(LINES_MAX + 9));
        let tree = Tree::of(&[("a.rs", &long), ("b.rs", "x\n"), ("c.rs", &longer)]);
        assert_eq!(against(&tree, &[("c.rs", LINES_MAX + 9)]), ["a.rs: 601 lines, at most 600: split it by idea"]);
        assert_eq!(against(&tree, &[("a.rs", 601), ("b.rs", 700), ("c.rs", 601)]).len(), 2, "c grew, b is short");
    }
}
