//! A cluster for tests of deciders: an image, sessions and a clock, to which decisions are applied at once.

use std::sync::Arc;

use ottla_metadata::records::{
    BrokerEndpoint, BrokerFeature, FeatureLevelRecord, MetadataRecord, RegisterBrokerRecord,
};
use ottla_metadata::{MetadataDelta, MetadataImage};
use ottla_protocol::ids::Uuid;
use ottla_protocol::message::Message;
use ottla_protocol::reader::Reader;

use crate::decision::{Decision, View};
use crate::features;
use crate::options::ControllerOptions;
use crate::sessions::Sessions;

pub(crate) struct Cluster {
    pub(crate) image: Arc<MetadataImage>,
    pub(crate) sessions: Sessions,
    pub(crate) options: ControllerOptions,
    pub(crate) now_ms: i64,
    next_random: std::cell::Cell<u8>,
}

impl Cluster {
    /// A cluster of Kafka 4.4's levels with brokers 1 to `brokers`, all active.
    pub(crate) fn new(brokers: i32) -> Self {
        let options = ControllerOptions::new(0, "cluster");
        let mut cluster = Self {
            image: Arc::default(),
            sessions: Sessions::new(9000),
            options,
            now_ms: 0,
            next_random: std::cell::Cell::new(0),
        };
        let levels = features::levels(features::METADATA_VERSION_MAX, &Default::default()).expect("levels");
        let levels = levels.into_iter().filter(|(name, _)| name != features::KRAFT_VERSION);
        let levels = levels.map(|(name, feature_level)| FeatureLevelRecord { name, feature_level }.into());
        cluster.apply(&levels.collect::<Vec<_>>());
        let brokers: Vec<_> = (1..=brokers).map(|id| registered(id).into()).collect();
        cluster.apply(&brokers);
        cluster.sessions.restart(&cluster.image, 0);
        cluster
    }

    pub(crate) fn view<'a>(&'a self, random: &'a dyn Fn() -> [u8; 16]) -> View<'a> {
        View {
            image: &self.image,
            sessions: &self.sessions,
            options: &self.options,
            next_offset: self.image.offset + 1,
            now_ms: self.now_ms,
            random,
        }
    }

    /// Decides with `decider`, and lets what was decided take effect.
    pub(crate) fn decide<T>(
        &mut self,
        decider: impl FnOnce(&View<'_>) -> T,
        records: impl FnOnce(&T) -> Vec<MetadataRecord>,
    ) -> T {
        let next = &self.next_random;
        let random = || {
            next.set(next.get() + 1);
            [next.get(); 16]
        };
        let decided = decider(&self.view(&random));
        let records = records(&decided);
        self.apply(&records);
        decided
    }

    /// Runs a decider of the wire; returns its response's body and its records.
    pub(crate) fn run<E: std::fmt::Debug>(
        &mut self,
        decider: impl FnOnce(&View<'_>) -> Result<Decision, E>,
    ) -> (Vec<u8>, Vec<MetadataRecord>) {
        let decision = self.decide(|v| decider(v).expect("decides"), |d| d.records.clone());
        (decision.body, decision.records)
    }

    pub(crate) fn apply(&mut self, records: &[MetadataRecord]) {
        let mut delta = MetadataDelta::new(Arc::clone(&self.image));
        records.iter().for_each(|r| delta.replay(r).expect("what is decided fits the state"));
        self.image = Arc::new(delta.apply(self.image.offset + records.len() as i64, 1));
    }
}

/// The registration of a broker that is already unfenced. Its epoch is 100 and its id.
pub(crate) fn registered(id: i32) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: id,
        incarnation_id: Uuid([id as u8; 16]),
        broker_epoch: i64::from(100 + id),
        end_points: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "h".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: features::supported()
            .map(|(name, min, max)| BrokerFeature {
                name: name.into(),
                min_supported_version: min,
                max_supported_version: max,
            })
            .collect(),
        fenced: false,
        log_dirs: vec![Uuid([id as u8 + 50; 16])],
        ..Default::default()
    }
}

pub(crate) fn decode<'a, M: Message<'a>>(body: &'a [u8], version: i16) -> M {
    M::decode(&mut Reader::new(body), version).expect("a response decodes")
}
