//! Two processes never use one log directory. The lock is the record lock that Java's FileChannel takes, so the other
//! process may be Apache Kafka.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use ottla_storage::{LogDir, OpenError};
use support::*;

const HELD: &str = "OTTLA_TEST_HELD_DIRECTORY";

/// Not a test of its own: run again as a child process, it holds the directory until its input ends.
#[test]
fn child_that_holds_the_directory() {
    let Some(path) = std::env::var_os(HELD) else { return };
    let _dir = LogDir::open(path.as_ref()).expect("the child gets the lock");
    println!("\nheld");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn a_second_process_is_refused_until_the_first_ends() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child_that_holds_the_directory", "--nocapture"])
        .env(HELD, temp.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let mut output = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(output.any(|line| line == "held"));

    let Err(refused) = LogDir::open(temp.path()) else { panic!("two processes hold the directory") };
    assert!(matches!(refused, OpenError::Locked(_)));
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    drop(child.stdin.take());
    assert!(child.wait().expect("ended").success(), "{}", output.collect::<Vec<_>>().join("\n"));
    LogDir::open(temp.path()).expect("free again");
}
