//! Which segments are given up: a pure decision over facts. The log acts on it.

use ottla_env::planted;

/// What the decision needs to know of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentFacts {
    /// The offset after its last record.
    pub(crate) end_offset: i64,
    /// Bytes.
    pub(crate) size: u64,
    /// Largest timestamp of its records; its last change if they have none.
    pub(crate) largest_timestamp: i64,
}

/// What bounds a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) now_ms: i64,
    /// `retention.ms`, -1 for ever.
    pub(crate) retention_ms: i64,
    /// `retention.bytes`, -1 without bound.
    pub(crate) retention_bytes: i64,
    /// Nothing at or above is removed: it is not on every replica yet.
    pub(crate) high_watermark: i64,
    /// Everything below has been given up already.
    pub(crate) log_start_offset: i64,
}

/// How many of the oldest segments go. The last one may be among them if it holds records, and is replaced by an empty one.
pub(crate) fn expired(segments: &[SegmentFacts], limits: &Limits) -> usize {
    let bound = u64::try_from(limits.retention_bytes).ok();
    let mut total: u64 = segments.iter().map(|segment| segment.size).sum();
    let mut count = 0;
    for segment in segments {
        let by_start = segment.end_offset <= limits.log_start_offset;
        let by_time =
            limits.retention_ms >= 0 && limits.now_ms.saturating_sub(segment.largest_timestamp) > limits.retention_ms;
        // None where nothing bounds the size, or it is below its bound: not even an empty one is too many then.
        let excess = bound.and_then(|bound| total.checked_sub(bound));
        let fits = |excess| {
            if planted::is("retention takes one segment too many") { excess > 0 } else { segment.size <= excess }
        };
        let by_size = excess.is_some_and(fits);
        let is_empty_end = segment.size == 0 && count + 1 == segments.len();
        let is_above = segment.end_offset > limits.high_watermark && !planted::is("retention above the high watermark");
        if is_above || is_empty_end || !(by_start || by_time || by_size) {
            break;
        }
        total -= segment.size;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Limits =
        Limits { now_ms: 10_000, retention_ms: -1, retention_bytes: -1, high_watermark: 30, log_start_offset: 0 };

    fn segments() -> [SegmentFacts; 3] {
        let segment = |end_offset, largest_timestamp| SegmentFacts { end_offset, size: 100, largest_timestamp };
        [segment(10, 1_000), segment(20, 2_000), segment(30, 3_000)]
    }

    #[test]
    fn by_time() {
        let limits = |retention_ms| Limits { retention_ms, ..NONE };
        assert_eq!(expired(&segments(), &NONE), 0);
        assert_eq!(expired(&segments(), &limits(8_000)), 1);
        assert_eq!(expired(&segments(), &limits(8_999)), 1);
        assert_eq!(expired(&segments(), &limits(9_000)), 0);
        assert_eq!(expired(&segments(), &limits(0)), 3);
    }

    #[test]
    fn by_size_only_whole_segments_of_excess() {
        let limits = |retention_bytes| Limits { retention_bytes, ..NONE };
        assert_eq!(expired(&segments(), &limits(201)), 0);
        assert_eq!(expired(&segments(), &limits(200)), 1);
        assert_eq!(expired(&segments(), &limits(0)), 3);
    }

    #[test]
    fn an_empty_segment_is_not_too_many_bytes() {
        let segments = [SegmentFacts { end_offset: 4, size: 0, largest_timestamp: 9_000 }, segments()[2]];
        assert_eq!(expired(&segments, &NONE), 0);
        assert_eq!(expired(&segments, &Limits { retention_bytes: 100, ..NONE }), 1, "as Kafka's");
        assert_eq!(expired(&segments, &Limits { retention_bytes: 101, ..NONE }), 0, "as Kafka's: below the bound");
    }

    #[test]
    fn what_goes_by_time_is_no_excess_any_more() {
        let segment = |end_offset, size, largest_timestamp| SegmentFacts { end_offset, size, largest_timestamp };
        let segments = [segment(10, 100, 0), segment(10, 0, 9_000), segment(30, 100, 9_000)];
        let limits = Limits { retention_ms: 5_000, retention_bytes: 150, ..NONE };
        assert_eq!(expired(&segments, &limits), 1);
    }

    #[test]
    fn by_the_log_start_and_never_above_the_high_watermark() {
        assert_eq!(expired(&segments(), &Limits { log_start_offset: 20, ..NONE }), 2);
        assert_eq!(expired(&segments(), &Limits { log_start_offset: 19, ..NONE }), 1);
        assert_eq!(expired(&segments(), &Limits { retention_ms: 0, high_watermark: 15, ..NONE }), 1);
    }

    #[test]
    fn an_empty_last_segment_stays() {
        let empty = [SegmentFacts { end_offset: 0, size: 0, largest_timestamp: 0 }];
        assert_eq!(expired(&empty, &Limits { retention_ms: 0, retention_bytes: 0, ..NONE }), 0);
    }
}
