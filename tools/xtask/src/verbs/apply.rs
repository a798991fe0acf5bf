// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask apply`: the series, on a work tree in the cache.

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::stages::Kernel;
use crate::stages::apply::{self, ByHand};

/// Apply the series to a work tree in the cache
#[derive(Debug, Args)]
pub struct Apply {
    /// `base` for the recording patches alone, `patched` for the whole series
    #[arg(long, default_value = "patched", value_name = "base|patched")]
    kernel: Kernel,
    /// Throw away changes made by hand in that work tree
    #[arg(long)]
    discard: bool,
}

impl Apply {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let source = apply::source(context, &self.kernel)?;
        let by_hand = if self.discard { ByHand::Discard } else { ByHand::Refuse };
        let tree = apply::run_over(context, &source, &self.kernel, by_hand)?;
        say!("{}: Linux {} with {} patches", tree.dir, tree.source.version, tree.patches.len());
        Ok(())
    }
}
