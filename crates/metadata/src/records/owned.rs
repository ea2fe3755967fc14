//! Owned twins of the generated record types. The fields are those of `crates/protocol/messages/*_record.kmsg`, where they
//! are described.

use ottla_protocol::Uuid;
use ottla_protocol::messages as m;

/// A value with a borrowed twin in the generated codec.
pub trait Wire<'a>: Sized {
    /// The generated type.
    type Borrowed;
    /// Copies what the generated type borrows.
    fn own(borrowed: Self::Borrowed) -> Self;
    /// The generated type, borrowing from this value.
    fn lend(&'a self) -> Self::Borrowed;
}

macro_rules! plain {
    ($($kind:ty)*) => {
        $(impl Wire<'_> for $kind {
            type Borrowed = Self;
            fn own(borrowed: Self) -> Self {
                borrowed
            }
            fn lend(&self) -> Self {
                *self
            }
        })*
    };
}
plain!(bool i8 i16 u16 i32 i64 f64 Uuid);

impl<'a> Wire<'a> for String {
    type Borrowed = &'a str;
    fn own(borrowed: &'a str) -> Self {
        borrowed.to_owned()
    }
    fn lend(&'a self) -> &'a str {
        self
    }
}

/// Bytes, where the wire has bytes rather than an array.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl<'a> Wire<'a> for Bytes {
    type Borrowed = &'a [u8];
    fn own(borrowed: &'a [u8]) -> Self {
        Self(borrowed.to_vec())
    }
    fn lend(&'a self) -> &'a [u8] {
        &self.0
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    type Borrowed = Vec<T::Borrowed>;
    fn own(borrowed: Self::Borrowed) -> Self {
        borrowed.into_iter().map(T::own).collect()
    }
    fn lend(&'a self) -> Self::Borrowed {
        self.iter().map(T::lend).collect()
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    type Borrowed = Option<T::Borrowed>;
    fn own(borrowed: Self::Borrowed) -> Self {
        borrowed.map(T::own)
    }
    fn lend(&'a self) -> Self::Borrowed {
        self.as_ref().map(T::lend)
    }
}

macro_rules! owned {
    ($($(#[$doc:meta])* $module:ident::$name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            #[allow(missing_docs, reason = "the fields are described in the record's definition")]
            pub struct $name {
                $(pub $field: $kind,)*
            }

            impl<'a> Wire<'a> for $name {
                type Borrowed = m::$module::$name<'a>;
                #[allow(unused_variables, reason = "some records have no fields")]
                fn own(borrowed: Self::Borrowed) -> Self {
                    Self { $($field: Wire::own(borrowed.$field),)* }
                }
                fn lend(&'a self) -> Self::Borrowed {
                    m::$module::$name { $($field: self.$field.lend(),)* ..Default::default() }
                }
            }

            /// The definition's defaults.
            impl Default for $name {
                fn default() -> Self {
                    Self::own(Default::default())
                }
            }
        )*
    };
}

owned! {
    /// A broker registered with the controller (KIP-631; directories by KIP-858).
    register_broker_record::RegisterBrokerRecord {
        broker_id: i32, is_migrating_zk_broker: bool, incarnation_id: Uuid, broker_epoch: i64,
        end_points: Vec<BrokerEndpoint>, features: Vec<BrokerFeature>, rack: Option<String>, fenced: bool,
        in_controlled_shutdown: bool, log_dirs: Vec<Uuid>, cordoned_log_dirs: Option<Vec<Uuid>>,
    }
    /// A listener that a broker advertises.
    register_broker_record::BrokerEndpoint { name: String, host: String, port: u16, security_protocol: i16 }
    /// A feature and the levels of it that a broker can run with.
    register_broker_record::BrokerFeature { name: String, min_supported_version: i16, max_supported_version: i16 }
    /// A broker left for good.
    unregister_broker_record::UnregisterBrokerRecord { broker_id: i32, broker_epoch: i64 }
    /// A topic exists from here on.
    topic_record::TopicRecord { name: String, topic_id: Uuid }
    /// A partition exists from here on, or its whole state is replaced.
    partition_record::PartitionRecord {
        partition_id: i32, topic_id: Uuid, replicas: Vec<i32>, isr: Vec<i32>, removing_replicas: Vec<i32>,
        adding_replicas: Vec<i32>, leader: i32, leader_recovery_state: i8, leader_epoch: i32, partition_epoch: i32,
        directories: Vec<Uuid>, eligible_leader_replicas: Option<Vec<i32>>, last_known_elr: Option<Vec<i32>>,
    }
    /// A configuration value was set, or removed when it is null.
    config_record::ConfigRecord { resource_type: i8, resource_name: String, name: String, value: Option<String> }
    /// What changed in a partition; everything not named stays.
    partition_change_record::PartitionChangeRecord {
        partition_id: i32, topic_id: Uuid, isr: Option<Vec<i32>>, leader: i32, replicas: Option<Vec<i32>>,
        removing_replicas: Option<Vec<i32>>, adding_replicas: Option<Vec<i32>>, leader_recovery_state: i8,
        directories: Option<Vec<Uuid>>, eligible_leader_replicas: Option<Vec<i32>>, last_known_elr: Option<Vec<i32>>,
    }
    /// A broker must not lead; older form of [`BrokerRegistrationChangeRecord`].
    fence_broker_record::FenceBrokerRecord { id: i32, epoch: i64 }
    /// A broker may lead; older form of [`BrokerRegistrationChangeRecord`].
    unfence_broker_record::UnfenceBrokerRecord { id: i32, epoch: i64 }
    /// A topic and its partitions are gone.
    remove_topic_record::RemoveTopicRecord { topic_id: Uuid }
    /// A delegation token was issued or renewed (KIP-900).
    delegation_token_record::DelegationTokenRecord {
        owner: String, requester: String, renewers: Vec<String>, issue_timestamp: i64, max_timestamp: i64,
        expiration_timestamp: i64, token_id: String,
    }
    /// A SCRAM credential was set (KIP-900).
    user_scram_credential_record::UserScramCredentialRecord {
        name: String, mechanism: i8, salt: Bytes, stored_key: Bytes, server_key: Bytes, iterations: i32,
    }
    /// A feature was finalized at a level; level 0 removes it (KIP-584, KIP-778).
    feature_level_record::FeatureLevelRecord { name: String, feature_level: i16 }
    /// A client quota was set or removed (KIP-546).
    client_quota_record::ClientQuotaRecord { entity: Vec<EntityData>, key: String, value: f64, remove: bool }
    /// One part of the entity that a quota is for; no name means the default entity of that type.
    client_quota_record::EntityData { entity_type: String, entity_name: Option<String> }
    /// A block of producer ids was handed out (KIP-730).
    producer_ids_record::ProducerIdsRecord { broker_id: i32, broker_epoch: i64, next_producer_id: i64 }
    /// What changed in a broker's registration (KIP-841); zero or empty fields mean no change.
    broker_registration_change_record::BrokerRegistrationChangeRecord {
        broker_id: i32, broker_epoch: i64, fenced: i8, in_controlled_shutdown: i8, log_dirs: Vec<Uuid>,
        cordoned_log_dirs: Option<Vec<Uuid>>,
    }
    /// An ACL was added (KIP-801).
    access_control_entry_record::AccessControlEntryRecord {
        id: Uuid, resource_type: i8, resource_name: String, pattern_type: i8, principal: String, host: String,
        operation: i8, permission_type: i8,
    }
    /// An ACL was removed.
    remove_access_control_entry_record::RemoveAccessControlEntryRecord { id: Uuid }
    /// Nothing changed; keeps the committed offset moving (KIP-835).
    no_op_record::NoOpRecord {}
    /// State of a migration from ZooKeeper; only in old logs, without meaning in Kafka 4.
    zk_migration_record::ZkMigrationStateRecord { zk_migration_state: i8 }
    /// A SCRAM credential was removed.
    remove_user_scram_credential_record::RemoveUserScramCredentialRecord { name: String, mechanism: i8 }
    /// Records up to the end record take effect together (KIP-868).
    begin_transaction_record::BeginTransactionRecord { name: Option<String> }
    /// The metadata transaction takes effect.
    end_transaction_record::EndTransactionRecord {}
    /// The metadata transaction is as if it had never been.
    abort_transaction_record::AbortTransactionRecord { reason: Option<String> }
    /// A delegation token was removed.
    remove_delegation_token_record::RemoveDelegationTokenRecord { token_id: String }
    /// A controller registered with the active controller (KIP-919).
    register_controller_record::RegisterControllerRecord {
        controller_id: i32, incarnation_id: Uuid, zk_migration_ready: bool, end_points: Vec<ControllerEndpoint>,
        features: Vec<ControllerFeature>,
    }
    /// A listener of a controller.
    register_controller_record::ControllerEndpoint { name: String, host: String, port: u16, security_protocol: i16 }
    /// A feature and the levels of it that a controller can run with.
    register_controller_record::ControllerFeature {
        name: String, min_supported_version: i16, max_supported_version: i16,
    }
    /// Eligible leader replicas of a topic, or of all topics, are forgotten (KIP-966).
    clear_elr_record::ClearElrRecord { topic_name: String }
    /// A controller left for good.
    unregister_controller_record::UnregisterControllerRecord { controller_id: i32 }
}
