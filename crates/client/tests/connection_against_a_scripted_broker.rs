//! A connection against a broker that does what a script says: version negotiation, pipelining, and every way in which a
//! peer can misbehave. Each ends that connection with a sentence, and what is in flight with an error.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::ConnectionError;
use ottla_client::connection::{Address, Connection, ConnectionOptions};
use ottla_env::net::TcpListener;
use ottla_env::task::{self, Runtime};
use ottla_env::time;
use ottla_protocol::frame::{self, RequestHead};
use ottla_protocol::messages::api_versions_request::ApiVersionsRequest;
use ottla_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::heartbeat_response::HeartbeatResponse;
use support::Peer;

const HEARTBEAT: i16 = 12;
const API_VERSIONS: i16 = 18;

impl Peer {
    /// The handshake of a broker that speaks ApiVersions up to `newest`; returns the versions that were tried.
    async fn shake_hands(&self, newest: i16) -> Vec<i16> {
        let mut tried = Vec::new();
        loop {
            let frame = self.request().await;
            let head = frame::read_request_head(&frame).expect("a header");
            assert_eq!(head.api_key, API_VERSIONS);
            tried.push(head.api_version);
            let range =
                |api_key, max_version| ApiVersion { api_key, min_version: 0, max_version, ..Default::default() };
            let api_keys = vec![range(HEARTBEAT, 4), range(API_VERSIONS, newest)];
            if head.api_version > newest {
                let refusal = ApiVersionsResponse { error_code: 35, api_keys, ..Default::default() };
                self.answer(&head, 0, &refusal).await;
                continue;
            }
            self.answer(&head, head.api_version, &ApiVersionsResponse { api_keys, ..Default::default() }).await;
            return tried;
        }
    }

    async fn heartbeat(&self) -> (Vec<u8>, i32) {
        let frame = self.request().await;
        let id = frame::read_request_head(&frame).expect("a header").correlation_id;
        (frame, id)
    }

    async fn answer_heartbeat(&self, id: i32, error_code: i16) {
        let head = RequestHead { api_key: HEARTBEAT, api_version: 4, correlation_id: id, client_id: None, body_at: 0 };
        self.answer(&head, 4, &HeartbeatResponse { error_code, ..Default::default() }).await;
    }
}

fn options() -> ConnectionOptions {
    let timeout = Duration::from_secs(5);
    ConnectionOptions {
        request_timeout: timeout,
        setup_timeout: timeout,
        max_response_bytes: 4096,
        ..Default::default()
    }
}

/// Runs a script against a client; both must end.
fn run<S, C>(options: ConnectionOptions, script: impl FnOnce(Peer) -> S, client: impl FnOnce(Connection) -> C)
where
    S: Future<Output = ()> + Send + 'static,
    C: Future<Output = ()>,
{
    Runtime::new(1).expect("a runtime").block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port is free");
        let port = listener.local_addr().expect("bound").port();
        let accepted = task::spawn("accept", async move { listener.accept().await.expect("the client connects").0 });
        let address = Address { host: "127.0.0.1".to_owned(), port };
        let connecting = task::spawn("connect", async move { Connection::connect(&address, &options).await });
        let peer = Peer(accepted.await.expect("accepted"));
        peer.shake_hands(4).await;
        let connection = connecting.await.expect("the task ends").expect("the handshake succeeds");
        let script = task::spawn("script", script(peer));
        client(connection).await;
        time::timeout(Duration::from_secs(5), script).await.expect("the script ends").expect("the script holds");
    });
}

fn request() -> HeartbeatRequest<'static> {
    HeartbeatRequest { group_id: "g", member_id: "m", ..Default::default() }
}

#[test]
fn a_broker_that_is_older_names_its_versions_and_is_asked_again() {
    Runtime::new(1).expect("a runtime").block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port is free");
        let port = listener.local_addr().expect("bound").port();
        let script = task::spawn("script", async move {
            let peer = Peer(listener.accept().await.expect("the client connects").0);
            peer.shake_hands(3).await
        });
        let address = Address { host: "127.0.0.1".to_owned(), port };
        let connection = Connection::connect(&address, &options()).await.expect("it finds a common version");
        assert_eq!(script.await.expect("the script ends"), [5, 3]);
        assert_eq!(connection.version::<HeartbeatRequest<'_>>().expect("both speak it"), 4);
        let unknown = connection.version::<ottla_protocol::messages::fetch_request::FetchRequest<'_>>();
        assert!(matches!(unknown, Err(ConnectionError::NoCommonVersion { api: "Fetch", .. })));
        assert_eq!(connection.versions().range(API_VERSIONS), Some((0, 3)));
        let none = connection.version_at_most::<ApiVersionsRequest<'_>>(-1);
        assert!(none.is_err());
    });
}

#[test]
fn requests_go_out_without_waiting_and_answers_find_theirs() {
    let script = |peer: Peer| async move {
        let (_, first) = peer.heartbeat().await;
        let (_, second) = peer.heartbeat().await;
        peer.answer_heartbeat(first, 1).await;
        peer.answer_heartbeat(second, 2).await;
    };
    run(options(), script, |connection| async move {
        let timeout = Duration::from_secs(5);
        let first = connection.start(4, &request()).expect("there is room");
        let second = connection.start(4, &request()).expect("there is room");
        assert_eq!(connection.in_flight(), 2);
        let code = |r: ottla_client::connection::Response<HeartbeatRequest<'static>>| r.decode().map(|d| d.error_code);
        assert_eq!(code(second.wait(timeout).await.expect("answered")).expect("decodes"), 2);
        assert_eq!(code(first.wait(timeout).await.expect("answered")).expect("decodes"), 1);
        assert_eq!(connection.in_flight(), 0);
    });
}

#[test]
fn no_more_requests_are_in_flight_than_allowed() {
    let script = |peer: Peer| async move {
        let (_, id) = peer.heartbeat().await;
        peer.answer_heartbeat(id, 0).await;
    };
    let one = ConnectionOptions { max_in_flight: 1, ..options() };
    run(one, script, |connection| async move {
        let first = connection.start(4, &request()).expect("there is room for one");
        assert!(matches!(connection.start(4, &request()), Err(ConnectionError::Busy { limit: 1, .. })));
        first.wait(Duration::from_secs(5)).await.expect("answered");
    });
}

#[test]
fn an_answer_out_of_order_ends_the_connection() {
    let script = |peer: Peer| async move {
        let (_, first) = peer.heartbeat().await;
        peer.answer_heartbeat(first + 1, 0).await;
    };
    run(options(), script, |connection| async move {
        let failed = connection.send(&request()).await.expect_err("the wrong answer");
        assert!(failed.to_string().contains("out of order"), "{failed}");
        assert!(failed.is_retriable());
    });
}

#[test]
fn a_response_that_announces_too_much_ends_the_connection_before_it_is_read() {
    let script = |peer: Peer| async move {
        peer.heartbeat().await;
        peer.0.write_all(&5000u32.to_be_bytes()).await.expect("the client reads");
    };
    run(options(), script, |connection| async move {
        let failed = connection.send(&request()).await.expect_err("too large");
        assert!(failed.to_string().contains("announces 5000 bytes"), "{failed}");
        assert!(!connection.is_open());
    });
}

#[test]
fn a_response_that_ends_early_is_an_error_of_that_request_only() {
    let script = |peer: Peer| async move {
        let (_, id) = peer.heartbeat().await;
        let mut short = vec![0, 0, 0, 6];
        short.extend(id.to_be_bytes());
        short.extend([0, 0]);
        peer.0.write_all(&short).await.expect("the client reads");
        let (_, id) = peer.heartbeat().await;
        peer.answer_heartbeat(id, 0).await;
    };
    run(options(), script, |connection| async move {
        let response = connection.send(&request()).await.expect("a whole frame");
        assert!(matches!(response.decode(), Err(ConnectionError::Decode { api: "Heartbeat", .. })));
        connection.send(&request()).await.expect("the connection goes on");
    });
}

#[test]
fn silence_ends_the_request_and_the_connection() {
    let script = |peer: Peer| async move {
        peer.heartbeat().await;
        // The client hangs up.
        assert_eq!(peer.0.read(&mut [0; 1]).await.unwrap_or(0), 0);
    };
    let impatient = ConnectionOptions { request_timeout: Duration::from_millis(50), ..options() };
    run(impatient, script, |connection| async move {
        let failed = connection.send(&request()).await.expect_err("no answer");
        assert!(matches!(failed, ConnectionError::Timeout { api: "Heartbeat", .. }));
        assert!(matches!(connection.send(&request()).await, Err(ConnectionError::Lost { .. })));
    });
}

#[test]
fn when_the_peer_hangs_up_everything_in_flight_learns_it() {
    let script = |peer: Peer| async move {
        peer.heartbeat().await;
        peer.heartbeat().await;
    };
    run(options(), script, |connection| async move {
        let pending: Vec<_> = (0..2).map(|_| connection.start(4, &request()).expect("there is room")).collect();
        for one in pending {
            let failed = one.wait(Duration::from_secs(5)).await.expect_err("the peer is gone");
            assert!(matches!(failed, ConnectionError::Lost { .. }), "{failed}");
        }
    });
}

#[test]
fn a_connection_that_nobody_uses_is_closed() {
    let script = |peer: Peer| async move {
        assert_eq!(peer.0.read(&mut [0; 1]).await.unwrap_or(0), 0);
    };
    let idle = ConnectionOptions { max_idle: Duration::from_millis(50), ..options() };
    run(idle, script, |connection| async move {
        let connection = Arc::new(connection);
        while connection.is_open() {
            time::sleep(Duration::from_millis(5)).await;
        }
    });
}
