//! So many requests of one kind, answered by a broker on the thread that sends them: what `cargo xtask count` runs under callgrind.
//!
//! ```text
//!   request_cost produce RECORDS BYTES REQUESTS       each a batch of so many records with values of so many bytes
//!   request_cost fetch   RECORDS BYTES REQUESTS       each one batch of those, out of a hundred that were produced before
//! ```
//!
//! Everything but the disk's own threads runs on one thread, the sockets of both sides included. So no thread wakes another, and
//! two runs differ by next to nothing; what the client's side adds stays the same.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a program for the developers of the broker")]

#[path = "../tests/support/mod.rs"]
mod support;

use support::{Client, Rig, broker_here, encode, fetch, produce};

use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

/// Batches that a reader finds: so many that it meets an index and batches around its own.
const BATCHES: u64 = 100;

fn main() {
    // Cargo says `--bench` to whatever it runs as one.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [kind, records, bytes, requests] = args.as_slice() else {
        println!("what is to be counted? request_cost produce|fetch RECORDS BYTES REQUESTS");
        return;
    };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let batch = batch(number(records), number(bytes));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rig = broker_here(&[1], &[]).await;
        match kind.as_str() {
            "produce" => write(&rig, &batch, BATCHES + number(requests)).await,
            "fetch" => {
                write(&rig, &batch, BATCHES).await;
                read(&rig, &batch, number(records), number(requests)).await;
            }
            other => panic!("{other:?} is neither produce nor fetch"),
        }
    });
}

fn batch(records: u64, bytes: u64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { compression: Compression::None, ..BatchOptions::default() });
    let value = vec![b'x'; usize::try_from(bytes).unwrap()];
    for _ in 0..records {
        builder.append(ottla_env::time::wall_clock_ms(), None, Some(&value), &[]);
    }
    builder.build()
}

async fn write(rig: &Rig, batch: &[u8], requests: u64) {
    let mut peer = Peer::of(rig).await;
    let request = encode(9, 1, &produce(-1, 10_000, batch));
    for _ in 0..requests {
        let answer = peer.exchange(&request).await;
        // Correlation id, tagged fields, topics, name, partitions and index come before the partition's error code.
        assert_eq!(answer.get(13..15), Some(&[0, 0][..]), "not acknowledged: {answer:?}");
    }
}

async fn read(rig: &Rig, batch: &[u8], records: u64, requests: u64) {
    let mut peer = Peer::of(rig).await;
    let wanted: Vec<Vec<u8>> = (0..BATCHES)
        .map(|n| {
            let mut request = fetch(-1, -1, i64::try_from(n * records).unwrap());
            request.max_bytes = i32::try_from(batch.len()).unwrap();
            request.topics[0].partitions[0].partition_max_bytes = request.max_bytes;
            encode(15, 1, &request)
        })
        .collect();
    for request in wanted.iter().cycle().take(usize::try_from(requests).unwrap()) {
        let answer = peer.exchange(request).await;
        assert!(answer.len() > batch.len(), "an answer of {} bytes", answer.len());
    }
}

/// The client's side, which does as little as it can: it reads into one buffer.
struct Peer {
    client: Client,
    answer: Vec<u8>,
}

impl Peer {
    async fn of(rig: &Rig) -> Self {
        Self { client: rig.connect().await, answer: vec![0; 1 << 20] }
    }

    async fn exchange(&mut self, request: &[u8]) -> &[u8] {
        let stream = &self.client.stream;
        stream.write_all(request).await.unwrap();
        let mut size = [0; 4];
        stream.read_exact(&mut size).await.unwrap();
        let answer = self.answer.get_mut(..u32::from_be_bytes(size) as usize).expect("a small answer");
        stream.read_exact(answer).await.unwrap();
        answer
    }
}
