//! `docs/configuration.md` is what the table says. Run with `OTTLA_WRITE_DOCS=1` to write it anew.

use std::path::Path;

#[test]
#[allow(clippy::disallowed_methods, reason = "a test reads and writes the tree")]
fn the_document_in_the_tree_is_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let document = ottla_metadata::config::document::configuration_md();
    if std::env::var_os("OTTLA_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("docs/ is its parent")).unwrap();
        std::fs::write(&path, &document).unwrap();
    }
    let tree = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = tree.lines().zip(document.lines()).position(|(a, b)| a != b);
    assert!(
        tree == document,
        "docs/configuration.md differs from the table from line {} on; write it with \
         OTTLA_WRITE_DOCS=1 cargo test -p ottla-metadata --test document",
        differs.map_or(0, |at| at + 1)
    );
}
