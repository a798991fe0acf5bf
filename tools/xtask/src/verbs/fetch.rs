// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask fetch`: the kernel source, in the cache.

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::stages::fetch;

/// Fetch the kernel source into the cache
#[derive(Debug, Args)]
pub struct Fetch {}

impl Fetch {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let source = fetch::run(context)?;
        say!("Linux {}: {}", source.version, fetch::describe(context, &source)?);
        say!("sha256 {}", source.sha256);
        Ok(())
    }
}
