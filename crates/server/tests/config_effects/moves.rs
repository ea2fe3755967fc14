//! How fast replicas move between the log directories of a broker, and by how many workers.

use ottla_client::admin::{ConfigChange, ConfigResource};
use ottla_env::{fs, time};
use ottla_protocol::ErrorCode;

use crate::moving::{alter, copies_in, lies_in, replica_in, two_dirs};
use crate::support::{eventually, with_node};

const RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
const BYTES: usize = 400_000;

#[test]
fn moves_between_log_directories() {
    let disks = tempfile::tempdir().unwrap();
    let ([a, b], log_dirs) = two_dirs(disks.path());
    let properties = [("log.dirs", &*log_dirs), ("num.replica.alter.log.dirs.threads", "1")];
    with_node(&properties, |node| async move {
        eventually("it says how many work", async || node.server.log().contains("workers=1")).await;
        let change = async |change| {
            let this = ConfigResource::Broker(Some(1));
            node.admin().await.alter_configs(&this, &[(RATE.to_owned(), change)], false).await.unwrap();
        };
        node.create("t", &[]).await;
        node.fill("t", 40, BYTES / 40).await;
        let (from, to) = if fs::exists(a.join("t-0")) { (&a, &b) } else { (&b, &a) };

        // A record takes over 16 s.
        change(ConfigChange::Set("600".to_owned())).await;
        assert_eq!(alter(&node, "t", 0, to).await, ErrorCode::None);
        eventually("it has begun", async || replica_in(&node, "t", to).await.is_some_and(|r| r.size_bytes > 0)).await;
        let copy = replica_in(&node, "t", to).await.unwrap();
        assert!(copy.is_future && copy.offset_lag > 20, "{copy:?}");
        assert!(!replica_in(&node, "t", from).await.unwrap().is_future && copies_in(to) == 1);

        // 300 kB and more at 150 kB/s.
        let began = time::monotonic_ms();
        change(ConfigChange::Set("150000".to_owned())).await;
        eventually("it is there", async || lies_in(&node, "t", to, from).await).await;
        let took = time::monotonic_ms() - began;
        assert!(took >= 1_000, "{took} ms");

        change(ConfigChange::Delete).await;
        assert_eq!(alter(&node, "t", 0, from).await, ErrorCode::None);
        eventually("it is back", async || lies_in(&node, "t", from, to).await).await;
    });
}
