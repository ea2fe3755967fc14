//! The codec that the broker stores batches in, whatever their producer sent.

use ottla_client::ProducerRecord;
use ottla_env::fs;
use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{BatchHeader, batches, check_crc, records};

use crate::support::{Node, with_node};

const SEGMENT: &str = "00000000000000000000.log";

/// The batches of the topic's first segment, each sound.
fn stored(node: &Node, topic: &str) -> Vec<(BatchHeader, Vec<u8>)> {
    let bytes = fs::read(node.server.data().join(format!("{topic}-0")).join(SEGMENT)).unwrap();
    let all: Vec<_> = batches(&bytes).map(|b| b.map(|(header, batch)| (header, batch.to_vec())).unwrap()).collect();
    assert!(all.iter().all(|(_, batch)| check_crc(batch)));
    all
}

/// Values that get shorter when they are packed, the better the harder.
fn value(n: usize) -> Vec<u8> {
    (0..20_000).map(|i| b"abcdefgh"[(i * i / 7 + i / (n + 3)) % 8]).collect()
}

async fn produce(node: &Node, topic: &str, codec: &str, count: usize) {
    let producer = node.producer(&[("compression.type", codec), ("linger.ms", "0")]).await;
    for n in 0..count {
        let value = value(n);
        producer.send(ProducerRecord::new(topic, &value).with_key(b"k")).await.unwrap().wait().await.unwrap();
    }
}

#[test]
fn recompression() {
    with_node(&[("compression.type", "lz4")], |node| async move {
        let codecs = [
            ("uncompressed", Compression::None),
            ("gzip", Compression::Gzip),
            ("snappy", Compression::Snappy),
            ("lz4", Compression::Lz4),
            ("zstd", Compression::Zstd),
        ];
        node.create("of-the-broker", &[]).await;
        node.create("of-the-producer", &[("compression.type", "producer")]).await;
        for (name, _) in codecs {
            node.create(name, &[("compression.type", name)]).await;
        }
        for sent in ["none", "zstd"] {
            for topic in ["of-the-broker", "of-the-producer"].into_iter().chain(codecs.map(|(name, _)| name)) {
                produce(&node, topic, sent, 2).await;
            }
        }
        let of = |topic: &str| stored(&node, topic).iter().map(|(h, _)| h.compression().unwrap()).collect::<Vec<_>>();
        assert_eq!(of("of-the-broker"), [Compression::Lz4; 4]);
        let sent = [Compression::None, Compression::None, Compression::Zstd, Compression::Zstd];
        assert_eq!(of("of-the-producer"), sent);
        for (topic, codec) in codecs {
            assert_eq!(of(topic), [codec; 4]);
            // What is in them is what was sent.
            for (n, (header, batch)) in stored(&node, topic).iter().enumerate() {
                let mut scratch = Vec::new();
                let found: Vec<_> = records(batch, &mut scratch, 1 << 20).unwrap().map(Result::unwrap).collect();
                assert_eq!((found.len(), found[0].key, found[0].value), (1, Some(&b"k"[..]), Some(&value(n % 2)[..])));
                assert_eq!(header.base_offset, i64::try_from(n).unwrap());
            }
        }
    });
}

#[test]
fn recompression_levels() {
    let broker = [("compression.gzip.level", "1"), ("compression.zstd.level", "1")];
    with_node(&broker, |node| async move {
        for codec in ["gzip", "zstd"] {
            let level = format!("compression.{codec}.level");
            let (fast, small) = (format!("{codec}-fast"), format!("{codec}-small"));
            node.create(&fast, &[("compression.type", codec)]).await;
            node.create(&small, &[("compression.type", codec), (&level, if codec == "gzip" { "9" } else { "19" })])
                .await;
            for topic in [&fast, &small] {
                produce(&node, topic, "none", 3).await;
            }
            let size = |topic: &str| stored(&node, topic).iter().map(|(_, batch)| batch.len()).sum::<usize>();
            assert!(size(&small) < size(&fast), "{codec}: {} and {}", size(&small), size(&fast));
        }
    });
}
