//! A property that is served does what it says: its row names a test that shows so on a running broker, and the test
//! exists. A test of a layer does not count: that the layer obeys does not say that anybody tells it. And a property that is
//! read into `BrokerConfig` or `DynamicBrokerConfig` is used by somebody.

use super::source::{Tree, is_test, without_tests};

const ROWS: &str = "crates/metadata/src/config";
const FIELDS: &str = "crates/metadata/src/config/broker_config.rs";
const DYNAMIC_FIELDS: &str = "crates/metadata/src/config/dynamic.rs";
/// Whose tests run a broker: as a process, or in the test's own with real sockets and logs.
const WITH_A_BROKER: [&str; 2] = ["server", "broker"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.rust(ROWS) {
        for test in named_tests(text) {
            if !exists(tree, test) {
                complaints.push(format!(
                    "{path}: a row is served by the word of {test}, and no test of that name runs a broker (in \
                     crates/server/tests or crates/broker/tests)"
                ));
            }
        }
    }
    complaints.extend(unread_fields(tree));
    complaints
}

/// Fields of `BrokerConfig` and `DynamicBrokerConfig` that no code outside of the configuration looks at.
fn unread_fields(tree: &Tree) -> Vec<String> {
    let product: Vec<&str> = tree
        .rust("crates/")
        .filter(|(path, _)| !path.starts_with(ROWS) && !is_test(path))
        .map(|(_, text)| without_tests(text))
        .collect();
    let unread = |field: &&str| !product.iter().any(|text| reads(text, field));
    let lines = |path, head: &str| tree.get(path).unwrap_or_default().split(head).nth(1).unwrap_or_default().lines();
    let fixed = lines(FIELDS, "\nbroker_config! {")
        .filter_map(|line| line.split_once(": ").filter(|(_, rest)| rest.contains(" = ")))
        .map(|(field, _)| (FIELDS, field.trim()));
    let dynamic = lines(DYNAMIC_FIELDS, "\npub struct DynamicBrokerConfig {")
        .take_while(|line| *line != "}")
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "))
        .map(|(field, _)| (DYNAMIC_FIELDS, field));
    fixed
        .chain(dynamic)
        .filter(|(_, field)| unread(field))
        .map(|(path, field)| format!("{path}: nobody reads config.{field}: use it or delete it"))
        .collect()
}

/// Whether a text has `config.<field>`, or that of a config that is loaded first, and not a longer name that begins so.
fn reads(text: &str, field: &str) -> bool {
    ["config.", "config.load()."].iter().any(|config| {
        let wanted = format!("{config}{field}");
        let ends_there = |at: usize| !text[at + wanted.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        text.match_indices(&wanted).any(|(at, _)| ends_there(at))
    })
}

/// The paths in `yes("krate::file::function")`.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("yes(\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.starts_with(char::is_alphabetic))
}

/// Whether a crate that runs brokers has, among its tests, a function of that name in a file or folder of that name.
fn exists(tree: &Tree, test: &str) -> bool {
    let parts: Vec<&str> = test.split("::").collect();
    let [krate, between @ .., function] = parts.as_slice() else { return false };
    if !WITH_A_BROKER.contains(krate) {
        return false;
    }
    let (file, declared) = (between.last(), format!("fn {function}("));
    tree.rust(&format!("crates/{krate}/tests/")).any(|(path, text)| {
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
        let rows = "a: yes(\"server::effects::shown\"), b: yes(\"server::effects::promised\"), fn yes(test: &str)";
        let tree = Tree::of(&[
            ("crates/metadata/src/config/topic.rs", rows),
            ("crates/server/tests/effects/logs.rs", "#[test]\nfn shown() {}\n"),
        ]);
        let complaints = check(&tree);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains("promised"));
    }

    #[test]
    fn a_field_that_nobody_reads_is_a_complaint() {
        let fields = "macro_rules! broker_config {}\n\nbroker_config! {\n    // Comment.\n    a_ms: i64 = number(\"a.ms\"),\n    \
                      a: i64 = number(\"a\"),\n}\n";
        let dynamic = "\npub struct DynamicBrokerConfig {\n    /// `b`.\n    pub b: u32,\n    /// `c`.\n    pub c: u32,\n}\n\nimpl X {\n    pub d: u32,\n";
        let tree = Tree::of(&[
            ("crates/metadata/src/config/broker_config.rs", fields),
            ("crates/metadata/src/config/dynamic.rs", dynamic),
            ("crates/broker/src/c.rs", "dynamic_config.c\n"),
            ("crates/metadata/src/config/checks.rs", "config.a"),
            ("crates/broker/src/a.rs", "self.config.a_ms\n"),
            ("crates/broker/tests/a.rs", "config.a\n"),
        ]);
        let complaints = check(&tree);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].contains("config.a:") && complaints[1].contains("config.b:"), "{complaints:?}");
    }

    #[test]
    fn a_test_of_a_layer_is_no_test_of_a_broker() {
        let rows = "a: yes(\"storage::rolling::shown\"), b: yes(\"server::roles::shown\")";
        let tree = Tree::of(&[
            ("crates/metadata/src/config/topic.rs", rows),
            ("crates/storage/tests/rolling.rs", "#[test]\nfn shown() {}\n"),
            ("crates/server/src/roles.rs", "#[test]\nfn shown() {}\n"),
        ]);
        assert_eq!(check(&tree).len(), 2);
    }
}
