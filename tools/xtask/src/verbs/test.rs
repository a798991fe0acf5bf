// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask test`: every test.

use anyhow::Result;
use clap::Args;

use crate::context::Context;

/// Run every test
#[derive(Debug, Args)]
pub struct Test {}

impl Test {
    /// Runs the verb.
    pub fn run(self, _context: &Context) -> Result<()> {
        anyhow::bail!("not written yet")
    }
}
