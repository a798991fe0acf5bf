// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask build`: a kernel and its module.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Build a kernel and its module
#[derive(Debug, Args)]
pub struct Build {}

impl Build {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
