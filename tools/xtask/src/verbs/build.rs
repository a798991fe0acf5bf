// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask build`: a kernel and its module.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::cli::YEAR;
use crate::context::Context;
use crate::stages::{self, Kernel, build, configure};

/// Build a kernel and its module
#[derive(Debug, Args)]
pub struct Build {
    /// `pristine`, `base` (the recording patches alone), `patched` (the whole series), or a tree
    #[arg(long, default_value = "patched", value_name = "pristine|base|patched|PATH")]
    kernel: Kernel,
    /// The preset to configure it with; --list-presets shows all presets
    #[arg(long, default_value = "guest", value_name = "NAME")]
    preset: String,
    /// List the presets and what they are for
    #[arg(long)]
    list_presets: bool,
    /// Give up after this time
    #[arg(long, default_value_t = build::LIMIT.as_secs() / 60, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    time_limit: u64,
}

impl Build {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        if self.list_presets {
            put!("{}", configure::list(context)?);
            return Ok(());
        }
        let limit = Duration::from_secs(self.time_limit * 60);
        let built = stages::prepare(context, &self.kernel, &self.preset, limit)?;
        say!("image:  {}", built.image);
        match &built.module {
            Some(module) => say!("module: {module}"),
            None => say!("module: none with this configuration"),
        }
        say!("config: {}", built.configured.config());
        Ok(())
    }
}
