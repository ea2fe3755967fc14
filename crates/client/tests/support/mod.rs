//! The broker's end of a connection, for brokers that do what a script says.
#![allow(dead_code, unreachable_pub, reason = "each scenario uses a part of it")]

use ottla_env::net::TcpStream;
use ottla_protocol::frame::{self, RequestHead};
use ottla_protocol::message::Message;
use ottla_protocol::writer::Writer;

/// One client, seen from the broker.
pub struct Peer(pub TcpStream);

impl Peer {
    /// The next request frame, without its length.
    pub async fn request(&self) -> Vec<u8> {
        self.next_request().await.expect("a request comes")
    }

    /// As [`Self::request`], or nothing once the client has hung up.
    pub async fn next_request(&self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).await.ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).await.ok()?;
        Some(frame)
    }

    pub async fn answer<'a, M: Message<'a>>(&self, head: &RequestHead<'_>, version: i16, body: &M) {
        let mut w = Writer::new();
        frame::begin_response(&mut w, head.correlation_id, head.api_key, version);
        body.encode(&mut w, version).expect("encodes");
        frame::finish_response(&mut w);
        self.0.write_all(&w.into_bytes()).await.expect("the client reads");
    }
}
