// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Nanoseconds in the unit that fits them, with three significant digits.

use crate::stats::Spread;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// The unit in which `ns` nanoseconds have one to three digits before the point.
    pub fn of(ns: u64) -> Self {
        match ns {
            0..1_000 => Self::Nanoseconds,
            // Figures that would be rounded to a thousand are one of the next unit.
            1_000..999_500 => Self::Microseconds,
            999_500..999_500_000 => Self::Milliseconds,
            _ => Self::Seconds,
        }
    }

    /// How it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }

    /// Its length in nanoseconds.
    pub fn ns(self) -> u64 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
        }
    }

    /// `ns` nanoseconds in this unit, without its symbol.
    pub fn figure(self, ns: u64) -> String {
        if ns == 0 || self == Self::Nanoseconds {
            return ns.to_string();
        }
        let value = ns as f64 / self.ns() as f64;
        // Counted on the rounded figure, so that 9.999 becomes 10.0 and not 10.00.
        let decimals = match value {
            99.95.. => 0,
            9.995.. => 1,
            0.9995.. => 2,
            _ => 3,
        };
        format!("{value:.decimals$}")
    }
}

/// `ns` nanoseconds, as `3.96 ms`.
pub fn duration(ns: u64) -> String {
    let unit = Unit::of(ns);
    format!("{} {}", unit.figure(ns), unit.symbol())
}

/// A spread in one unit, as `1.20/3.96/17.3 ms`, so that its figures compare by eye; each in its
/// own unit where one unit would take too many digits.
pub fn spread(spread: &Spread) -> String {
    let Spread { min, median, max, .. } = *spread;
    let unit = Unit::of(median);
    let fits =
        |ns: u64| ns == 0 || (unit.ns() / 100..unit.ns().saturating_mul(10_000)).contains(&ns);
    if fits(min) && fits(max) {
        let [min, median, max] = [min, median, max].map(|ns| unit.figure(ns));
        format!("{min}/{median}/{max} {}", unit.symbol())
    } else {
        let [min, median, max] = [min, median, max].map(duration);
        format!("{min}/{median}/{max}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fits_the_unit() {
        for (ns, text) in [
            (0, "0 ns"),
            (1, "1 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (9_994, "9.99 us"),
            (9_996, "10.0 us"),
            (99_940, "99.9 us"),
            (99_960, "100 us"),
            (999_499, "999 us"),
            (999_500, "1.00 ms"),
            (3_961_000, "3.96 ms"),
            (79_303_000, "79.3 ms"),
            (999_999_999, "1.00 s"),
            (5_042_000_000, "5.04 s"),
            (175_000_000_000, "175 s"),
            (u64::MAX, "18446744074 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn shows_a_spread_in_one_unit_where_it_can() {
        let show =
            |min, median, max| spread(&Spread { min, median, max, min_cpu: None, max_cpu: None });
        assert_eq!(show(1_200, 3_960, 17_340), "1.20/3.96/17.3 us");
        assert_eq!(show(396, 3_960, 173_400), "0.396/3.96/173 us");
        assert_eq!(show(0, 0, 0), "0/0/0 ns");
        assert_eq!(show(0, 3_960, 1_734_000), "0/3.96/1734 us");
        assert_eq!(show(396, 3_960_000, 17_340_000), "396 ns/3.96 ms/17.3 ms");
    }

    proptest! {
        #[test]
        fn is_short(ns in 0u64..1_000_000_000_000) {
            prop_assert!(duration(ns).len() <= 7, "{}", duration(ns));
        }
    }
}
