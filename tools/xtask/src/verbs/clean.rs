// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask clean`: the cache, emptied.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Delete what we keep in the cache and in the output folder
#[derive(Debug, Args)]
pub struct Clean {}

impl Clean {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
