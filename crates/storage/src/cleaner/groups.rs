//! Which neighbouring segments become one, so that compacted segments do not get smaller and smaller. A pure decision.
//! Kafka: `Cleaner.groupSegmentsBySize`.

/// What the decision needs to know of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupFacts {
    pub(super) base_offset: i64,
    /// Bytes of batches.
    pub(super) size: u64,
    /// Bytes of the offset index.
    pub(super) index_bytes: u64,
    /// Bytes of the time index.
    pub(super) time_index_bytes: u64,
}

/// What a group may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupLimits {
    /// `segment.bytes`
    pub(super) segment_bytes: u64,
    /// `segment.index.bytes`, for each index
    pub(super) index_bytes: u64,
    /// Where the last segment ends.
    pub(super) end: i64,
}

/// How many segments each group takes, from the first on. A group fits one segment: its bytes, its indexes, and its offsets,
/// which indexes count from the base offset in 31 bits.
pub(super) fn groups(segments: &[GroupFacts], limits: &GroupLimits) -> Vec<usize> {
    let mut groups = Vec::new();
    let mut rest = segments;
    while let Some((first, after)) = rest.split_first() {
        let mut sum = *first;
        let mut count = 1;
        for (n, next) in after.iter().enumerate() {
            let ends = after.get(n + 1).map_or(limits.end, |following| following.base_offset);
            let spans = i32::try_from(ends - 1 - first.base_offset).is_ok();
            sum.size += next.size;
            sum.index_bytes += next.index_bytes;
            sum.time_index_bytes += next.time_index_bytes;
            let fits = sum.size <= limits.segment_bytes
                && sum.index_bytes <= limits.index_bytes
                && sum.time_index_bytes <= limits.index_bytes
                && (next.size == 0 || spans);
            if !fits {
                break;
            }
            count += 1;
        }
        groups.push(count);
        rest = rest.get(count..).unwrap_or_default();
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GroupLimits = GroupLimits { segment_bytes: 100, index_bytes: 50, end: 1_000 };

    fn segment(base_offset: i64, size: u64) -> GroupFacts {
        GroupFacts { base_offset, size, index_bytes: 8, time_index_bytes: 12 }
    }

    #[test]
    fn segments_are_joined_as_long_as_their_bytes_fit() {
        let segments = [(0, 60), (10, 40), (20, 1), (30, 99), (40, 1), (50, 101), (60, 0)].map(|(b, s)| segment(b, s));
        assert_eq!(groups(&segments, &LIMITS), [2, 2, 1, 1, 1]);
        assert_eq!(groups(&[], &LIMITS), [0usize; 0]);
    }

    #[test]
    fn and_their_indexes() {
        let segments: Vec<_> = (0..7).map(|n| segment(n * 10, 1)).collect();
        assert_eq!(groups(&segments, &LIMITS), [4, 3], "four time indexes of 12 bytes in 50");
        let limits = GroupLimits { index_bytes: 1 << 20, ..LIMITS };
        assert_eq!(groups(&segments, &limits), [7]);
        let large = GroupFacts { index_bytes: 49, ..segment(0, 1) };
        assert_eq!(groups(&[large, segment(10, 1)], &LIMITS), [1, 1]);
    }

    #[test]
    fn and_their_offsets() {
        let far = i64::from(i32::MAX);
        let at = |base, end| groups(&[segment(5, 1), segment(base, 1)], &GroupLimits { end, ..LIMITS });
        assert_eq!(at(far, far + 6), [2], "the last offset is just in reach");
        assert_eq!(at(far, far + 7), [1, 1]);
        let empty = [segment(5, 1), segment(far, 0), segment(far + 7, 1)];
        assert_eq!(groups(&empty, &GroupLimits { end: far + 9, ..LIMITS }), [2, 1], "an empty one needs no reach");
    }
}
