//! Configuration: one declarative row per property, and everything that derives from the rows.
//!
//! ```text
//!   file, environment, --set ──> settings ──> BrokerConfig (checked, typed)           rows: broker/*.rs, topic.rs, group.rs
//!   metadata image ──> overrides of topics and brokers ─┐                                │
//!   settings ───────────────────────────────────────────┴──> TopicConfig, describe  <────┤
//!   IncrementalAlterConfigs ──> alter ──> ConfigRecord                              <────┤
//!   docs/configuration.md                                                           <────┘
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`row`] | what a row says |
//! | [`broker`], [`topic`], [`group`] | the rows |
//! | [`value`] | a text, parsed and checked by its row |
//! | [`properties`], [`settings`] | a file's text; the layers of what was given, each value with its origin |
//! | [`listeners`], [`broker_config`] | what a node was told to do, typed; `checks` holds what must hold between properties |
//! | [`document`] | `docs/configuration.md` |
//! | [`dynamic`], [`broker_change`] | what a broker does differently while it runs, typed; whether it may change so |
//! | [`layers`] | where a value may come from, strongest first |
//! | [`topic_config`], [`alter`], [`describe`] | a topic's properties, typed; how they change; what is said of them |

pub mod alter;
pub mod broker;
pub mod broker_change;
pub mod broker_config;
mod checks;
pub mod describe;
pub mod document;
pub mod dynamic;
pub mod group;
pub mod layers;
pub mod listeners;
pub mod properties;
mod reader;
mod refusals;
pub mod row;
pub mod settings;
pub mod suggest;
pub mod topic;
pub mod topic_config;
pub mod value;

pub use broker_config::{BrokerConfig, BrokerConfigError};
pub use dynamic::DynamicBrokerConfig;
pub use layers::{ConfigSource, Layers};
pub use settings::Settings;
pub use topic_config::{TopicConfig, TopicConfigError, check_topic_configs};
