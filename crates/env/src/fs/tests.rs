use std::io::{ErrorKind, IoSlice};

use super::*;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn positional_writes_and_reads_meet() {
    let dir = dir();
    let file = File::create_new(dir.path().join("log")).expect("created");
    file.write_all_at(b"world", 6).expect("written");
    let mut slices = [IoSlice::new(b""), IoSlice::new(b"hel"), IoSlice::new(b"lo ")];
    file.write_all_vectored_at(&mut slices, 0).expect("written");
    let mut all = [0; 11];
    file.read_exact_at(&mut all, 0).expect("read");
    assert_eq!(&all, b"hello world");
    assert_eq!(file.len().expect("length"), 11);
    file.set_len(5).expect("cut");
    assert_eq!(file.read_full_at(&mut all, 0).expect("read"), 5);
    assert_eq!(file.read_exact_at(&mut all, 0).expect_err("too short").kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn more_slices_than_one_call_takes_are_all_written() {
    let dir = dir();
    let file = File::create(dir.path().join("log")).expect("created");
    let pieces: Vec<[u8; 1]> = (0..3_000_u32).map(|i| [i as u8]).collect();
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    file.write_all_vectored_at(&mut slices, 0).expect("written");
    assert_eq!(read(dir.path().join("log")).expect("read"), pieces.concat());
}

#[test]
fn create_keeps_content_and_create_new_refuses_it() {
    let dir = dir();
    let path = dir.path().join("log");
    File::create(&path).expect("created").write_all_at(b"kept", 0).expect("written");
    assert_eq!(File::create(&path).expect("opened").len().expect("length"), 4);
    assert_eq!(File::create_new(&path).expect_err("it exists").kind(), ErrorKind::AlreadyExists);
    let read_only = File::open(&path).expect("opened");
    assert!(read_only.write_all_at(b"x", 0).is_err());
    File::open_rw(&path).expect("opened").write_all_at(b"K", 0).expect("written");
    assert_eq!(read_to_string(&path).expect("read"), "Kept");
}

#[test]
fn errors_keep_their_kind_and_name_the_path() {
    let error = File::open("/nowhere/at all").expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/nowhere/at all"), "{error}");
    let error = rename("/nowhere/a", "/nowhere/b").expect_err("missing");
    assert!(error.to_string().contains("/nowhere/a to /nowhere/b"), "{error}");
    let dir = dir();
    write_atomically(dir.path().join("bytes"), [0xff]).expect("written");
    assert_eq!(read_to_string(dir.path().join("bytes")).expect_err("not text").kind(), ErrorKind::InvalidData);
}

#[test]
fn atomic_writes_replace_longer_content_and_leave_no_temporary() {
    let dir = dir();
    let path = dir.path().join("checkpoint");
    // Left behind by a crash, and longer than what follows.
    write_atomically(dir.path().join("checkpoint.tmp"), "a leftover that is long").expect("written");
    write_atomically(&path, "first, longer").expect("written");
    write_atomically(&path, "second").expect("written");
    assert_eq!(read_to_string(&path).expect("read"), "second");
    assert!(!exists(dir.path().join("checkpoint.tmp")));
}

#[test]
fn directories_are_listed_in_order() {
    let dir = dir();
    create_dir_all(dir.path().join("b/c")).expect("created");
    write_atomically(dir.path().join("a"), "123").expect("written");
    let entries = read_dir(dir.path()).expect("listed");
    let expected = [("a", false, 3), ("b", true, 0)];
    let expected = expected.map(|(name, is_dir, len)| DirEntry { name: name.to_owned(), is_dir, len });
    assert_eq!(entries, expected);
    remove_dir_all(dir.path().join("b")).expect("removed");
    remove_file(dir.path().join("a")).expect("removed");
    assert!(read_dir(dir.path()).expect("listed").is_empty());
}

#[test]
fn directories_are_created_durably_with_those_above_them() {
    let dir = dir();
    create_dir_durably(dir.path().join("a/b/c")).expect("created");
    create_dir_durably(dir.path().join("a/b/c")).expect("nothing to do");
    assert!(read_dir(dir.path().join("a/b/c")).expect("listed").is_empty());
    write_atomically(dir.path().join("file"), "x").expect("written");
    create_dir_durably(dir.path().join("file/d")).expect_err("a file lies in the way");
}

#[test]
fn space_and_times_are_plausible() {
    let dir = dir();
    let space = space(dir.path()).expect("known");
    assert!(space.total >= space.available && space.available > 0);
    let path = dir.path().join("file");
    write_atomically(&path, "x").expect("written");
    let age_ms = crate::time::wall_clock_ms() - modified_ms(&path).expect("known");
    assert!((-1_000..60_000).contains(&age_ms), "{age_ms}");
    assert_eq!(file_len(&path).expect("known"), 1);
    set_modified_ms(&path, 1_600_000_000_123).expect("set");
    assert_eq!(modified_ms(&path).expect("known"), 1_600_000_000_123);
}

#[test]
fn reserving_does_not_change_the_length() {
    let dir = dir();
    let file = File::create(dir.path().join("log")).expect("created");
    match file.reserve(0, 1 << 20) {
        Ok(()) => assert_eq!(file.len().expect("length"), 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
    }
}

#[test]
fn what_was_just_written_is_cached() {
    let dir = dir();
    let file = File::create(dir.path().join("log")).expect("created");
    file.write_all_at(&vec![1; 300_000], 0).expect("written");
    assert!(file.is_cached(0, 300_000));
    assert!(file.is_cached(0, 0));
    file.will_need(0, 300_000);
}

#[test]
fn a_lock_is_refused_twice_and_given_again_after() {
    let dir = dir();
    let path = dir.path().join(".lock");
    let held = lock(&path).expect("possible").expect("free");
    assert!(lock(&path).expect("possible").is_none());
    assert_eq!(lock_holder(&path).expect("told"), Some(std::process::id()));
    assert!(lock(dir.path().join(".").join(".lock")).expect("possible").is_none(), "another spelling of the path");
    assert!(lock(&path).expect("possible").is_none(), "asking has not freed it");
    drop(held);
    assert_eq!(lock_holder(&path).expect("told"), None);
    assert!(lock(&path).expect("possible").is_some());
    assert_eq!(lock_holder(dir.path().join("nothing")).expect("told"), None);
}

/// Record locks are between processes, so the other side has to be one: Python's `lockf` is fcntl(F_SETLK), as Java's
/// tryLock. Without Python the other direction (see the test above) still holds.
#[test]
fn another_process_sees_the_lock() {
    let dir = dir();
    let path = dir.path().join(".lock");
    let attempt = format!(
        "import fcntl,sys\ntry:\n fcntl.lockf(open({path:?},'r+'), fcntl.LOCK_EX|fcntl.LOCK_NB)\nexcept OSError:\n sys.exit(3)"
    );
    let try_from_outside = || std::process::Command::new("python3").args(["-c", &attempt]).status();
    let held = lock(&path).expect("possible").expect("free");
    let Ok(status) = try_from_outside() else {
        eprintln!("NOT RUN: python3 is missing, the lock was not tried from another process");
        return;
    };
    assert_eq!(status.code(), Some(3), "the lock was not seen");
    drop(held);
    assert_eq!(try_from_outside().expect("started").code(), Some(0), "the lock outlived its holder");
}
