//! Creates a topic, describes it and the cluster, and deletes it again.
//!
//! Run it with a broker at hand: `cargo run -p ottla-client --example admin -- localhost:9092`

use ottla_client::admin::{ConfigResource, ConfigSource, NewTopic};
use ottla_client::{Admin, ClientConfig};
use ottla_env::task::Runtime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".to_owned());
    Runtime::new(1)?.block_on(administer(&server))
}

async fn administer(server: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = ClientConfig::default();
    config.set("bootstrap.servers", server)?;
    let admin = Admin::connect(&config).await?;

    let cluster = admin.describe_cluster().await?;
    println!("cluster {} has {} brokers", cluster.cluster_id, cluster.brokers.len());

    let name = "ottla-admin-example".to_owned();
    let topic = NewTopic {
        name: name.clone(),
        partitions: Some(3),
        configs: [("retention.ms".to_owned(), "3600000".to_owned())].into(),
        ..NewTopic::default()
    };
    // Each topic of a call has an outcome of its own.
    for (name, outcome) in admin.create_topics(&[topic], false).await? {
        println!("created {name} with id {}", outcome?.id);
    }
    for entry in admin.describe_configs(&ConfigResource::Topic(name.clone())).await? {
        if entry.source == ConfigSource::Topic {
            println!("{} = {}", entry.name, entry.value.unwrap_or_default());
        }
    }
    for (name, outcome) in admin.delete_topics(&[name]).await? {
        outcome?;
        println!("deleted {name}");
    }
    Ok(())
}
