//! The controller cannot end its log: what producers were told is kept all the same, and a directory is marked clean only if
//! everything in it is on the device.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;

use ottla_client::ProducerRecord;
use ottla_client::admin::OffsetSpec;
use ottla_env::fs;
use support::{Node, with_node};

const METADATA: &str = "__cluster_metadata-0";
const MARKER: &str = ".kafka_cleanshutdown";

/// Stops the node while these directories are somewhere else, and puts them back; gives the exit code and what was said.
async fn stop_without(node: &mut Node, dirs: &[PathBuf]) -> (Option<i32>, String) {
    let gone = |dir: &PathBuf| dir.with_extension("gone");
    dirs.iter().for_each(|dir| fs::rename(dir, gone(dir)).unwrap());
    let status = node.server.stop().await.unwrap();
    dirs.iter().for_each(|dir| fs::rename(gone(dir), dir).unwrap());
    (status.code(), node.server.log_tail())
}

/// Starts it again: all is there, and it goes on.
async fn goes_on(node: &mut Node) {
    node.server.start().await.unwrap();
    assert_eq!(node.offset("t", OffsetSpec::Latest).await, 3);
    assert_eq!(node.produce(ProducerRecord::new("t", b"x")).await.unwrap().offset, 3);
    assert!(!fs::exists(node.server.data().join(MARKER)), "a running node is not stopped");
}

/// The metadata log is not believed in any case: a start reads all of it.
async fn is_marked(mut node: Node, metadata_dir: PathBuf) {
    node.create("t", &[]).await;
    node.fill("t", 3, 10).await;
    let (code, said) = stop_without(&mut node, &[metadata_dir.join(METADATA)]).await;
    assert!(said.contains("the controller did not stop cleanly"), "{said}");
    assert_eq!(code, Some(1), "{said}");
    let data = node.server.data();
    assert!(fs::read_to_string(data.join(MARKER)).unwrap().contains("brokerEpoch"), "{said}");
    let checkpoint = fs::read_to_string(data.join("recovery-point-offset-checkpoint")).unwrap();
    assert!(checkpoint.contains("t 0 3"), "flushed to the end: {checkpoint}");
    goes_on(&mut node).await;
}

#[test]
fn logs_beside_the_metadata_are_flushed_and_marked_clean() {
    with_node(&[], |node| async move {
        let data = node.server.data();
        is_marked(node, data).await;
    });
}

#[test]
fn logs_of_another_directory_are_flushed_and_marked_clean() {
    let metadata = tempfile::tempdir().unwrap();
    let path = metadata.path().display().to_string();
    let metadata_dir = metadata.path().to_owned();
    with_node(&[("metadata.log.dir", &path)], |node| is_marked(node, metadata_dir));
}

#[test]
fn a_directory_that_cannot_be_flushed_is_not_marked_clean() {
    with_node(&[], |mut node| async move {
        node.create("t", &[]).await;
        node.fill("t", 3, 10).await;
        let data = node.server.data();
        let (code, said) = stop_without(&mut node, &[data.join(METADATA), data.join("t-0")]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("the stop is not clean, and the next start recovers the logs"), "{said}");
        assert!(!fs::exists(data.join(MARKER)), "{said}");
        goes_on(&mut node).await;
    });
}
