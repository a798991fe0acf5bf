// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! How the cost of bring-up grows with the CPUs: total = a + b N + c N², N being the CPUs that are
//! started, which is all but the boot CPU.
//!
//! `a` is what does not depend on their number, `b` what each one costs for itself, `c` what each
//! one costs for every other: a search through all CPUs per CPU, for instance.

use std::fmt;

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ContinuousCDF as _, StudentsT};
use thiserror::Error;

use crate::inference::{CONFIDENCE, Interval};

/// A coefficient, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficient {
    /// Its value.
    pub value: f64,
    /// Where it lies; `None` where there are no more points than coefficients.
    pub interval: Option<Interval>,
}

impl Coefficient {
    /// Whether it is told apart from zero; `None` if that cannot be said.
    pub fn is_there(&self) -> Option<bool> {
        self.interval.map(|interval| !interval.contains(0.0))
    }
}

/// A fitted curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// What does not depend on the number of CPUs.
    pub constant: Coefficient,
    /// Per CPU.
    pub linear: Coefficient,
    /// Per pair of CPUs, so to say.
    pub quadratic: Coefficient,
    /// The largest number of CPUs that was measured, the boot CPU included.
    pub largest: u32,
    /// How many measurements it is made from.
    pub points: usize,
    /// The largest distance of a measurement from the curve, as a part of the measurement.
    pub worst_residual: f64,
}

/// Why there is no curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FitError {
    /// A curve with three coefficients goes through any two points.
    #[error("a fit needs three CPU counts or more, and there are {0}")]
    TooFew(usize),
    /// A total that is zero, negative or no number.
    #[error("a fit needs totals above zero")]
    NotPositive,
    /// Should not happen with three CPU counts.
    #[error("the fit has no solution")]
    Singular,
}

impl Fit {
    /// Fits points of CPU count and nanoseconds by least squares of the relative errors: a
    /// measurement of a second may be off by more nanoseconds than one of a millisecond.
    ///
    /// # Errors
    ///
    /// Fewer than three CPU counts, or a total that is not above zero.
    pub fn of(points: &[(u32, f64)]) -> Result<Self, FitError> {
        let mut counts: Vec<u32> = points.iter().map(|(cpus, _)| *cpus).collect();
        counts.sort_unstable();
        counts.dedup();
        let &[.., largest] = counts.as_slice() else { return Err(FitError::TooFew(0)) };
        if counts.len() < 3 {
            return Err(FitError::TooFew(counts.len()));
        }
        if points.iter().any(|(_, total)| !(total.is_finite() && *total > 0.0)) {
            return Err(FitError::NotPositive);
        }
        // In parts of the largest count, so that the columns are of the same size.
        let scale = started(f64::from(largest)).max(1.0);
        let design = DMatrix::from_fn(points.len(), 3, |row, column| {
            let (cpus, total) = points[row];
            (started(f64::from(cpus)) / scale).powi(i32::try_from(column).unwrap_or(0)) / total
        });
        let target = DVector::from_element(points.len(), 1.0);
        let solution = design
            .clone()
            .svd(true, true)
            .solve(&target, f64::EPSILON)
            .map_err(|_| FitError::Singular)?;
        let residuals = &target - &design * &solution;

        let freedom = points.len() - 3;
        let errors = (freedom > 0)
            .then(|| {
                let variance = residuals.norm_squared() / freedom as f64;
                let covariance = (design.transpose() * &design).try_inverse()? * variance;
                let t = StudentsT::new(0.0, 1.0, freedom as f64).ok()?;
                let quantile = t.inverse_cdf(1.0 - f64::from(100 - CONFIDENCE) / 200.0);
                Some(covariance.diagonal().map(|variance| quantile * variance.max(0.0).sqrt()))
            })
            .flatten();
        let coefficient = |index: usize| {
            let unit = scale.powi(i32::try_from(index).unwrap_or(0));
            let value = solution[index] / unit;
            let interval = errors.as_ref().map(|errors| {
                let error = errors[index] / unit;
                Interval { low: value - error, high: value + error }
            });
            Coefficient { value, interval }
        };
        Ok(Self {
            constant: coefficient(0),
            linear: coefficient(1),
            quadratic: coefficient(2),
            largest,
            points: points.len(),
            worst_residual: residuals.amax(),
        })
    }

    /// The total at `cpus` CPUs by the curve, in nanoseconds; the boot CPU counts among them.
    pub fn at(&self, cpus: f64) -> f64 {
        let n = started(cpus);
        self.constant.value + self.linear.value * n + self.quadratic.value * n * n
    }

    /// The parts of the total at the largest count that are constant, linear and quadratic. They
    /// add up to one; one that is negative says that the curve bends the other way.
    pub fn shares(&self) -> [f64; 3] {
        let largest = f64::from(self.largest);
        let (n, total) = (started(largest), self.at(largest));
        [self.constant.value, self.linear.value * n, self.quadratic.value * n * n]
            .map(|part| part / total)
    }

    /// The shares in whole percents, for people.
    pub fn percents(&self) -> [f64; 3] {
        // No `-0 %`.
        self.shares().map(|share| (share * 100.0).round() + 0.0)
    }
}

/// N of a machine with `cpus` CPUs.
fn started(cpus: f64) -> f64 {
    (cpus - 1.0).max(0.0)
}

impl fmt::Display for Fit {
    /// The verdict in plain words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [constant, linear, quadratic] = self.percents();
        write!(
            f,
            "at {} CPUs {constant} % is constant, {linear} % serial (the same for each CPU), \
             {quadratic} % quadratic",
            self.largest
        )?;
        f.write_str(match (self.quadratic.is_there(), self.quadratic.value > 0.0) {
            (Some(true), true) => "; it grows with the square of the CPUs",
            (Some(true), false) => "; it grows less than in proportion to the CPUs",
            (Some(false), _) => "; the quadratic part cannot be told from zero",
            (None, _) => "; too few points to say how sure that is",
        })?;
        if self.worst_residual > 0.05 {
            write!(
                f,
                "; the curve misses a point by {:.0} %, so take the parts with care",
                self.worst_residual * 100.0
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-6 * b.abs().max(1.0)
    }

    #[test]
    fn finds_the_curve_that_made_the_points() {
        let curve = |cpus: u32| {
            let n = f64::from(cpus - 1);
            1e6 + 250_000.0 * n + 900.0 * n * n
        };
        let points: Vec<_> = [4, 16, 64, 128].map(|n| (n, curve(n))).to_vec();
        let fit = Fit::of(&points).unwrap();
        assert!(close(fit.constant.value, 1e6), "{fit:?}");
        assert!(close(fit.linear.value, 250_000.0) && close(fit.quadratic.value, 900.0), "{fit:?}");
        assert!(close(fit.at(32.0), curve(32)));
        assert!(close(fit.shares().iter().sum(), 1.0));
        assert!(fit.worst_residual < 1e-9);
        assert_eq!(fit.quadratic.is_there(), Some(true));
        assert_eq!(
            fit.to_string(),
            "at 128 CPUs 2 % is constant, 67 % serial (the same for each CPU), 31 % quadratic; \
             it grows with the square of the CPUs"
        );
    }

    #[test]
    fn the_unpatched_kernel_is_quadratic() {
        // Linux 7.3.4 under icount: 16, 64 and 128 CPUs, two runs each.
        let points = [
            (16, 3.961e6),
            (16, 3.961e6),
            (64, 26.003e6),
            (64, 26.006e6),
            (128, 79.303e6),
            (128, 79.306e6),
        ];
        let fit = Fit::of(&points).unwrap();
        assert_eq!(fit.quadratic.is_there(), Some(true));
        assert!(fit.shares()[2] > 0.5, "{fit}");
    }

    #[test]
    fn noise_does_not_make_a_quadratic_part() {
        let noise = [0.99, 1.02, 1.0, 0.98, 1.01, 1.0, 1.015, 0.985];
        let counts = [4, 4, 16, 16, 64, 64, 128, 128];
        let points: Vec<_> = counts
            .iter()
            .zip(noise)
            .map(|(&n, factor)| (n, 3e5 * started(f64::from(n)) * factor))
            .collect();
        let fit = Fit::of(&points).unwrap();
        assert_eq!(fit.quadratic.is_there(), Some(false), "{fit:?}");
        assert!(fit.linear.interval.unwrap().contains(3e5), "{fit:?}");
        assert!(fit.to_string().contains("cannot be told from zero"), "{fit}");
    }

    #[test]
    fn intervals_are_those_of_student() {
        // One degree of freedom is left.
        let points = [(1, 10.0), (2, 21.0), (3, 30.0), (4, 42.0)];
        let fit = Fit::of(&points).unwrap();
        let interval = fit.linear.interval.unwrap();
        let t = 12.706_204_736_432_095;
        let half = (interval.high - interval.low) / 2.0;
        // The same by the normal equations, written out.
        let (mut xtx, mut rss) = (nalgebra::Matrix3::zeros(), 0.0);
        for (n, y) in points {
            let row = {
                let n = started(f64::from(n));
                nalgebra::Vector3::new(1.0, n, n.powi(2)) / y
            };
            xtx += row * row.transpose();
            rss += (1.0 - fit.at(f64::from(n)) / y).powi(2);
        }
        let error = (xtx.try_inverse().unwrap()[(1, 1)] * rss).sqrt();
        assert!((half / (t * error) - 1.0).abs() < 1e-6, "{half} {}", t * error);
    }

    #[test]
    fn says_what_it_lacks() {
        assert_eq!(Fit::of(&[]), Err(FitError::TooFew(0)));
        assert_eq!(Fit::of(&[(4, 1.0), (8, 2.0), (8, 2.0)]), Err(FitError::TooFew(2)));
        assert_eq!(Fit::of(&[(4, 1.0), (8, 2.0), (9, 0.0)]), Err(FitError::NotPositive));
        let fit = Fit::of(&[(4, 1.0), (8, 2.0), (9, 3.0)]).unwrap();
        assert_eq!((fit.linear.interval, fit.linear.is_there()), (None, None));
        assert!(fit.to_string().contains("too few points"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(points in prop::collection::vec((1_u32..600, 1.0..1e18_f64), 0..20)) {
            if let Ok(fit) = Fit::of(&points) {
                prop_assert!(!fit.to_string().is_empty());
            }
        }
    }
}
