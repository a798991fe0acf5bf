// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What others have published about parallel bring-up on arm64, as data with its source. It was
//! measured on other machines, mostly with other patches: it gives the order of things, and is
//! never mixed with own figures.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

/// One publication.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Who published what, where and when.
    pub source: String,
    /// What a reader must know about the figures.
    #[serde(default)]
    pub remarks: Option<String>,
    /// The machines that it has figures of.
    #[serde(rename = "measurement")]
    pub measurements: Vec<Measurement>,
}

/// The figures of one machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The machine.
    pub machine: String,
    /// Its CPUs.
    pub cpus: u32,
    /// `kvm` for a guest, `tcg` for an emulated machine, `none` for hardware.
    pub accel: String,
    /// Milliseconds from the first to the last secondary CPU, by arm: `unpatched`, `p0`, `p1`.
    pub total_ms: BTreeMap<String, f64>,
    /// Exits of the guest by arm and class.
    #[serde(default)]
    pub exits: BTreeMap<String, BTreeMap<String, Exits>>,
}

/// Exits of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exits {
    /// How many.
    pub count: u64,
    /// All together, in nanoseconds.
    pub time_ns: u64,
}

/// A file that is not as it should be.
#[derive(Debug, Error)]
#[error("published figures, {name}")]
pub struct Malformed {
    name: &'static str,
    #[source]
    error: toml::de::Error,
}

/// The files, by name.
const FILES: [(&str, &str); 2] = [
    ("rfc-reply.toml", include_str!("../published/rfc-reply.toml")),
    ("collected.toml", include_str!("../published/collected.toml")),
];

impl Measurement {
    /// The arms in the order in which they are read.
    pub const ARMS: [&'static str; 3] = ["unpatched", "p0", "p1"];

    /// An arm's total as a part of that of the kernel without patches.
    pub fn ratio(&self, arm: &str) -> Option<f64> {
        let unpatched = self.total_ms.get("unpatched").filter(|total| **total > 0.0)?;
        Some(self.total_ms.get(arm)? / unpatched)
    }
}

/// All that is known.
///
/// # Errors
///
/// One of our own files is malformed, which a test rules out.
pub fn all() -> Result<Vec<Published>, Malformed> {
    let read = |(name, text)| toml::from_str(text).map_err(|error| Malformed { name, error });
    FILES.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_source_and_its_arms() {
        let all = all().unwrap();
        assert_eq!(all.iter().map(|published| published.measurements.len()).sum::<usize>(), 8);
        for published in &all {
            assert!(published.source.len() > 20, "{}", published.source);
            for measurement in &published.measurements {
                assert!(measurement.cpus > 1, "{}", measurement.machine);
                assert!(measurement.total_ms.contains_key("unpatched"), "{}", measurement.machine);
                let arms = measurement.total_ms.keys().chain(measurement.exits.keys());
                for arm in arms {
                    assert!(Measurement::ARMS.contains(&arm.as_str()), "{arm}");
                }
            }
        }
    }

    #[test]
    fn the_figures_are_those_of_the_mail() {
        let all = all().unwrap();
        let guest = &all[0].measurements[0];
        assert_eq!(guest.total_ms["p1"], 166.703);
        assert!((guest.ratio("p1").unwrap() - 1.0709).abs() < 1e-4);
        // The mail gives the mean as well, rounded down.
        for (arm, class, mean) in [
            ("unpatched", "DABT_LOW", 5165),
            ("unpatched", "IRQ", 1_193_060),
            ("p0", "WFx", 4744),
            ("p0", "HVC64", 69392),
            ("p1", "SYS64", 22103),
            ("p1", "IRQ", 2_315_838),
        ] {
            let Exits { count, time_ns } = guest.exits[arm][class];
            assert_eq!(time_ns / count, mean, "{arm}, {class}");
        }
    }
}
