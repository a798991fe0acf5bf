// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask setup`: what the host needs, installed.

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::host;

/// Install what the host lacks
#[derive(Debug, Args)]
pub struct Setup {
    /// Only list what would be installed, and why
    #[arg(long)]
    dry_run: bool,
}

impl Setup {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        host::setup(context, self.dry_run)
    }
}
