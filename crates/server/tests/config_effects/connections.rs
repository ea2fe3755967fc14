//! Threads and the limits of connections.

use std::time::Duration;

use ottla_env::fs;
use ottla_env::net::TcpStream;
use ottla_env::time;

use crate::support::{Node, eventually, with_node};

/// Threads of the runtime, which are those of `num.network.threads` and a few that wait for files.
fn runtime_threads(node: &Node) -> usize {
    threads_named(node, "ottla-worker")
}

/// Threads of the process whose names begin so.
pub(crate) fn threads_named(node: &Node, prefix: &str) -> usize {
    let tasks = format!("/proc/{}/task", node.server.id().unwrap());
    let threads = fs::read_dir(&tasks).unwrap();
    // These files say that they are empty, so a plain read is what they want.
    #[allow(clippy::disallowed_methods, reason = "procfs is not a file system of ours")]
    let comm = |name: &str| std::fs::read_to_string(format!("{tasks}/{name}/comm")).unwrap_or_default();
    threads.iter().filter(|t| comm(&t.name).starts_with(prefix)).count()
}

#[test]
fn network_threads() {
    with_node(&[("num.network.threads", "2")], |node| async move {
        // Threads give themselves their names once they run.
        eventually("two threads", async || runtime_threads(&node) >= 2).await;
        assert!(runtime_threads(&node) < 40);
    });
    with_node(&[("num.network.threads", "40")], |node| async move {
        eventually("forty threads", async || runtime_threads(&node) >= 40).await;
    });
}

/// Whether the broker closes a connection within ten seconds.
async fn closes(stream: &TcpStream) -> bool {
    let closed = async { matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)) };
    time::timeout(Duration::from_secs(20), closed).await == Ok(true)
}

#[test]
fn connection_limits() {
    for limit in ["max.connections", "max.connections.per.ip"] {
        with_node(&[(limit, "2")], |node| async move {
            let address = node.server.address();
            // The one that waited for the start may still be open.
            let refused = async || {
                let first = TcpStream::connect(address).await.unwrap();
                let second = TcpStream::connect(address).await.unwrap();
                let third = TcpStream::connect(address).await.unwrap();
                let closed = time::timeout(Duration::from_secs(2), third.read(&mut [0; 1])).await;
                drop((first, second));
                matches!(closed, Ok(Ok(0) | Err(_)))
            };
            eventually("the third connection is refused", refused).await;
        });
    }
}

/// Whether of these many connections from this machine at once the last is refused.
pub(crate) async fn last_is_refused(node: &Node, connections: usize) -> bool {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(TcpStream::connect(node.server.address()).await.unwrap());
    }
    let last = open.last().unwrap();
    let closed = time::timeout(Duration::from_secs(2), last.read(&mut [0; 1])).await;
    matches!(closed, Ok(Ok(0) | Err(_)))
}

#[test]
fn connection_limits_of_hosts() {
    for host in ["127.0.0.1", "localhost"] {
        let overrides = format!("192.0.2.1:90,{host}:2");
        with_node(&[("max.connections.per.ip.overrides", &overrides)], |node| async move {
            eventually("the third connection is refused", async || last_is_refused(&node, 3).await).await;
        });
    }
    with_node(
        &[("max.connections.per.ip", "2"), ("max.connections.per.ip.overrides", "127.0.0.1:9")],
        |node| async move {
            eventually("its own limit is wider", async || !last_is_refused(&node, 5).await).await;
        },
    );
}

#[test]
fn idle_connections_close() {
    with_node(&[("connections.max.idle.ms", "1000")], |node| async move {
        let idle = TcpStream::connect(node.server.address()).await.unwrap();
        assert!(closes(&idle).await);
    });
}

#[test]
fn oversize_requests_close_the_connection() {
    with_node(&[("socket.request.max.bytes", "1000")], |node| async move {
        let stream = TcpStream::connect(node.server.address()).await.unwrap();
        stream.write_all(&1001i32.to_be_bytes()).await.unwrap();
        assert!(closes(&stream).await);
    });
}
