//! A directory's files as values: taken from the disk, put back onto it.

use std::collections::BTreeMap;
use std::path::Path;

use ottla_env::fs::{self, File};

/// Content by path below the directory.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// All files below `root`.
pub(crate) fn take(root: &Path) -> Files {
    let mut files = Files::new();
    collect(root, "", &mut files);
    files
}

fn collect(dir: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(dir).expect("listed") {
        let (path, name) = (dir.join(&entry.name), format!("{prefix}{}", entry.name));
        if entry.is_dir {
            collect(&path, &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(&path).expect("read"));
        }
    }
}

/// Makes `root` hold these files and no others.
pub(crate) fn put(root: &Path, files: &Files) {
    if fs::exists(root) {
        fs::remove_dir_all(root).expect("removed");
    }
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("in a directory")).expect("made");
        File::create(&path).expect("made").write_all_at(bytes, 0).expect("written");
    }
}
