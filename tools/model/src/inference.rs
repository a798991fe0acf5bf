// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What repeats of the same measurement say, and how sure one can be of it.
//!
//! Bring-up times are neither normal nor many: a slow run is a few times slower, a fast one hardly
//! faster. So everything here goes by ranks and resampling and assumes no distribution. Whatever
//! draws lots takes a seed: the same samples and seed give the same figures on every machine.

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use statrs::statistics::RankTieBreaker;
use statrs::statistics::{Data, Distribution as _, Max as _, Min as _, OrderStatistics as _};

/// How often samples are drawn anew for an interval. More changes the third digit only.
const RESAMPLES: usize = 4_000;
/// How many random divisions a permutation test tries where there are too many to try all.
const PERMUTATIONS: u64 = 9_999;
/// The most divisions that are all tried.
const EXACT: u64 = 20_000;
/// The part of intervals that covers the true value, in hundredths.
pub const CONFIDENCE: u32 = 95;

/// Where a figure lies with a confidence of [`CONFIDENCE`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` is inside, ends included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// What some samples have in common, in their unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many there are; one at least.
    pub count: usize,
    /// The smallest.
    pub min: f64,
    /// The middle one, or the mean of the two middle ones.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// The distance of the upper from the lower quartile.
    pub iqr: f64,
    /// The median of the distances from the median.
    pub mad: f64,
    /// Where the median lies; `None` with fewer than three samples.
    pub interval: Option<Interval>,
}

impl Summary {
    /// The summary of `samples`; `None` if there are none, or one that is no number.
    pub fn of(samples: &[f64], seed: u64) -> Option<Self> {
        if samples.is_empty() || samples.iter().any(|sample| !sample.is_finite()) {
            return None;
        }
        let mut data = Data::new(samples.to_vec());
        let median = data.median();
        let distances: Vec<f64> = samples.iter().map(|sample| (sample - median).abs()).collect();
        Some(Self {
            count: samples.len(),
            min: data.min(),
            median,
            max: data.max(),
            iqr: data.interquartile_range(),
            mad: Data::new(distances).median(),
            interval: bootstrap(seed, |rng| Some(median_of_resample(samples, rng)))
                .filter(|_| samples.len() >= 3),
        })
    }
}

/// The median of samples, zero if there are none.
fn median(samples: Vec<f64>) -> f64 {
    if samples.is_empty() { 0.0 } else { Data::new(samples).median() }
}

fn median_of_resample(samples: &[f64], rng: &mut Pcg64) -> f64 {
    median((0..samples.len()).map(|_| samples[rng.random_range(0..samples.len())]).collect())
}

/// The percentile interval of what `draw` yields; `None` if it yields nothing.
fn bootstrap(seed: u64, mut draw: impl FnMut(&mut Pcg64) -> Option<f64>) -> Option<Interval> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let drawn: Option<Vec<f64>> = (0..RESAMPLES).map(|_| draw(&mut rng)).collect();
    let mut drawn = Data::new(drawn?);
    let tail = f64::from(100 - CONFIDENCE) / 200.0;
    Some(Interval { low: drawn.quantile(tail), high: drawn.quantile(1.0 - tail) })
}

/// How two arms differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The median of the second as a multiple of that of the first.
    pub ratio: f64,
    /// Where the ratio lies; `None` if an arm has fewer than three samples.
    pub interval: Option<Interval>,
    /// How likely a difference of ranks as large as this one is if the arms do not differ.
    pub p: f64,
    /// Cliff's delta: how much more often a sample of the second is above one of the first than
    /// below it. 1: always; 0: as often; -1: never.
    pub delta: f64,
}

impl Difference {
    /// The difference of `second` from `first`; `None` if one is empty or has a median that is not
    /// above zero.
    pub fn of(first: &[f64], second: &[f64], seed: u64) -> Option<Self> {
        let (reference, other) = (Summary::of(first, seed)?, Summary::of(second, seed)?);
        if reference.median <= 0.0 || other.median <= 0.0 {
            return None;
        }
        let interval = bootstrap(seed, |rng| {
            let below = median_of_resample(first, rng);
            (below > 0.0).then(|| median_of_resample(second, rng) / below)
        });
        Some(Self {
            ratio: other.median / reference.median,
            interval: interval.filter(|_| first.len() >= 3 && second.len() >= 3),
            p: permutation_test(first, second, seed),
            delta: cliffs_delta(first, second),
        })
    }
}

/// The two-sided permutation test of the sum of ranks. Every division of the samples is tried, or
/// 9999 random ones where there are more than 20000.
///
/// With few samples it cannot be small: it is at least 2 / C(n + m, n), which is 0.1 for three and
/// three.
pub fn permutation_test(first: &[f64], second: &[f64], seed: u64) -> f64 {
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let mut ranks = Data::new(all).ranks(RankTieBreaker::Average);
    let count = first.len();
    let Some(mean) = Data::new(ranks.clone()).mean() else { return 1.0 };
    let expected = mean * count as f64;
    let observed = (ranks[..count].iter().sum::<f64>() - expected).abs();
    // Sums of ranks are multiples of a half: whatever is less apart is the same.
    let as_far = |sum: f64| (sum - expected).abs() > observed - 0.25;

    match divisions(ranks.len(), count) {
        Some(total) if total <= EXACT => {
            let mut far = 0_u64;
            subsets(&ranks, count, 0.0, &mut |sum| far += u64::from(as_far(sum)));
            far as f64 / total as f64
        }
        _ => {
            let mut rng = Pcg64::seed_from_u64(seed);
            let far = (0..PERMUTATIONS)
                .filter(|_| {
                    ranks.shuffle(&mut rng);
                    as_far(ranks[..count].iter().sum())
                })
                .count();
            // The division that was observed is one of them.
            (far as f64 + 1.0) / (PERMUTATIONS as f64 + 1.0)
        }
    }
}

/// In how many ways `count` can be taken from `total`; `None` if that is beyond 64 bits.
fn divisions(total: usize, count: usize) -> Option<u64> {
    let mut result = 1_u64;
    for taken in 0..count.min(total - count) {
        let (left, taken) = (u64::try_from(total - taken).ok()?, u64::try_from(taken).ok()?);
        result = result.checked_mul(left)? / (taken + 1);
    }
    Some(result)
}

/// Calls `visit` with the sum of each choice of `count` of the `values`.
fn subsets(values: &[f64], count: usize, sum: f64, visit: &mut impl FnMut(f64)) {
    if count == 0 {
        return visit(sum);
    }
    for (index, value) in values.iter().enumerate() {
        if values.len() - index < count {
            break;
        }
        subsets(&values[index + 1..], count - 1, sum + value, visit);
    }
}

/// See [`Difference::delta`]; zero if one is empty.
pub fn cliffs_delta(first: &[f64], second: &[f64]) -> f64 {
    let pairs = first.len() * second.len();
    if pairs == 0 {
        return 0.0;
    }
    let sign =
        |below: f64, above: f64| f64::from(i8::from(above > below) - i8::from(above < below));
    let sum: f64 = first.iter().flat_map(|&a| second.iter().map(move |&b| sign(a, b))).sum();
    sum / pairs as f64
}

/// Cliff's delta in words, with the bounds of Romano and others (2006).
pub fn effect_in_words(delta: f64) -> &'static str {
    match delta.abs() {
        0.474.. => "large",
        0.33.. => "medium",
        0.147.. => "small",
        _ => "negligible",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Means of `count` groups of twelve uniform numbers: close to normal, with mean 0 and variance 1.
    fn normal(count: usize, seed: u64) -> Vec<f64> {
        let mut rng = Pcg64::seed_from_u64(seed);
        (0..count).map(|_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0).collect()
    }

    #[test]
    fn summarises_known_samples() {
        let summary = Summary::of(&[1.0, 2.0, 3.0, 4.0, 100.0], 1).unwrap();
        assert_eq!((summary.count, summary.median, summary.mad), (5, 3.0, 1.0));
        assert_eq!((summary.min, summary.max), (1.0, 100.0));
        let interval = summary.interval.unwrap();
        assert!(
            interval.low >= 1.0 && interval.low <= 2.0 && interval.high == 100.0,
            "{interval:?}"
        );
        assert_eq!(Summary::of(&[2.0, 1.0], 1).unwrap().interval, None);
        assert_eq!(Summary::of(&[2.0, 1.0], 1).unwrap().median, 1.5);
        assert_eq!(Summary::of(&[], 1), None);
        assert_eq!(Summary::of(&[f64::NAN], 1), None);
        // Hyndman and Fan's eighth definition, as statrs has it: the quartiles of 1 to 9.
        let nine: Vec<f64> = (1..10).map(f64::from).collect();
        assert!((Summary::of(&nine, 1).unwrap().iqr - 14.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let samples = normal(9, 3);
        assert_eq!(Summary::of(&samples, 7), Summary::of(&samples, 7));
        assert_ne!(
            Summary::of(&samples, 7).unwrap().interval,
            Summary::of(&normal(9, 4), 7).unwrap().interval
        );
    }

    #[test]
    fn intervals_cover_the_true_median_as_often_as_they_say() {
        let covered = (0..300)
            .filter(|&seed| {
                let samples: Vec<f64> = normal(15, seed).iter().map(|x| x + 50.0).collect();
                Summary::of(&samples, 1).unwrap().interval.unwrap().contains(50.0)
            })
            .count();
        // 285 of 300 are expected; the percentile interval is a little narrow for few samples.
        assert!((270..=299).contains(&covered), "{covered}");
    }

    #[test]
    fn the_permutation_test_is_exact_for_few_samples() {
        // The table of Mann and Whitney: three below three is the most extreme of 20 divisions.
        let p = permutation_test(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 1);
        assert!((p - 2.0 / 20.0).abs() < 1e-12, "{p}");
        // U = 4 for five and five: 2 * 0.0476 by the table of the exact distribution (12 of 252).
        let p = permutation_test(&[1.0, 2.0, 3.0, 5.0, 8.0], &[4.0, 6.0, 7.0, 9.0, 10.0], 1);
        assert!((p - 24.0 / 252.0).abs() < 1e-9, "{p}");
        assert_eq!(permutation_test(&[5.0; 4], &[5.0; 4], 1), 1.0);
        // The order of the arms does not matter.
        assert_eq!(
            permutation_test(&[9.0, 8.0], &[1.0], 1),
            permutation_test(&[1.0], &[9.0, 8.0], 1)
        );
    }

    #[test]
    fn the_permutation_test_by_lot_comes_close_to_the_approximation() {
        let (a, b) = (normal(12, 1), normal(12, 2).iter().map(|x| x + 1.0).collect::<Vec<_>>());
        let p = permutation_test(&a, &b, 1);
        // The same test by its normal approximation, which is good for so many samples.
        let other = statrs::stats_tests::mannwhitneyu::mannwhitneyu(
            &a,
            &b,
            statrs::stats_tests::mannwhitneyu::MannWhitneyUMethod::AsymptoticInclContinuityCorrection,
            statrs::stats_tests::Alternative::TwoSided,
        )
        .unwrap()
        .1;
        assert!((p - other).abs() < 0.01, "{p} {other}");
    }

    #[test]
    fn equal_arms_rarely_look_different() {
        let different = (0..200)
            .filter(|&seed| {
                permutation_test(&normal(6, 2 * seed), &normal(6, 2 * seed + 1), 1) <= 0.05
            })
            .count();
        assert!((1..=20).contains(&different), "{different} of 200");
    }

    #[test]
    fn differences_have_size_and_direction() {
        let a: Vec<f64> = normal(10, 1).iter().map(|x| 100.0 + x).collect();
        let b: Vec<f64> = a.iter().map(|x| x * 1.2).collect();
        let difference = Difference::of(&a, &b, 1).unwrap();
        assert!((difference.ratio - 1.2).abs() < 1e-9);
        assert!(difference.interval.unwrap().contains(1.2));
        assert!(!difference.interval.unwrap().contains(1.1));
        assert_eq!((difference.delta, effect_in_words(difference.delta)), (1.0, "large"));
        assert!(difference.p < 0.001, "{}", difference.p);
        assert_eq!(Difference::of(&b, &a, 1).unwrap().delta, -1.0);
        assert_eq!(effect_in_words(cliffs_delta(&a, &a)), "negligible");
        assert_eq!(Difference::of(&[], &a, 1), None);
        assert_eq!(Difference::of(&[0.0], &a, 1), None);
        assert_eq!(Difference::of(&[1.0], &a, 1).unwrap().interval, None);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            a in prop::collection::vec(0.0..1e18_f64, 0..12),
            b in prop::collection::vec(0.0..1e18_f64, 0..12),
        ) {
            if let Some(difference) = Difference::of(&a, &b, 1) {
                prop_assert!(difference.p > 0.0 && difference.p <= 1.0);
                prop_assert!((-1.0..=1.0).contains(&difference.delta));
            }
        }
    }
}
