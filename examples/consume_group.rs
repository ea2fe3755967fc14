//! Reads a topic as a member of a group until nothing came for ten seconds. Start it twice to see partitions shared.
//!
//! Run it with a broker at hand: `cargo run -p ottla-client --example consume_group -- localhost:9092 my-topic my-group`

use std::time::Duration;

use ottla_client::{Consumer, ConsumerConfig};
use ottla_env::task::Runtime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let server = args.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = args.next().unwrap_or_else(|| "ottla-example".to_owned());
    let group = args.next().unwrap_or_else(|| "ottla-example-group".to_owned());
    Runtime::new(1)?.block_on(consume(&server, &topic, &group))
}

async fn consume(server: &str, topic: &str, group: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = ConsumerConfig::default();
    config.set("bootstrap.servers", server)?;
    config.set("group.id", group)?;
    config.set("auto.offset.reset", "earliest")?;
    config.set("partition.assignment.strategy", "cooperative-sticky")?;
    let mut consumer = Consumer::connect(config).await?;
    consumer.on_rebalance(|change| println!("{change:?}"));
    consumer.subscribe([topic])?;

    loop {
        let records = consumer.poll(Duration::from_secs(10)).await?;
        if records.is_empty() {
            break;
        }
        for record in records {
            let text = |bytes: Option<_>| {
                bytes.map_or("null".into(), |b: bytes::Bytes| String::from_utf8_lossy(&b).into_owned())
            };
            println!(
                "{}-{}@{} {} = {}",
                record.topic,
                record.partition,
                record.offset,
                text(record.key),
                text(record.value)
            );
        }
    }
    // Commits what was read and leaves the group, so that others need not wait for a timeout.
    consumer.close().await?;
    Ok(())
}
