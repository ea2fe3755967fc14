//! Where the replicas of new partitions go.
//!
//! The brokers stand in a circle in which racks alternate. Leaders go round it; the followers of a partition are the next
//! brokers after its leader, a step further each time the leaders have been round, so that followers are spread as well.
//! No rack gets a second replica before every rack has one, and a fenced broker gets one only when the others do not
//! suffice, never a leader's place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A broker that may be given replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsableBroker {
    pub(crate) id: i32,
    pub(crate) rack: Option<String>,
    pub(crate) fenced: bool,
}

/// Why replicas cannot be placed (all INVALID_REPLICATION_FACTOR).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlacementError {
    #[error("Invalid replication factor {0}: the replication factor must be positive.")]
    NotPositive(i16),
    #[error(
        "The target replication factor of {wanted} cannot be reached because only {registered} broker(s) are registered."
    )]
    TooFewBrokers { wanted: i16, registered: usize },
    #[error("All brokers are currently fenced.")]
    AllFenced,
}

/// Places `partitions` partitions, the first of which is number `first` of its topic; `seed` says where on the circle to
/// begin. Each result lists the replicas, the preferred leader first.
pub(crate) fn place(
    brokers: &[UsableBroker],
    first: usize,
    partitions: usize,
    replication_factor: i16,
    seed: u64,
) -> Result<Vec<Vec<i32>>, PlacementError> {
    let wanted = usize::try_from(replication_factor).ok().filter(|n| *n > 0);
    let wanted = wanted.ok_or(PlacementError::NotPositive(replication_factor))?;
    if wanted > brokers.len() {
        return Err(PlacementError::TooFewBrokers { wanted: replication_factor, registered: brokers.len() });
    }
    let circle = circle(brokers.iter().filter(|b| !b.fenced));
    if circle.is_empty() {
        return Err(PlacementError::AllFenced);
    }
    let fenced: Vec<&UsableBroker> = brokers.iter().filter(|b| b.fenced).collect();
    let racks = circle.iter().map(|b| &b.rack).collect::<BTreeSet<_>>().len();
    let n = circle.len();
    let start = (seed % n as u64) as usize;
    Ok((first..first + partitions)
        .map(|partition| {
            let leader = (start + partition) % n;
            let shift = (seed / n as u64) as usize % n + partition / n;
            let followers = (0..n - 1).map(|k| (leader + 1 + (shift + k) % (n - 1)) % n);
            let order: Vec<&UsableBroker> =
                std::iter::once(leader).chain(followers).filter_map(|i| circle.get(i).copied()).collect();
            choose(&order, &fenced, racks, wanted)
        })
        .collect())
}

/// Takes brokers in order, first one of each rack, then the rest, then the fenced ones.
fn choose(order: &[&UsableBroker], fenced: &[&UsableBroker], racks: usize, wanted: usize) -> Vec<i32> {
    let mut chosen: Vec<i32> = Vec::with_capacity(wanted);
    let mut used: BTreeSet<&Option<String>> = BTreeSet::new();
    for broker in order {
        if chosen.len() < wanted && used.len() < racks && used.insert(&broker.rack) {
            chosen.push(broker.id);
        }
    }
    for broker in order.iter().chain(fenced) {
        if chosen.len() < wanted && !chosen.contains(&broker.id) {
            chosen.push(broker.id);
        }
    }
    chosen
}

/// The brokers with their racks alternating.
fn circle<'a>(brokers: impl Iterator<Item = &'a UsableBroker>) -> Vec<&'a UsableBroker> {
    let mut by_rack: BTreeMap<&Option<String>, VecDeque<&UsableBroker>> = BTreeMap::new();
    for broker in brokers {
        by_rack.entry(&broker.rack).or_default().push_back(broker);
    }
    let mut circle = Vec::new();
    while by_rack.values().any(|rack| !rack.is_empty()) {
        circle.extend(by_rack.values_mut().filter_map(VecDeque::pop_front));
    }
    circle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32, rack: Option<&str>, fenced: bool) -> UsableBroker {
        UsableBroker { id, rack: rack.map(str::to_owned), fenced }
    }

    fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
        items.fold(BTreeMap::new(), |mut map, item| {
            *map.entry(item).or_default() += 1;
            map
        })
    }

    #[test]
    fn leaders_and_replicas_are_spread_evenly() {
        let brokers: Vec<_> = (0..6).map(|id| broker(id, None, false)).collect();
        for seed in 0..20 {
            let placed = place(&brokers, 0, 60, 3, seed).expect("placed");
            assert!(count(placed.iter().map(|r| r[0])).values().all(|n| *n == 10));
            assert!(count(placed.iter().flatten().copied()).values().all(|n| *n == 30));
            assert!(placed.iter().all(|r| r.iter().collect::<BTreeSet<_>>().len() == 3));
        }
    }

    #[test]
    fn each_rack_gets_one_before_any_gets_two() {
        let brokers: Vec<_> = (0..6).map(|id| broker(id, Some(["a", "b", "c"][id as usize % 3]), false)).collect();
        for seed in 0..20 {
            for replicas in place(&brokers, 0, 18, 3, seed).expect("placed") {
                assert_eq!(replicas.iter().map(|id| id % 3).collect::<BTreeSet<_>>().len(), 3, "{replicas:?}");
            }
            for replicas in place(&brokers, 0, 18, 4, seed).expect("placed") {
                assert_eq!(replicas.iter().map(|id| id % 3).collect::<BTreeSet<_>>().len(), 3, "{replicas:?}");
            }
        }
    }

    #[test]
    fn a_fenced_broker_is_the_last_resort_and_never_leads() {
        let brokers = [broker(0, None, false), broker(1, None, true), broker(2, None, false)];
        assert!(place(&brokers, 0, 10, 2, 5).expect("placed").iter().flatten().all(|id| *id != 1));
        assert!(place(&brokers, 0, 10, 3, 5).expect("placed").iter().all(|r| r[2] == 1));
    }

    #[test]
    fn what_cannot_be_placed_is_refused() {
        let one = [broker(1, None, false)];
        let refused = PlacementError::TooFewBrokers { wanted: 2, registered: 1 };
        assert_eq!(place(&one, 0, 1, 2, 0), Err(refused));
        assert_eq!(place(&one, 0, 1, 0, 0), Err(PlacementError::NotPositive(0)));
        assert_eq!(place(&[broker(1, None, true)], 0, 1, 1, 0), Err(PlacementError::AllFenced));
        assert_eq!(place(&one, 0, 2, 1, 9), Ok(vec![vec![1], vec![1]]));
    }
}
