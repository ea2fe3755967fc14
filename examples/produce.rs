//! Writes ten records and prints where each of them went.
//!
//! Run it with a broker at hand: `cargo run -p ottla-client --example produce -- localhost:9092 my-topic`

use std::time::Duration;

use ottla_client::{Producer, ProducerConfig, ProducerRecord};
use ottla_env::task::Runtime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let server = args.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = args.next().unwrap_or_else(|| "ottla-example".to_owned());
    Runtime::new(1)?.block_on(produce(&server, &topic))
}

async fn produce(server: &str, topic: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = ProducerConfig::default();
    config.set("bootstrap.servers", server)?;
    config.set("compression.type", "zstd")?;
    let producer = Producer::connect(config).await?;

    // `send` returns as soon as the record is in a batch; the delivery tells later where it was written.
    let mut deliveries = Vec::new();
    for number in 0..10 {
        let (key, value) = (format!("key-{}", number % 3), format!("value {number}"));
        let headers = [("source", Some(&b"example"[..]))];
        let record = ProducerRecord::new(topic, value.as_bytes()).with_key(key.as_bytes()).with_headers(&headers);
        deliveries.push(producer.send(record).await?);
    }
    for delivery in deliveries {
        let at = delivery.await?;
        println!("{}-{} offset {}", at.topic, at.partition, at.offset);
    }
    producer.close(Duration::from_secs(10)).await?;
    Ok(())
}
