//! Quotas, metrics and telemetry.

use crate::config::refusals::{PLUGIN, PROVIDERS};
use crate::config::row::rows;

rows! {
    "client.quota.callback.class": Class = none where Any, Low, ReadOnly,
        Refuse(PLUGIN),
        "Class that computes quotas.";
    "quota.window.num": Int = "11" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Samples over which client quotas are measured.";
    "quota.window.size.seconds": Int = "1" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Length of such a sample.";
    "controller.quota.window.num": Int = "11" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Samples over which quotas of controller mutations are measured.";
    "controller.quota.window.size.seconds": Int = "1" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Length of such a sample.";
    "replication.quota.window.num": Int = "11" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Samples over which replication quotas are measured.";
    "replication.quota.window.size.seconds": Int = "1" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Length of such a sample.";
    "alter.log.dirs.replication.quota.window.num": Int = "11" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Samples over which moves between log directories are measured.";
    "alter.log.dirs.replication.quota.window.size.seconds": Int = "1" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Length of such a sample.";
    "metric.reporters": List = "org.apache.kafka.common.metrics.JmxReporter" where Any, Low, ClusterWide,
        Warn,
        "Classes that report metrics.";
    "metrics.num.samples": Int = "2" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Samples that a metric keeps.";
    "metrics.sample.window.ms": Long = "30000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Length of such a sample.";
    "metrics.recording.level": String = "INFO" where Any, Low, ReadOnly,
        Warn,
        "Level of detail of metrics.";
    "kafka.metrics.reporters": List = "" where Any, Low, ReadOnly,
        Warn,
        "Classes that report metrics of the older library.";
    "kafka.metrics.polling.interval.secs": Int = "10" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How often those classes poll.";
    "telemetry.max.bytes": Int = "1048576" where AtLeast(1), Low, ReadOnly,
        Warn,
        "Largest push of client metrics that is taken.";
    "config.providers": List = "" where Any, Low, ClusterWide,
        Refuse(PROVIDERS),
        "Names of providers that resolve `${…}` in values.";
}
