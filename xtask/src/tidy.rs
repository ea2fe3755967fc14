//! The shape of the tree, checked as an ordinary test: `cargo test -p xtask` fails where `cargo xtask tidy` would.
//!
//! Each file holds one idea and returns sentences; an empty list is a pass.

mod arrows;
mod docs;
mod map;
mod planted;
mod served;
mod sizes;
mod source;
mod walls;
mod words;

use std::path::Path;

use anyhow::{Result, bail};
use source::Tree;

/// Every complaint of every check.
fn complaints(root: &Path) -> Result<Vec<String>> {
    let tree = Tree::read(root)?;
    let mut all = Vec::new();
    all.extend(arrows::check(&tree));
    all.extend(map::check(&tree));
    all.extend(walls::check(&tree));
    all.extend(words::check(&tree));
    all.extend(docs::check(&tree));
    all.extend(sizes::check(&tree));
    all.extend(served::check(&tree));
    all.extend(planted::check(&tree));
    Ok(all)
}

/// The verb: prints each complaint and fails if there is one.
pub(crate) fn report() -> Result<()> {
    let complaints = complaints(&crate::shell::root())?;
    for complaint in &complaints {
        println!("tidy: {complaint}");
    }
    if !complaints.is_empty() {
        bail!("{} things are out of place", complaints.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        let complaints = super::complaints(&crate::shell::root()).expect("the tree can be read");
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    }
}
