// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask compare`: two results files.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use bringup_model::bench::Figure;
use bringup_model::compare::{NotComparable, Pair, compare, left_out};
use bringup_model::identity;
use bringup_model::render;
use bringup_model::results::{Results, Run};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::report;
use crate::context::Context;
use crate::error::Failure;

/// Say how one results file differs from another
///
/// Compares arms of the same name, or the only arm of each file. Refuses what cannot be compared:
/// runs with different clocks, accelerators, firmware, CPU counts, layouts or faults.
#[derive(Debug, Args)]
pub struct Compare {
    /// The results to compare against
    #[arg(value_name = "A")]
    a: Utf8PathBuf,
    /// The results to compare with those of A
    #[arg(value_name = "B")]
    b: Utf8PathBuf,
    /// Compare this arm of A with that of B; may be given several times
    #[arg(long, value_name = "A:B", value_parser = arms)]
    arm: Vec<(String, String)>,
    /// Fail if B's total exceeds A's by more than this, or if B's runs fail more often
    #[arg(long, value_name = "PCT")]
    bound: Option<Bound>,
    /// Seed for the resampling
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

/// How much longer something may take: 0.05 for `5%` or `5`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound(pub f64);

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim_end();
        match number.parse::<f64>() {
            Ok(percent) if percent.is_finite() && percent >= 0.0 => Ok(Self(percent / 100.0)),
            _ => Err(format!("`{text}` is not a percentage such as `5%` or `2.5`")),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", (self.0 * 1e6).round() / 1e4)
    }
}

/// `A:B`, or one name for both.
fn arms(text: &str) -> Result<(String, String), String> {
    let (a, b) = text.split_once(':').unwrap_or((text, text));
    if a.is_empty() || b.is_empty() {
        return Err(format!("`{text}` is not ARM_OF_A:ARM_OF_B"));
    }
    Ok((a.to_owned(), b.to_owned()))
}

impl Compare {
    /// Runs the verb.
    pub fn run(self, _: &Context) -> Result<()> {
        let (a, b) = (read(&self.a)?, read(&self.b)?);
        let pairs = compare(&a, &b, &self.arm, self.seed).map_err(|why| {
            let text = format!("{} and {} cannot be compared: {why}", self.a, self.b);
            match why {
                // The worst regression there is.
                NotComparable::Empty("B") | NotComparable::AllFailed { file: "B", .. }
                    if self.bound.is_some() =>
                {
                    Failure::Check(text)
                }
                _ => Failure::Usage(text),
            }
        })?;
        put!("{}", render::bench::comparison(&pairs));
        if self.arm.is_empty() {
            let (only_a, only_b) = left_out(&a, &b, &pairs);
            for (file, only) in [(&self.a, &only_a), (&self.b, &only_b)] {
                if !only.is_empty() {
                    say!("only in {file}, and not compared: {}", only.join(", "));
                }
            }
            // An arm that is gone would be a pass that nobody sees.
            if self.bound.is_some() && !only_a.is_empty() {
                let text = format!(
                    "{} has no {}, so there is nothing to judge; use --arm to name the arms",
                    self.b,
                    only_a.join(", ")
                );
                return Err(Failure::Usage(text).into());
            }
        }
        match self.bound {
            Some(bound) => judge(&pairs, bound),
            None => Ok(()),
        }
    }
}

/// The runs of a file. Those of an arm have to be repeats of each other, in a merged file too.
fn read(file: &Utf8Path) -> Result<Vec<Run>> {
    let sources = report::read(file, file.as_str())?;
    let parts: Vec<&Results> = sources.iter().map(|source| &source.results).collect();
    if let [arm, ..] = identity::mixed(&parts).as_slice() {
        let text = format!(
            "{file}: its runs of {arm} are from several kernels or machines, so they are not \
             repeats of each other; `report` shows them side by side"
        );
        return Err(Failure::Usage(text).into());
    }
    Ok(sources.into_iter().flat_map(|source| source.results.runs).collect())
}

/// Success if no total got longer by more than `bound` for certain, and no more runs fail.
fn judge(pairs: &[Pair], bound: Bound) -> Result<()> {
    let shown = |pair: &Pair| format!("{} with {}", pair.arms(), pair.conditions);
    let has_total = |pair: &&Pair| {
        pair.rows.iter().any(|row| row.figure == pair.total && row.difference.is_some())
    };
    if let Some(pair) = pairs.iter().find(|pair| !has_total(pair)) {
        let text =
            format!("{}: no {} in both, so there is nothing to judge", shown(pair), Figure::Total);
        return Err(Failure::Usage(text).into());
    }
    let worse = |what: String, is_worse: &dyn Fn(&Pair) -> bool| {
        let found: Vec<String> = pairs.iter().filter(|pair| is_worse(pair)).map(shown).collect();
        (!found.is_empty()).then(|| format!("{what}: {}", found.join(", ")))
    };
    let longer = |pair: &Pair| pair.regression(bound.0).is_some();
    let found = [
        worse(format!("longer by more than {bound}"), &longer),
        worse("more runs of B failed than of A".to_owned(), &Pair::fails_more),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    if found.is_empty() {
        say!("no total got longer by more than {bound}, and B did not fail more often");
        return Ok(());
    }
    Err(Failure::Check(found.join("\n")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_percentages() {
        assert_eq!("5%".parse(), Ok(Bound(0.05)));
        assert_eq!("2.5".parse::<Bound>().unwrap().to_string(), "2.5 %");
        assert_eq!("7 %".parse::<Bound>().unwrap().to_string(), "7 %");
        for text in ["", "%", "-1", "five", "inf", "NaN"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }

    #[test]
    fn arms_are_pairs() {
        assert_eq!(arms("p0:p1"), Ok(("p0".into(), "p1".into())));
        assert_eq!(arms("p1"), Ok(("p1".into(), "p1".into())));
        assert!(arms(":p1").is_err());
    }
}
