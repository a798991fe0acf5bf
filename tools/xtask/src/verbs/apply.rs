// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask apply`: the series, on a work tree in the cache.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Apply the series to a work tree in the cache
#[derive(Debug, Args)]
pub struct Apply {}

impl Apply {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
