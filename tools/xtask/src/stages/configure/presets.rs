// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `presets.toml`: which fragments a preset combines, and what a fragment needs.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::Failure;

/// What `presets.toml` holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presets {
    /// By name.
    pub presets: BTreeMap<String, Preset>,
    /// Fragments that not every kernel can have, by name.
    #[serde(default)]
    pub fragments: BTreeMap<String, Fragment>,
}

/// A combination of fragments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What it is for, in one line.
    pub description: String,
    /// Names of the fragments, each the file `NAME.config`.
    pub fragments: Vec<String>,
    /// Options (without `CONFIG_`) for which the last fragment counts that asks for one.
    #[serde(default)]
    pub overrides: Vec<String>,
    /// Variables for make, by name.
    #[serde(default)]
    pub make: BTreeMap<String, String>,
}

/// What is special about a fragment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    /// The option (without `CONFIG_`) that the series adds and the fragment is about: on a kernel
    /// without the series the fragment is left out.
    pub needs: String,
    /// The part of the series that only records does not add it.
    #[serde(default)]
    pub not_in_base: bool,
}

impl Presets {
    /// Reads the content of `presets.toml`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| Failure::Usage(format!("presets.toml: {error}")))
    }

    /// The preset `name`.
    pub fn get(&self, name: &str) -> Result<&Preset, Failure> {
        self.presets.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.presets.keys().map(String::as_str).collect();
            Failure::Usage(format!("there is no preset `{name}`; there are {}", names.join(", ")))
        })
    }

    /// One line per preset: name and description.
    pub fn list(&self) -> String {
        let width = self.presets.keys().map(String::len).max().unwrap_or(0);
        let line = |(name, preset): (&String, &Preset)| {
            format!(
                "{name:width$}  {}\n{:width$}  = {}\n",
                preset.description,
                "",
                preset.fragments.join(" + ")
            )
        };
        self.presets.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_preset_is_refused_with_the_known_ones() {
        let presets = Presets::parse(
            "[presets.guest]\ndescription = \"d\"\nfragments = [\"base\"]\n\
             [presets.other]\ndescription = \"e\"\nfragments = []\n",
        )
        .unwrap();
        assert_eq!(presets.get("guest").unwrap().fragments, ["base"]);
        let error = presets.get("gest").unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(error.to_string().ends_with("there are guest, other"), "{error}");
        assert_eq!(presets.list(), "guest  d\n       = base\nother  e\n       = \n");
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert_eq!(Presets::parse("[preset.x]\n").unwrap_err().code(), 2);
    }
}
