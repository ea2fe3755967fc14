//! Topics that are created, and what deletes them.

use crate::config::refusals::POLICY;
use crate::config::row::rows;

rows! {
    "num.partitions": Int = "1" where AtLeast(1), Medium, ReadOnly,
        yes("server::config_effects::topic_defaults"),
        "Partitions of a topic that is created without saying how many.";
    "default.replication.factor": Int = "1" where Any, Medium, ReadOnly,
        yes("server::config_effects::topic_defaults"),
        "Replicas of a topic that is created without saying how many.";
    "min.insync.replicas": Int = "1" where AtLeast(1), High, ClusterWide,
        yes("broker::second_follower::min_insync_replicas"),
        "Replicas in sync, the leader among them, without which a write with acks=all is refused.";
    "auto.create.topics.enable": Boolean = "true" where Any, High, ReadOnly,
        yes("server::config_effects::auto_create_topics"),
        "Whether asking for metadata of an unknown topic creates it.";
    "delete.topic.enable": Boolean = "true" where Any, High, ReadOnly,
        yes("server::config_effects::delete_topic_enable"),
        "Whether topics may be deleted.";
    "create.topic.policy.class.name": Class = none where Any, Low, ReadOnly,
        Refuse(POLICY),
        "Class that must agree to new topics.";
    "alter.config.policy.class.name": Class = none where Any, Low, ReadOnly,
        Refuse(POLICY),
        "Class that must agree to changed configurations.";
    "errors.deadletterqueue.auto.create.topics.enable": Boolean = "false" where Any, Medium, ClusterWide,
        Warn,
        "Whether the topics of dead-letter queues are created by themselves.";
    "errors.deadletterqueue.topic.name.prefix": String = "dlq." where Any, Medium, ClusterWide,
        Warn,
        "What the names of dead-letter topics begin with.";
}
