//! Which directories hold what, and what is noted in them.

use ottla_client::TopicPartition;
use ottla_env::fs;
use ottla_protocol::ErrorCode;

use crate::support::{eventually, with_node};

#[test]
fn log_dirs() {
    let other = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| other.path().join(name));
    let dirs = format!("{},{}", a.display(), b.display());
    with_node(&[("log.dirs", &dirs)], |node| async move {
        node.try_create("t", Some(4), &[]).await.unwrap();
        let held = |dir: &std::path::Path| (0..4).filter(|i| fs::exists(dir.join(format!("t-{i}")))).count();
        assert_eq!((held(&a), held(&b)), (2, 2), "each new partition goes where the fewest are");
        assert!(fs::exists(a.join("__cluster_metadata-0")), "the metadata lies in the first");
    });
}

#[test]
fn cordoned_log_dirs() {
    let other = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| other.path().join(name));
    let dirs = format!("{},{}", a.display(), b.display());
    let held = |dir: &std::path::Path| (0..4).filter(|i| fs::exists(dir.join(format!("t-{i}")))).count();
    with_node(&[("log.dirs", &dirs), ("cordoned.log.dirs", &a.display().to_string())], |node| async move {
        node.try_create("t", Some(4), &[]).await.unwrap();
        assert_eq!((held(&a), held(&b)), (0, 4), "a takes no new partition");
    });
    let all = tempfile::tempdir().unwrap();
    with_node(
        &[("log.dir", &all.path().join("a").display().to_string()), ("cordoned.log.dirs", "*")],
        |node| async move {
            let refused = node.try_create("t", Some(1), &[]).await.unwrap_err();
            assert_eq!(refused.code(), Some(ErrorCode::InvalidReplicationFactor), "{refused}");
        },
    );
}

#[test]
fn log_dir() {
    let other = tempfile::tempdir().unwrap();
    let dir = other.path().join("only");
    with_node(&[("log.dir", &dir.display().to_string())], |node| async move {
        node.create("t", &[]).await;
        assert!(fs::exists(dir.join("t-0")) && fs::exists(dir.join("__cluster_metadata-0")));
    });
}

#[test]
fn metadata_log_dir() {
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("metadata");
    with_node(&[("metadata.log.dir", &path.display().to_string())], |node| async move {
        assert!(fs::exists(path.join("__cluster_metadata-0")));
        assert!(!fs::exists(node.server.data().join("__cluster_metadata-0")));
        node.try_create("t", Some(3), &[]).await.unwrap();
        let held = (0..3).filter(|i| fs::exists(node.server.data().join(format!("t-{i}"))));
        assert_eq!(held.count(), 3, "the directory is for the metadata alone");
    });
}

#[test]
fn checkpoints() {
    let often =
        [("replica.high.watermark.checkpoint.interval.ms", "100"), ("log.flush.offset.checkpoint.interval.ms", "100")];
    with_node(&often, |node| async move {
        node.create("t", &[]).await;
        node.fill("t", 7, 10).await;
        for file in ["replication-offset-checkpoint", "recovery-point-offset-checkpoint"] {
            let path = node.server.data().join(file);
            let noted = async || fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|line| line == "t 0 7"));
            eventually(file, noted).await;
        }
    });
    // Recovery points stay at their default interval, which is longer than our patience.
    with_node(&[("log.flush.start.offset.checkpoint.interval.ms", "100")], |node| async move {
        node.create("t", &[]).await;
        node.fill("t", 7, 10).await;
        let tp = TopicPartition::new("t", 0);
        node.admin().await.delete_records(&[(tp.clone(), 3)].into()).await.unwrap().remove(&tp).unwrap().unwrap();
        let path = node.server.data().join("log-start-offset-checkpoint");
        let noted = async || fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|line| line == "t 0 3"));
        eventually("the log start is noted", noted).await;
    });
}
