// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask ci`: jobs for machines of other people's.

use anyhow::Result;
use bringup_model::render::ci::{self, Description};
use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Failure;
use crate::output;

/// Make job definitions for LAVA, tuxrun and TuxSuite
#[derive(Debug, Args)]
pub struct Ci {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Render(Render),
}

/// Write the jobs of a description: one per board and arm, with collect as their last step
#[derive(Debug, Args)]
struct Render {
    /// The description of what to boot where [default: ci/boards.toml]
    #[arg(value_name = "FILE")]
    description: Option<Utf8PathBuf>,
    /// Write to this folder [default: ci in the output folder]
    #[arg(long, value_name = "DIR")]
    output: Option<Utf8PathBuf>,
}

impl Ci {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let What::Render(Render { description, output }) = self.what;
        let file = description.unwrap_or_else(|| context.repo.join("ci/boards.toml"));
        let usage = |text: String| Failure::Usage(text);
        let text = fs_err::read_to_string(&file).map_err(|error| usage(error.to_string()))?;
        let description =
            Description::parse(&text).map_err(|error| usage(format!("{file}: {error}")))?;
        let folder = output.unwrap_or_else(|| context.output.join("ci"));
        for file in ci::render(&description, file.file_name().unwrap_or_default())? {
            let path = folder.join(&file.name);
            output::write(&path, &file.text)?;
            say!("{path}");
        }
        Ok(())
    }
}
