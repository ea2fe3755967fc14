//! The meta test: a seed run twice leaves the same trace, another seed another one.
#![cfg(sim)]

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use ottla_env::net::{TcpListener, TcpStream};
use ottla_env::sim::{DiskFaults, Sim, Trace, host, seeds};
use ottla_env::{collections::HashMap, fs, random, task, time};

/// Something of everything: tasks, threads, blocking work, timers, maps, files, faults, connections, a power cut.
fn busy_run(seed: u64) -> Trace {
    let sim = Sim::new(seed);
    sim.run(async {
        let server = host("server");
        server.set_disk_faults(DiskFaults { write_errors: 20_000, short_reads: 100_000, ..DiskFaults::default() });
        let serving = server.spawn("serve", serve());
        let clients: Vec<_> = (0..4).map(|number| task::spawn("client", client(number))).collect();
        time::sleep(Duration::from_millis(20 + random::below(30))).await;
        server.power_cut();
        serving.await.expect_err("it was ended");
        for client in clients {
            client.await.expect("clients do not panic");
        }
    });
    sim.trace()
}

async fn serve() {
    fs::create_dir_all("/data").expect("created");
    let log = Arc::new(fs::File::create("/data/log").expect("created"));
    let stop = task::StopSignal::new();
    let (flushed, stopped) = (Arc::clone(&log), stop.clone());
    task::thread("flusher", move || {
        while !stopped.wait_ms(3) {
            flushed.sync_data().expect("no sync errors were asked for");
        }
    })
    .expect("a thread");
    let listener = TcpListener::bind(([0, 0, 0, 0], 9092).into()).await.expect("bound");
    let mut seen: HashMap<u64, u64> = HashMap::default();
    loop {
        let (stream, _) = listener.accept().await.expect("accepted");
        for (count, key) in (0_u64..).zip([random::below(9), 3, 5]) {
            *seen.entry(key).or_default() += count;
        }
        let order: String = seen.keys().map(ToString::to_string).collect();
        let log = Arc::clone(&log);
        task::spawn("connection", async move {
            let mut request = [0; 8];
            while stream.read_exact(&mut request).await.is_ok() {
                let log = Arc::clone(&log);
                let append = move || log.len().and_then(|end| log.write_all_at(&request, end)).is_ok();
                let answer = [u8::from(task::blocking("append", append).await)];
                if stream.write_all(&answer).await.is_err() || stream.write_all(order.as_bytes()).await.is_err() {
                    break;
                }
            }
        });
    }
}

async fn client(number: u64) {
    for _ in 0..50 {
        time::sleep(Duration::from_millis(random::below(5))).await;
        let address = (host("server").address(), 9092).into();
        let Ok(stream) = TcpStream::connect(address).await else { continue };
        while stream.try_write_vectored(&[IoSlice::new(&number.to_be_bytes())]).is_ok() {
            let mut answer = [0; 2];
            if stream.read_exact(&mut answer).await.is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_seed_run_twice_leaves_the_same_trace() {
    for seed in seeds(10) {
        let (first, second) = (busy_run(seed), busy_run(seed));
        if first != second {
            let parted = first.last.iter().zip(&second.last).find(|(a, b)| a != b);
            panic!("seed {seed}: {} and {} events, first seen to differ: {parted:?}", first.events, second.events);
        }
        assert!(first.events > 1_000, "seed {seed}: only {} events", first.events);
    }
}

#[test]
fn other_seeds_leave_other_traces() {
    let mut fingerprints: Vec<u64> = (1..=10).map(|seed| busy_run(seed).fingerprint).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 10);
}
