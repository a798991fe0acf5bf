// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask setup`: what the host needs, installed.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Install what the host lacks
#[derive(Debug, Args)]
pub struct Setup {}

impl Setup {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
