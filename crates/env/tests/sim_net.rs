//! Connections between simulated hosts.
#![cfg(sim)]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use ottla_env::net::{TcpListener, TcpStream, resolve};
use ottla_env::sim::{Host, Sim, host};
use ottla_env::task::{JoinHandle, spawn};
use ottla_env::time::{Instant, sleep, timeout};

/// A host that echoes, and its address.
fn echo() -> (Host, SocketAddr, JoinHandle<()>) {
    let server = host("echo");
    let address = (server.address(), 7).into();
    let serving = server.spawn("echo", async {
        let listener = TcpListener::bind(([0, 0, 0, 0], 7).into()).await.expect("bound");
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            spawn("connection", async move {
                let mut piece = [0; 1_000];
                while let Ok(got @ 1..) = stream.read(&mut piece).await {
                    if stream.write_all(&piece[..got]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (server, address, serving)
}

#[test]
fn bytes_come_back_in_order_and_the_end_is_seen() {
    for seed in 1..=20 {
        Sim::new(seed).run(async {
            let (_server, address, _serving) = echo();
            sleep(Duration::from_millis(1)).await;
            let stream = std::sync::Arc::new(TcpStream::connect(address).await.expect("connected"));
            assert_eq!(stream.peer_addr().expect("known"), address);
            let sent: Vec<u8> = (0..200_000_u32).map(|i| (i >> 3) as u8).collect();
            let (writing, expected) = (std::sync::Arc::clone(&stream), sent.clone());
            let writer = spawn("writer", async move {
                writing.write_all(&sent).await.expect("sent");
                writing.shut_down_write().expect("shut down");
            });
            let mut received = vec![0; expected.len()];
            stream.read_exact(&mut received).await.expect("received");
            assert!(received == expected);
            writer.await.expect("finished");
            assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
        });
    }
}

#[test]
fn a_cut_link_holds_bytes_back_until_it_is_healed() {
    Sim::new(1).run(async {
        let (server, address, _serving) = echo();
        sleep(Duration::from_millis(1)).await;
        let stream = TcpStream::connect(address).await.expect("connected");
        let own = host("main");
        own.partition(&server);
        stream.write_all(b"ping").await.expect("the socket takes it");
        let mut back = [0; 4];
        assert!(timeout(Duration::from_secs(30), stream.read_exact(&mut back)).await.is_err());
        let began = Instant::now();
        assert_eq!(TcpStream::connect(address).await.expect_err("cut").kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= Duration::from_secs(60));
        own.heal(&server);
        timeout(Duration::from_secs(1), stream.read_exact(&mut back)).await.expect("in time").expect("received");
        assert_eq!(&back, b"ping");
    });
}

#[test]
fn the_end_of_a_host_ends_its_connections() {
    Sim::new(1).run(async {
        let (server, address, _serving) = echo();
        sleep(Duration::from_millis(1)).await;
        let stream = TcpStream::connect(address).await.expect("connected");
        sleep(Duration::from_millis(1)).await;
        server.kill();
        assert_eq!(stream.read(&mut [0]).await.expect("closed by the system"), 0);
        assert_eq!(TcpStream::connect(address).await.expect_err("nobody listens").kind(), ErrorKind::ConnectionRefused);

        let (server, address, _serving) = echo();
        sleep(Duration::from_millis(1)).await;
        let stream = TcpStream::connect(address).await.expect("connected");
        server.power_cut();
        assert_eq!(stream.read(&mut [0]).await.expect_err("gone").kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn ports_are_exclusive_and_names_resolve() {
    Sim::new(1).run(async {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.expect("bound");
        let address = listener.local_addr().expect("known");
        assert_eq!(TcpListener::bind(address).await.expect_err("taken").kind(), ErrorKind::AddrInUse);
        drop(listener);
        TcpListener::bind(address).await.expect("free again");
        assert_eq!(resolve("main", 1).await.expect("known"), [(host("main").address(), 1).into()]);
        assert!(resolve("nobody", 1).await.is_err());
    });
}
