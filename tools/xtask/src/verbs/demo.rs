// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask demo`: the main job.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Build, boot and compare base, parallel=0 and parallel=1
#[derive(Debug, Args)]
pub struct Demo {}

impl Demo {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
