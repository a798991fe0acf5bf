// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask boot`: one boot, from start to verdict.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Boot a kernel in QEMU and report every CPU's bring-up
#[derive(Debug, Args)]
pub struct Boot {}

impl Boot {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
