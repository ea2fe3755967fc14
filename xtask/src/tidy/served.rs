//! A property that is served does what it says: its row names a test that shows so, and the test exists.

use super::source::Tree;

const ROWS: &str = "crates/metadata/src/config";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.rust(ROWS) {
        for test in named_tests(text) {
            if !exists(tree, test) {
                complaints.push(format!("{path}: a row is served by the word of {test}, and there is no such test"));
            }
        }
    }
    complaints
}

/// The paths in `yes("krate::file::function")`.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("yes(\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.starts_with(char::is_alphabetic))
}

/// Whether the crate that the path begins with has a test function of that name in a file of that name.
fn exists(tree: &Tree, test: &str) -> bool {
    let parts: Vec<&str> = test.split("::").collect();
    let [krate, between @ .., function] = parts.as_slice() else { return false };
    let (file, declared) = (between.last(), format!("fn {function}("));
    tree.rust(&format!("crates/{krate}/")).any(|(path, text)| {
        let in_file =
            file.is_none_or(|file| path.ends_with(&format!("/{file}.rs")) || path.contains(&format!("/{file}/")));
        in_file && text.contains(&declared) && text.contains("#[test]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_served_row_without_its_test_is_a_complaint() {
        let rows = "a: yes(\"testkit::effects::shown\"), b: yes(\"testkit::effects::promised\"), fn yes(test: &str)";
        let tree = Tree::of(&[
            ("crates/metadata/src/config/topic.rs", rows),
            ("crates/testkit/tests/effects.rs", "#[test]\nfn shown() {}\n"),
        ]);
        let complaints = check(&tree);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains("promised"));
    }
}
