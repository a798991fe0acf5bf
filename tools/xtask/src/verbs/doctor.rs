// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask doctor`: what the host has and lacks.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Check the host and name the mend for what it lacks
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
