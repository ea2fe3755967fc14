//! What a node says and how it ends: refusals are sentences, a signal stops it cleanly, the next start finds it so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ottla_client::ProducerRecord;
use ottla_client::admin::OffsetSpec;
use ottla_env::fs;
use ottla_env::task::Runtime;
use ottla_testkit::process::{ProcessError, Program, Server};
use support::{binary, with_node};

/// Starts a node that must refuse, and gives its exit code and what it said.
fn refused(properties: &[(&str, &str)]) -> (Option<i32>, String) {
    Runtime::new(1).unwrap().block_on(async {
        let mut server = Server::new(Program::Ottla(binary()), properties).await.unwrap();
        match server.start().await {
            Err(ProcessError::Ended { status, log }) => (status.code(), log),
            other => panic!("{properties:?} must be refused: {other:?}"),
        }
    })
}

#[test]
fn a_clean_stop_is_found_clean() {
    with_node(&[], |mut node| async move {
        node.create("t", &[]).await;
        node.fill("t", 3, 10).await;
        let status = node.server.stop().await.unwrap();
        assert_eq!(status.code(), Some(0));
        let marker = node.server.data().join(".kafka_cleanshutdown");
        assert!(fs::read_to_string(&marker).unwrap().contains("brokerEpoch"));
        node.server.start().await.unwrap();
        assert_eq!(node.offset("t", OffsetSpec::Latest).await, 3);
        assert!(!fs::exists(&marker), "a running node is not stopped");
        assert_eq!(node.produce(ProducerRecord::new("t", b"x")).await.unwrap().offset, 3);
    });
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    with_node(&[], |mut node| async move {
        node.create("t", &[]).await;
        node.fill("t", 50, 100).await;
        node.server.kill().unwrap();
        node.server.start().await.unwrap();
        assert_eq!(node.offset("t", OffsetSpec::Latest).await, 50);
        assert_eq!(node.produce(ProducerRecord::new("t", b"x")).await.unwrap().offset, 50);
    });
}

#[test]
fn a_directory_that_is_not_a_log_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("thesis.txt");
    fs::write_atomically(&precious, "years of work").unwrap();
    let (code, said) = refused(&[("log.dirs", &dir.path().display().to_string())]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is not empty and has no meta.properties"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().len(), 1, "nothing was made in it");
}

#[test]
fn the_directory_of_another_node_is_refused() {
    with_node(&[], |mut node| async move {
        node.server.stop().await.unwrap();
        let data = node.server.data().display().to_string();
        let mut other = Server::new(Program::Ottla(binary()), &[("log.dirs", &data), ("node.id", "2")]).await.unwrap();
        let Err(ProcessError::Ended { log, .. }) = other.start().await else { panic!("it must be refused") };
        assert!(log.contains("node"), "{log}");
    });
}

#[test]
fn settings_that_would_weaken_the_node_are_refused_with_a_sentence() {
    for (key, value) in [
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("remote.log.storage.system.enable", "true"),
        ("process.roles", "broker"),
        ("sasl.enabled.mechanisms", "SCRAM-SHA-256"),
        ("ssl.keystore.location", "/k.jks"),
    ] {
        let (code, said) = refused(&[(key, value)]);
        assert_eq!(code, Some(1), "{key}: {said}");
        assert!(said.contains(key), "{key}: {said}");
    }
}
