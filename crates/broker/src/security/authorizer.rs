//! The question "may this principal do that?", asked by every handler before it looks at anything.

use super::Principal;

/// Kafka's ACL operations (`org.apache.kafka.common.acl.AclOperation`), those that handlers ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Create.
    Create,
    /// Delete.
    Delete,
    /// Alter.
    Alter,
    /// Describe.
    Describe,
    /// What only brokers do.
    ClusterAction,
    /// Read configurations.
    DescribeConfigs,
    /// Change configurations.
    AlterConfigs,
    /// Produce idempotently.
    IdempotentWrite,
}

/// What an operation is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic by name.
    Topic(&'a str),
    /// A group by id.
    Group(&'a str),
    /// The cluster.
    Cluster,
    /// A transactional id.
    TransactionalId(&'a str),
}

/// Decides.
pub trait Authorizer: Send + Sync + std::fmt::Debug {
    /// Whether `principal` may do `operation` to `resource`.
    fn allows(&self, principal: &Principal, operation: Operation, resource: Resource<'_>) -> bool;
}

/// Everybody may do everything: what Kafka does without `authorizer.class.name`.
#[derive(Debug, Clone, Copy)]
pub struct AllowAll;

impl Authorizer for AllowAll {
    fn allows(&self, _: &Principal, _: Operation, _: Resource<'_>) -> bool {
        true
    }
}
