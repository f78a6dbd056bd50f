//! Which chunks of a document: ranges of ordinals. Pure.

/// Ordinals as ranges, ascending, none touching the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// The ranges of these borders, two each, the second not included; what makes no sense is left
    /// out.
    pub(super) fn of_borders(borders: &[i64]) -> Self {
        let mut ranges = Self::default();
        for pair in borders.chunks_exact(2) {
            if let (Ok(first), Ok(end)) = (u32::try_from(pair[0]), u32::try_from(pair[1])) {
                ranges.add(first, end);
            }
        }
        ranges
    }

    /// The borders of the ranges, two each.
    pub(super) fn borders(&self) -> impl Iterator<Item = i64> {
        self.0.iter().flat_map(|(first, end)| [i64::from(*first), i64::from(*end)])
    }

    /// How many ordinals there are.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(first, end)| u64::from(end - first)).sum()
    }

    /// Adds the ordinals from `first` on and below `end`.
    pub(super) fn add(&mut self, first: u32, end: u32) {
        if first >= end {
            return;
        }
        let (mut first, mut end) = (first, end);
        self.0.retain(|(known, until)| {
            let apart = *until < first || *known > end;
            if !apart {
                (first, end) = (first.min(*known), end.max(*until));
            }
            apart
        });
        let at = self.0.partition_point(|(known, _)| *known < first);
        self.0.insert(at, (first, end));
    }

    /// Those of the ordinals from `first` on and below `end` that are in the ranges.
    pub(super) fn within(&self, first: u32, end: u32) -> Vec<u32> {
        let within = |(known, until): &(u32, u32)| (*known).max(first)..(*until).min(end);
        self.0.iter().flat_map(within).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;

    #[track_caller]
    fn check(added: &[(u32, u32)], expected: &[(u32, u32)]) {
        let mut ranges = Ranges::default();
        added.iter().for_each(|(first, end)| ranges.add(*first, *end));
        assert_eq!(ranges.0, expected);
        let ordinals: std::collections::BTreeSet<u32> =
            added.iter().flat_map(|(first, end)| *first..*end).collect();
        assert_eq!(ranges.count(), ordinals.len() as u64);
        assert_eq!(ranges.within(3, 8), ordinals.range(3..8).copied().collect::<Vec<_>>());
        let borders: Vec<i64> = ranges.borders().collect();
        assert_eq!(Ranges::of_borders(&borders), ranges);
    }

    #[test]
    fn ranges_that_touch_or_overlap_are_one() {
        check(&[(0, 2), (2, 4)], &[(0, 4)]);
        check(&[(5, 7), (0, 2), (1, 6)], &[(0, 7)]);
        check(&[(0, 9), (3, 4)], &[(0, 9)]);
    }

    #[test]
    fn ranges_apart_stay_apart_and_in_order() {
        check(&[(6, 8), (0, 2), (3, 5)], &[(0, 2), (3, 5), (6, 8)]);
        check(&[(4, 4), (5, 3)], &[]);
    }

    #[test]
    fn borders_without_sense_are_left_out() {
        assert_eq!(Ranges::of_borders(&[3, 1, -2, 4, 5, 9, 7]), Ranges(vec![(5, 9)]));
    }
}
