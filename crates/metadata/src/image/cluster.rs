//! Registrations of brokers and controllers.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::Uuid;

use crate::image::ReplayError;
use crate::records::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ControllerEndpoint, ControllerFeature,
    MetadataRecord, RegisterBrokerRecord, RegisterControllerRecord,
};

/// A listener as it is advertised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Listener name.
    pub name: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// Levels of a feature that a node can run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// A broker as it registered (`org.apache.kafka.metadata.BrokerRegistration`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// Broker id.
    pub id: i32,
    /// Offset of the record that registered it: larger for each registration.
    pub epoch: i64,
    /// Chosen anew by each start of the process.
    pub incarnation_id: Uuid,
    /// Listeners that it advertises.
    pub listeners: Vec<Endpoint>,
    /// Levels of features that it can run with.
    pub features: BTreeMap<String, VersionRange>,
    /// Rack.
    pub rack: Option<String>,
    /// Whether it must not lead, nor be told to clients.
    pub fenced: bool,
    /// Whether it is handing its leaderships over before it stops.
    pub in_controlled_shutdown: bool,
    /// Whether it once migrated from ZooKeeper; only in old logs.
    pub is_migrating_zk_broker: bool,
    /// Ids of its online log directories.
    pub log_dirs: Vec<Uuid>,
    /// Those of them that take no new replicas (KIP-1066).
    pub cordoned_log_dirs: Vec<Uuid>,
}

impl BrokerRegistration {
    /// Whether a replica that is noted in a directory of this id can be used. One that is not noted yet can; a broker that names
    /// no directories at all is of before they had ids.
    #[must_use]
    pub fn has_online_dir(&self, dir: Uuid) -> bool {
        match dir {
            Uuid::UNASSIGNED_DIRECTORY | Uuid::MIGRATING_DIRECTORY => true,
            Uuid::LOST_DIRECTORY => false,
            dir => self.log_dirs.is_empty() || self.log_dirs.contains(&dir),
        }
    }

    /// Its endpoint on a listener.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&Endpoint> {
        self.listeners.iter().find(|l| l.name == name)
    }

    /// Whether replicas may be led by it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    fn from_record(record: &RegisterBrokerRecord) -> Self {
        let endpoint = |e: &BrokerEndpoint| Endpoint {
            name: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
            security_protocol: e.security_protocol,
        };
        let range = |f: &BrokerFeature| {
            (f.name.clone(), VersionRange { min: f.min_supported_version, max: f.max_supported_version })
        };
        Self {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            listeners: record.end_points.iter().map(endpoint).collect(),
            features: record.features.iter().map(range).collect(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            log_dirs: record.log_dirs.clone(),
            cordoned_log_dirs: record.cordoned_log_dirs.clone().unwrap_or_default(),
        }
    }

    fn to_record(&self) -> RegisterBrokerRecord {
        let endpoint = |e: &Endpoint| BrokerEndpoint {
            name: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
            security_protocol: e.security_protocol,
        };
        let feature = |(name, range): (&String, &VersionRange)| BrokerFeature {
            name: name.clone(),
            min_supported_version: range.min,
            max_supported_version: range.max,
        };
        RegisterBrokerRecord {
            broker_id: self.id,
            is_migrating_zk_broker: self.is_migrating_zk_broker,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            end_points: self.listeners.iter().map(endpoint).collect(),
            features: self.features.iter().map(feature).collect(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.log_dirs.clone(),
            cordoned_log_dirs: (!self.cordoned_log_dirs.is_empty()).then(|| self.cordoned_log_dirs.clone()),
        }
    }
}

/// A controller as it registered (KIP-919).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerRegistration {
    /// Controller id.
    pub id: i32,
    /// Chosen anew by each start of the process.
    pub incarnation_id: Uuid,
    /// Whether it was ready to migrate from ZooKeeper; only in old logs.
    pub zk_migration_ready: bool,
    /// Its listeners.
    pub listeners: Vec<Endpoint>,
    /// Levels of features that it can run with.
    pub features: BTreeMap<String, VersionRange>,
}

impl ControllerRegistration {
    fn from_record(record: &RegisterControllerRecord) -> Self {
        let endpoint = |e: &ControllerEndpoint| Endpoint {
            name: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
            security_protocol: e.security_protocol,
        };
        let range = |f: &ControllerFeature| {
            (f.name.clone(), VersionRange { min: f.min_supported_version, max: f.max_supported_version })
        };
        Self {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            listeners: record.end_points.iter().map(endpoint).collect(),
            features: record.features.iter().map(range).collect(),
        }
    }

    fn to_record(&self) -> RegisterControllerRecord {
        let endpoint = |e: &Endpoint| ControllerEndpoint {
            name: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
            security_protocol: e.security_protocol,
        };
        let feature = |(name, range): (&String, &VersionRange)| ControllerFeature {
            name: name.clone(),
            min_supported_version: range.min,
            max_supported_version: range.max,
        };
        RegisterControllerRecord {
            controller_id: self.id,
            incarnation_id: self.incarnation_id,
            zk_migration_ready: self.zk_migration_ready,
            end_points: self.listeners.iter().map(endpoint).collect(),
            features: self.features.iter().map(feature).collect(),
        }
    }
}

/// Brokers and controllers by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterImage {
    /// Brokers.
    pub brokers: Arc<BTreeMap<i32, Arc<BrokerRegistration>>>,
    /// Controllers.
    pub controllers: Arc<BTreeMap<i32, Arc<ControllerRegistration>>>,
}

impl ClusterImage {
    /// A broker.
    #[must_use]
    pub fn broker(&self, id: i32) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    pub(crate) fn register_broker(&mut self, record: &RegisterBrokerRecord) {
        let registration = Arc::new(BrokerRegistration::from_record(record));
        Arc::make_mut(&mut self.brokers).insert(record.broker_id, registration);
    }

    pub(crate) fn unregister_broker(&mut self, id: i32, epoch: i64) -> Result<(), ReplayError> {
        self.broker_mut("UnregisterBrokerRecord", id, epoch)?;
        Arc::make_mut(&mut self.brokers).remove(&id);
        Ok(())
    }

    pub(crate) fn set_fenced(
        &mut self,
        record: &'static str,
        id: i32,
        epoch: i64,
        fenced: bool,
    ) -> Result<(), ReplayError> {
        self.broker_mut(record, id, epoch)?.fenced = fenced;
        Ok(())
    }

    pub(crate) fn change_broker(&mut self, record: &BrokerRegistrationChangeRecord) -> Result<(), ReplayError> {
        let broker = self.broker_mut("BrokerRegistrationChangeRecord", record.broker_id, record.broker_epoch)?;
        match record.fenced {
            0 => {}
            1 => broker.fenced = true,
            -1 => broker.fenced = false,
            value => return Err(ReplayError::BadChange { field: "fenced", value }),
        }
        match record.in_controlled_shutdown {
            0 => {}
            1 => broker.in_controlled_shutdown = true,
            value => return Err(ReplayError::BadChange { field: "inControlledShutdown", value }),
        }
        if !record.log_dirs.is_empty() {
            broker.log_dirs.clone_from(&record.log_dirs);
        }
        if let Some(cordoned) = &record.cordoned_log_dirs {
            broker.cordoned_log_dirs.clone_from(cordoned);
        }
        Ok(())
    }

    pub(crate) fn register_controller(&mut self, record: &RegisterControllerRecord) {
        let registration = Arc::new(ControllerRegistration::from_record(record));
        Arc::make_mut(&mut self.controllers).insert(record.controller_id, registration);
    }

    pub(crate) fn unregister_controller(&mut self, id: i32) -> Result<(), ReplayError> {
        let removed = Arc::make_mut(&mut self.controllers).remove(&id);
        removed.map(|_| ()).ok_or(ReplayError::UnknownController(id))
    }

    fn broker_mut(
        &mut self,
        record: &'static str,
        broker: i32,
        epoch: i64,
    ) -> Result<&mut BrokerRegistration, ReplayError> {
        let found = Arc::make_mut(&mut self.brokers).get_mut(&broker).filter(|b| b.epoch == epoch);
        found.map(Arc::make_mut).ok_or(ReplayError::UnknownBroker { record, broker, epoch })
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        for broker in self.brokers.values() {
            sink(broker.to_record().into());
        }
        for controller in self.controllers.values() {
            sink(controller.to_record().into());
        }
    }
}
