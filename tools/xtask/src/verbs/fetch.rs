// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask fetch`: the kernel source, in the cache.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Fetch the kernel source into the cache
#[derive(Debug, Args)]
pub struct Fetch {}

impl Fetch {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
