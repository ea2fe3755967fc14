//! A bug that is planted in the product is one that some test finds: it is named there.

use super::source::{Tree, is_test, without_tests};

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.rust("crates/").filter(|(path, _)| !is_test(path)) {
        for bug in planted(without_tests(text)) {
            let named = format!("\"{bug}\"");
            if !tree.rust("crates/").any(|(path, text)| is_test(path) && text.contains(&named)) {
                complaints.push(format!("{path}: nobody looks for the planted bug {named}: name it in a test's list"));
            }
        }
    }
    complaints
}

/// What a text plants.
fn planted(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("planted::is(\"").skip(1)).filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_that_nobody_looks_for_is_a_complaint() {
        let tree = Tree::of(&[
            (
                "crates/a/src/lib.rs",
                "if planted::is(\"sought\") || planted::is(\"forgotten\") {}\n// planted::is(\"a word\")\n",
            ),
            ("crates/a/tests/sim_a.rs", "const BUGS: [&str; 1] = [\"sought\"];\n"),
        ]);
        let complaints = check(&tree);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains("forgotten"));
    }
}
