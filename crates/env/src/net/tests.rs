use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::task::{Runtime, spawn};
use crate::time::timeout;

fn local(test: impl Future<Output = ()>) {
    let bounded = timeout(Duration::from_secs(60), test);
    Runtime::new(2).expect("a runtime").block_on(bounded).expect("no hang");
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.expect("bound");
    let address = listener.local_addr().expect("known");
    let client = TcpStream::connect(address).await.expect("connected");
    let (server, peer) = listener.accept().await.expect("accepted");
    assert_eq!(peer, client.local_addr().expect("known"));
    (client, server)
}

#[test]
fn bytes_arrive_in_order_and_the_end_is_seen() {
    local(async {
        let (client, server) = pair().await;
        let sent: Vec<u8> = (0..1_000_000_u32).map(|i| i as u8).collect();
        let expected = sent.clone();
        let writer = spawn("writer", async move { client.write_all(&sent).await });
        let mut received = vec![0; expected.len()];
        server.read_exact(&mut received).await.expect("received");
        writer.await.expect("no panic").expect("sent");
        assert!(received == expected);
        assert_eq!(server.read(&mut received).await.expect("the end"), 0);
        assert_eq!(server.read_exact(&mut received).await.expect_err("the end").kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn reading_into_a_vec_appends_and_keeps_its_bound() {
    local(async {
        let (client, server) = pair().await;
        let mut received = b"kept ".to_vec();
        assert_eq!(server.try_read_vec(&mut received, 8).expect_err("nothing there").kind(), ErrorKind::WouldBlock);
        client.write_all(b"0123456789").await.expect("sent");
        while received.len() < 15 {
            server.readable().await.expect("readable");
            let before = received.len();
            match server.try_read_vec(&mut received, 4) {
                Ok(n) => assert!((1..=4).contains(&n) && received.len() == before + n),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(received, b"kept 0123456789");
    });
}

#[test]
fn a_part_of_a_file_is_sent_and_its_end_is_an_error() {
    local(async {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = File::create(dir.path().join("log")).expect("created");
        let content: Vec<u8> = (0..2_000_000_u32).map(|i| (i >> 8) as u8).collect();
        file.write_all_at(&content, 0).expect("written");
        let (client, server) = pair().await;
        let sender = spawn("sender", async move {
            server.send_file_all(&file, 1_000, 1_500_000).await?;
            server.send_file_all(&file, 1_999_990, 11).await
        });
        let mut received = vec![0; 1_500_010];
        client.read_exact(&mut received).await.expect("received");
        assert!(received[..1_500_000] == content[1_000..1_501_000] && received[1_500_000..] == content[1_999_990..]);
        assert_eq!(sender.await.expect("no panic").expect_err("past the end").kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_taken_port_is_named() {
    local(async {
        let first = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.expect("bound");
        let address = first.local_addr().expect("known");
        let error = TcpListener::bind(address).await.expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    });
}

#[test]
fn names_and_addresses_are_resolved() {
    local(async {
        assert_eq!(resolve("127.0.0.1", 9092).await.expect("an address"), [([127, 0, 0, 1], 9092).into()]);
        assert!(resolve("[::1]", 9092).await.expect("an address")[0].is_ipv6());
        assert!(resolve("localhost", 1).await.expect("known").iter().all(|address| address.ip().is_loopback()));
        assert!(resolve("no such host", 1).await.is_err());
    });
}

#[test]
fn options_are_accepted() {
    local(async {
        let (client, server) = pair().await;
        client.set_keepalive(Duration::from_secs(60), Duration::from_secs(10), 3).expect("set");
        client.set_buffer_sizes(Some(100_000), None).expect("set");
        client.shut_down_write().expect("shut down");
        assert_eq!(server.read(&mut [0]).await.expect("the end"), 0);
        server.write_all(b"x").await.expect("the other way is open");
        client.read_exact(&mut [0]).await.expect("received");
    });
}
