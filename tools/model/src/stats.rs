// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a few dozen figures, one per CPU, have in common.

use serde::{Deserialize, Serialize};

use crate::timeline::{Cpu, Phase};

/// The smallest, the middle and the largest of some figures, in nanoseconds, and whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// The middle one; of an even number of figures, the mean of the two middle ones rounded down.
    pub median: u64,
    /// The largest.
    pub max: u64,
    /// The CPU with the smallest; of several, the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_cpu: Option<u32>,
    /// The CPU with the largest; of several, the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cpu: Option<u32>,
}

impl Spread {
    /// The spread of figures that are given with their CPU; `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = (u32, u64)>) -> Option<Self> {
        let mut sorted: Vec<(u64, u32)> =
            figures.into_iter().map(|(cpu, figure)| (figure, cpu)).collect();
        sorted.sort_unstable();
        let &(min, min_cpu) = sorted.first()?;
        let &(max, _) = sorted.last()?;
        let max_cpu = sorted.iter().find(|(figure, _)| *figure == max).map(|(_, cpu)| *cpu);
        let values: Vec<u64> = sorted.iter().map(|(figure, _)| *figure).collect();
        Some(Self { min, median: median(&values)?, max, min_cpu: Some(min_cpu), max_cpu })
    }

    /// The spread of one phase over all CPUs that went through it.
    pub fn of_phase(cpus: &[Cpu], phase: Phase) -> Option<Self> {
        Self::of(cpus.iter().filter_map(|cpu| Some((cpu.cpu, cpu.duration(phase)?))))
    }
}

/// The median of figures in ascending order: the middle one, or the mean of the two middle ones.
pub fn median(sorted: &[u64]) -> Option<u64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(u64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_the_middle_and_the_extremes() {
        assert_eq!(Spread::of([]), None);
        let spread = |figures: &[u64]| Spread::of((1..).zip(figures.iter().copied())).unwrap();
        let one = spread(&[7]);
        assert_eq!((one.min, one.median, one.max), (7, 7, 7));
        assert_eq!((one.min_cpu, one.max_cpu), (Some(1), Some(1)));
        assert_eq!(spread(&[3, 1, 2]).median, 2);
        assert_eq!(spread(&[4, 1, 2, 9]).median, 3);
        assert_eq!(spread(&[2, 1]).median, 1);
        assert_eq!(spread(&[u64::MAX, u64::MAX]).median, u64::MAX);
        let ties = spread(&[5, 1, 9, 1, 9]);
        assert_eq!((ties.min_cpu, ties.max_cpu), (Some(2), Some(3)));
    }

    #[test]
    fn leaves_out_cpus_that_did_not_go_through_a_phase() {
        let timeline = crate::samples::with_failure(8);
        let kicked = Spread::of_phase(&timeline.cpus, Phase::KickToKicked).unwrap();
        assert!(kicked.min <= kicked.median && kicked.median <= kicked.max);
        assert_eq!(Spread::of_phase(&timeline.cpus[..1], Phase::KickToKicked), None);
    }

    proptest! {
        #[test]
        fn is_ordered(figures in prop::collection::vec(any::<(u32, u64)>(), 1..50)) {
            let spread = Spread::of(figures.clone()).unwrap();
            prop_assert!(spread.min <= spread.median && spread.median <= spread.max);
            prop_assert!(figures.contains(&(spread.min_cpu.unwrap(), spread.min)));
            prop_assert!(figures.contains(&(spread.max_cpu.unwrap(), spread.max)));
        }
    }
}
