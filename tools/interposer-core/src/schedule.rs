// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How long a CPU takes, and ticks of the counter.

/// The latency of a CPU's start in nanoseconds: between `min` and `max`, both included, evenly
/// spread, and the same whenever `seed`, `cpu` and `attempt` are. A `max` below `min` counts as `min`.
pub fn latency_ns(min: u64, max: u64, seed: u64, cpu: u64, attempt: u64) -> u64 {
    let Some(range) = max.checked_sub(min).filter(|&range| range > 0) else { return min };
    let random = splitmix(splitmix(splitmix(seed) ^ cpu) ^ attempt);
    match range.checked_add(1) {
        // The bias of the remainder is 2^-20 for a range of an hour.
        Some(count) => min + random % count,
        None => random,
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): one step from the state `x`.
fn splitmix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const SECOND: u64 = 1_000_000_000;

/// Ticks of a counter of `frequency` Hz as nanoseconds, rounded down. A frequency of 0 counts as 1.
pub fn ticks_to_ns(ticks: u64, frequency: u64) -> u64 {
    convert(ticks, frequency.max(1), SECOND)
}

/// Nanoseconds as ticks of a counter of `frequency` Hz, rounded down.
pub fn ns_to_ticks(ns: u64, frequency: u64) -> u64 {
    convert(ns, SECOND, frequency)
}

/// `value` in units of `from` per second in those of `to` per second; both fit into 32 bits or
/// nearly so, thus no product overflows before the result does. That saturates.
fn convert(value: u64, from: u64, to: u64) -> u64 {
    let whole = (value / from).saturating_mul(to);
    whole.saturating_add((value % from).saturating_mul(to) / from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // The first outputs for the seed 1234567, as in the reference implementation's tests.
        let gamma = 0x9e37_79b9_7f4a_7c15_u64;
        let outputs: [u64; 3] = core::array::from_fn(|step| {
            splitmix(1_234_567_u64.wrapping_add(gamma.wrapping_mul(step as u64)))
        });
        assert_eq!(outputs, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn a_range_is_filled_evenly_and_repeats() {
        let of = |cpu| latency_ns(5_000_000, 120_000_000, 1, cpu, 0);
        let mean = (0..512).map(of).sum::<u64>() / 512;
        assert!((58_000_000..67_000_000).contains(&mean), "{mean}");
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        assert_ne!(of(3), latency_ns(5_000_000, 120_000_000, 2, 3, 0));
        assert_ne!(of(3), latency_ns(5_000_000, 120_000_000, 1, 3, 1));
        assert_eq!(latency_ns(7, 7, 1, 1, 1), 7);
        assert_eq!(latency_ns(7, 0, 1, 1, 1), 7);
    }

    #[test]
    fn ticks_and_nanoseconds() {
        assert_eq!(ticks_to_ns(1, 62_500_000), 16);
        assert_eq!(ns_to_ticks(76_000_000, 62_500_000), 4_750_000);
        assert_eq!(ns_to_ticks(76_000_000, 1_000_000_000), 76_000_000);
        // Ten years do not overflow, and what does saturates.
        assert_eq!(ticks_to_ns(62_500_000 * 315_360_000, 62_500_000), 315_360_000 * SECOND);
        assert_eq!(ticks_to_ns(u64::MAX, 1), u64::MAX);
        assert_eq!(ticks_to_ns(5, 0), 5 * SECOND);
    }

    proptest! {
        #[test]
        fn a_latency_is_in_its_range(min: u64, max: u64, seed: u64, cpu: u64) {
            let latency = latency_ns(min, max, seed, cpu, 0);
            prop_assert!(latency >= min && latency <= max.max(min));
        }
    }
}
