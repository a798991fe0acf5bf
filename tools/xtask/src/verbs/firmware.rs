// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask firmware`: the firmware profiles.

use anyhow::Result;
use bringup_model::profile::{EnableMethod, Profile};
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::stages::boot::firmware;

/// Show the firmware profiles of `boot --firmware`
#[derive(Debug, Args)]
pub struct Firmware {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the profiles, one per line
    List,
    /// Show everything that a profile defines
    Show {
        /// The name of the profile, or its file
        profile: String,
    },
}

impl Firmware {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        match self.verb {
            Verb::List => put!("{}", list(&firmware::all(context)?)),
            Verb::Show { profile } => put!("{}", show(&firmware::find(context, &profile)?)),
        }
        Ok(())
    }
}

fn list(profiles: &[Profile]) -> String {
    let width = profiles.iter().map(|profile| profile.name.len()).max().unwrap_or(0);
    let line = |profile: &Profile| format!("{:width$}  {}\n", profile.name, profile.description);
    profiles.iter().map(line).collect()
}

fn show(profile: &Profile) -> String {
    let Profile { name, description, latency, block_ns, seed, enable_method } = profile;
    let method = match enable_method {
        EnableMethod::Psci => "psci",
        EnableMethod::SpinTable => "spin-table",
    };
    let block = *block_ns as f64 / 1e6;
    format!(
        "{name}: {description}\n\
         enable method              {method}\n\
         the call blocks its caller {block} ms\n\
         from then to kernel entry  {latency}\n\
         seed                       {seed}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_shown() {
        let text = "description = \"slow\"\nlatency_ms = { min = 5, max = 120 }\nblock_ms = 4.5\n";
        let profiles = [Profile::none(), Profile::parse("my-own", text).unwrap()];
        insta::assert_snapshot!(format!("{}{}", list(&profiles), show(&profiles[1])), @r"
        none    no delay
        my-own  slow
        my-own: slow
        enable method              psci
        the call blocks its caller 4.5 ms
        from then to kernel entry  5 to 120 ms
        seed                       0
        ");
    }
}
