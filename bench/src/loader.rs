//! Our own load generator, for what rdkafka_performance cannot do: a fixed rate over many connections, many producer ids, exactly one
//! request in flight, and latencies that count from when a request was due, whether or not it could be sent then.
//!
//! ```text
//! open_loop.rs    producers at a fixed rate, consumers at the end    round_trips.rs   closed loop: one request in flight
//! requests.rs     the n-th request, byte by byte                     schedule.rs      when it is due
//! producer.rs     a connection that sends                            consumer.rs      one that reads
//! link.rs         a socket that never waits                          poller.rs        what waits for all of them
//! latencies.rs    percentiles
//! ```
//! One thread, so that on two cores the broker has the other one. It neither compresses nor looks at records: what it sends was made
//! before, and of what it reads only the batches' headers are looked at.

mod consumer;
mod latencies;
mod link;
mod open_loop;
mod poller;
mod producer;
mod requests;
mod round_trips;
mod schedule;

pub use open_loop::{OpenLoop, Running};
pub use requests::{RECORDS, VALUE_BYTES};
pub use round_trips::RoundTrips;
