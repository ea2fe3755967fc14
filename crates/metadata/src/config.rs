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

pub mod broker;
pub mod broker_config;
mod checks;
pub mod group;
pub mod listeners;
pub mod properties;
mod reader;
mod refusals;
pub mod row;
pub mod settings;
pub mod suggest;
pub mod topic;
pub mod value;

pub use broker_config::{BrokerConfig, BrokerConfigError};
pub use settings::Settings;
