//! Facts for the policy, gathered from the logs, and the choice made from them.

use std::sync::Arc;

use super::policy::{self, Dirt, LogFacts, SegmentFacts, Wishes};
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::log::{Claim, Log, Ticket};
use crate::segment::Segment;

/// The log that is compacted next.
pub(super) struct Chosen<'a> {
    pub(super) log: &'a Arc<Log>,
    pub(super) config: Arc<LogConfig>,
    pub(super) ticket: Ticket,
    pub(super) dirt: Dirt,
    /// The segments that the decision was made on; the last is active.
    pub(super) segments: Vec<Arc<Segment>>,
    /// Held until the pass is over.
    _claim: Claim<'a>,
}

/// A log that may be chosen.
struct Candidate<'a> {
    chosen: Chosen<'a>,
    wishes: Wishes,
}

/// Looks at all logs and takes one. What cannot be looked at goes to `failed`.
pub(super) fn choose<'a>(
    logs: &'a [Arc<Log>],
    now_ms: i64,
    failed: impl Fn(&Log, &StorageError),
) -> Option<Chosen<'a>> {
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    for log in logs {
        match candidate(log, now_ms) {
            Ok(Some(candidate)) if candidate.chosen.dirt.is_due(&candidate.wishes) => candidates.push(candidate),
            Ok(_) => {}
            Err(error) => failed(log, &error),
        }
    }
    let decided: Vec<_> = candidates.iter().map(|c| (c.chosen.dirt, c.wishes)).collect();
    let place = policy::choose(&decided)?;
    // The others' claims fall.
    Some(candidates.swap_remove(place).chosen)
}

fn candidate<'a>(log: &'a Arc<Log>, now_ms: i64) -> Result<Option<Candidate<'a>>, StorageError> {
    let ticket = log.cleaning_ticket();
    let config = log.config();
    if !log.may_clean(ticket) {
        return Ok(None);
    }
    let Some(claim) = log.claim_for_cleaning() else { return Ok(None) };
    let wishes = Wishes {
        now_ms,
        min_lag_ms: config.min_compaction_lag_ms,
        max_lag_ms: config.max_compaction_lag_ms,
        min_dirty_ratio: config.min_cleanable_dirty_ratio,
    };
    // The last stable offset first: what lies below it has been appended before the segments are listed.
    let last_stable_offset = log.last_stable_offset();
    let segments = log.all_segments();
    let facts = LogFacts {
        segments: segments.iter().map(|segment| facts(segment, &wishes)).collect::<Result<_, _>>()?,
        log_start_offset: log.log_start_offset(),
        last_stable_offset,
        log_end_offset: log.log_end_offset(),
        noted: log.cleaned_to(),
    };
    let dirt = policy::dirt(&facts, &wishes);
    if dirt.checkpoint_is_wrong {
        if !config.cleanup_policy.delete {
            tracing::warn!(topic = %log.topic(), partition = log.partition(), noted = facts.noted, from = dirt.first_dirty,
                "the cleaner checkpoint contradicts the log, which is compacted from its start");
        }
        log.note_cleaned(dirt.first_dirty, ticket)?;
    }
    let chosen = Chosen { log, config, ticket, dirt, segments, _claim: claim };
    Ok(Some(Candidate { chosen, wishes }))
}

/// Timestamps are looked up only where the topic's lags ask for them.
fn facts(segment: &Segment, wishes: &Wishes) -> Result<SegmentFacts, StorageError> {
    let wants_first = wishes.max_lag_ms != i64::MAX;
    let wants_largest = wishes.min_lag_ms > 0;
    Ok(SegmentFacts {
        base_offset: segment.base_offset(),
        size: segment.size(),
        first_timestamp: if wants_first { segment.first_timestamp()? } else { None },
        largest_timestamp: if wants_largest { Some(segment.largest_or_modified()?) } else { None },
    })
}
