//! Ottla and Apache Kafka never work in one log directory at the same time: both take the same lock of `.lock`.
//! Apache Kafka 4.4.0 was asked; it says "Failed to acquire lock on file .lock" and ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;

use ottla_env::fs;
use ottla_env::task::Runtime;
use ottla_testkit::process::{ProcessError, Program, Server};
use support::binary;

/// The directory with Kafka's jars under `server/`, if it was fetched.
fn kafka() -> Option<PathBuf> {
    let fetched = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/kafka"));
    let server = std::env::var_os("OTTLA_KAFKA_SERVER").map_or_else(|| fetched.join("server"), PathBuf::from);
    let home = server.parent()?.to_owned();
    fs::exists(&server).then_some(home)
}

/// A running broker. Kafka takes seconds to come to its ports, which somebody else may have taken by then: it is tried
/// again on others.
async fn running(program: Program) -> Server {
    let mut last = None;
    for _ in 0..3 {
        let mut server = Server::new(program.clone(), &[]).await.unwrap();
        match server.start().await {
            Ok(()) => return server,
            Err(cause) => last = Some(cause),
        }
    }
    panic!("{last:?}");
}

/// Starts `first` on a directory and then `second` on the same; gives what `second` said when it ended.
async fn second_on_the_directory_of(first: Program, second: Program) -> String {
    let holder = running(first).await;
    let data = holder.data().display().to_string();
    let mut intruder = Server::new(second, &[("log.dirs", &data)]).await.unwrap();
    match intruder.start().await {
        Err(ProcessError::Ended { log, .. }) => log,
        Ok(()) => panic!("both run on {data}"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn each_refuses_the_directory_of_the_other() {
    let Some(home) = kafka() else {
        println!("NOT RUN: Ottla and Apache Kafka on one directory (no Kafka server in OTTLA_KAFKA_SERVER)");
        return;
    };
    Runtime::new(2).unwrap().block_on(async {
        let (ours, kafkas) = (Program::Ottla(binary()), Program::Kafka(home));
        let said = second_on_the_directory_of(ours.clone(), kafkas.clone()).await;
        assert!(said.contains(".lock"), "Kafka on ours: {said}");
        let said = second_on_the_directory_of(kafkas, ours).await;
        assert!(said.contains("is in use by another process"), "ours on Kafka's: {said}");
    });
}

#[test]
fn two_of_ours_exclude_each_other() {
    Runtime::new(2).unwrap().block_on(async {
        let ours = Program::Ottla(binary());
        let said = second_on_the_directory_of(ours.clone(), ours).await;
        assert!(said.contains("is in use by another process"), "{said}");
    });
}
