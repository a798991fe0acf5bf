// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Profiles of firmware: how long CPUs take, and how they are started. Small TOML files.

use std::fmt;

use serde::Deserialize;

/// How a machine's firmware starts CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What it is like, in one line.
    pub description: String,
    /// From the end of `CPU_ON` to the CPU's entry into the kernel.
    pub latency: Latency,
    /// How long `CPU_ON` holds its caller, in nanoseconds.
    pub block_ns: u64,
    /// For latencies that are drawn by lot: the same seed gives the same ones.
    pub seed: u64,
    /// How the kernel asks for a CPU.
    pub enable_method: EnableMethod,
}

/// A latency in nanoseconds, evenly spread between two bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// The least.
    pub min_ns: u64,
    /// The most.
    pub max_ns: u64,
}

/// How the kernel asks for a CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnableMethod {
    /// By a call of PSCI.
    #[default]
    Psci,
    /// By writing to an address that firmware looks at.
    SpinTable,
}

/// As the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    description: String,
    #[serde(default)]
    latency_ms: Milliseconds,
    #[serde(default)]
    block_ms: f64,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    enable_method: EnableMethod,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Milliseconds {
    Fixed(f64),
    Range { min: f64, max: f64 },
}

impl Default for Milliseconds {
    fn default() -> Self {
        Self::Fixed(0.0)
    }
}

/// The longest latency or block, in milliseconds: ten minutes.
pub const MOST_MS: u32 = 600_000;

impl Profile {
    /// The profile without any delay.
    pub fn none() -> Self {
        Self {
            name: "none".into(),
            description: "no delay".into(),
            latency: Latency::default(),
            block_ns: 0,
            seed: 0,
            enable_method: EnableMethod::Psci,
        }
    }

    /// Reads a profile's file.
    ///
    /// # Errors
    ///
    /// It is no TOML, lacks its description, has keys that are not known, or times that are
    /// negative, over ten minutes or the wrong way round.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let wrong = |what: String| format!("firmware profile {name}: {what}");
        let file: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let (min, max) = match file.latency_ms {
            Milliseconds::Fixed(value) => (value, value),
            Milliseconds::Range { min, max } => (min, max),
        };
        let ns = |key: &str, ms: f64| nanoseconds(ms).map_err(|why| wrong(format!("{key}: {why}")));
        let latency = Latency { min_ns: ns("latency_ms", min)?, max_ns: ns("latency_ms", max)? };
        if latency.min_ns > latency.max_ns {
            return Err(wrong(format!("latency_ms: min {min} is above max {max}")));
        }
        let block_ns = ns("block_ms", file.block_ms)?;
        if file.enable_method == EnableMethod::SpinTable && block_ns > 0 {
            return Err(wrong("block_ms: a spin-table has no call that could block".into()));
        }
        Ok(Self {
            name: name.to_owned(),
            description: file.description,
            latency,
            block_ns,
            seed: file.seed,
            enable_method: file.enable_method,
        })
    }
}

/// Milliseconds as nanoseconds.
fn nanoseconds(ms: f64) -> Result<u64, String> {
    if !(0.0..=f64::from(MOST_MS)).contains(&ms) {
        return Err(format!("{ms} is not between 0 and {MOST_MS} ms"));
    }
    // In range, so neither sign nor size is lost.
    Ok((ms * 1e6).round() as u64)
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |ns: u64| ns as f64 / 1e6;
        match (self.min_ns, self.max_ns) {
            (min, max) if min == max => write!(f, "{} ms", ms(min)),
            (min, max) => write!(f, "{} to {} ms", ms(min), ms(max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_reads_as_people_write_it() {
        let text = "description = \"slow\"\nlatency_ms = { min = 5, max = 120.5 }\nseed = 3\n";
        let profile = Profile::parse("x", text).unwrap();
        assert_eq!(profile.latency, Latency { min_ns: 5_000_000, max_ns: 120_500_000 });
        assert_eq!(profile.latency.to_string(), "5 to 120.5 ms");
        assert_eq!((profile.seed, profile.enable_method), (3, EnableMethod::Psci));
        let text = "description = \"\"\nlatency_ms = 76\nblock_ms = 0.5\n";
        let profile = Profile::parse("x", text).unwrap();
        assert_eq!((profile.latency.to_string().as_str(), profile.block_ns), ("76 ms", 500_000));
        let text = "description = \"\"\nenable_method = \"spin-table\"\n";
        assert_eq!(Profile::parse("x", text).unwrap().enable_method, EnableMethod::SpinTable);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, word) in [
            ("latency_ms = 1", "missing field `description`"),
            ("description = \"\"\nlatency = 1", "unknown field `latency`"),
            ("description = \"\"\nlatency_ms = -1", "latency_ms: -1 is not between 0 and 600000"),
            ("description = \"\"\nlatency_ms = nan", "NaN is not between"),
            ("description = \"\"\nblock_ms = 600001", "block_ms: 600001 is not"),
            ("description = \"\"\nlatency_ms = { min = 2, max = 1 }", "min 2 is above max 1"),
            ("description = \"\"\nenable_method = \"acpi\"", "unknown variant `acpi`"),
            ("description = \"\"\nenable_method = \"spin-table\"\nblock_ms = 1", "no call"),
        ] {
            let error = Profile::parse("x", text).unwrap_err();
            assert!(error.starts_with("firmware profile x: "), "{error}");
            assert!(error.contains(word), "{error}");
        }
    }
}
