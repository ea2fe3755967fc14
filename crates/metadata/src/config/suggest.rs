//! The valid name nearest to one that is not.

/// The name that a typing error most likely made of `given`; `None` if nothing is near.
pub fn nearest<'n>(given: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let given: Vec<char> = given.chars().take(LENGTH_MAX).map(|c| c.to_ascii_lowercase()).collect();
    let bound = (given.len() / 4).max(2);
    let scored = names.map(|name| (distance(&given, &name.chars().collect::<Vec<_>>()), name));
    scored.filter(|(distance, _)| *distance <= bound).min().map(|(_, name)| name)
}

/// Longest part of a name that is compared; no property of Kafka is longer.
const LENGTH_MAX: usize = 100;

/// Characters to insert, remove, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        let mut left = i + 1;
        row.push(left);
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let replace = at(&above, j) + usize::from(ca != cb);
            left = replace.min(at(&above, j + 1) + 1).min(left + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                left = left.min(at(&before, j - 1) + 1);
            }
            row.push(left);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_name() {
        let names = || ["retention.ms", "retention.bytes", "segment.ms"].into_iter();
        for given in ["retention.mss", "retenton.ms", "rentetion.ms", "RETENTION.MS", "retention_ms"] {
            assert_eq!(nearest(given, names()), Some("retention.ms"), "{given}");
        }
        assert_eq!(nearest("compression", names()), None);
        assert_eq!(nearest("", names()), None);
    }
}
