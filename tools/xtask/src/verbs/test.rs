// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask test`: every test.

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::Args;

use crate::context::Context;
use crate::tests;

/// Run every test
///
/// Unit tests, format and lints; errors of the command line; then, with kernels that are built
/// first, the module and real boots. Ends with a line `N passed, N failed, N skipped`.
#[derive(Debug, Args)]
pub struct Test {
    /// Leave out all that needs a kernel
    #[arg(long)]
    quick: bool,
    /// Write the verdicts to this file, as KTAP version 1
    #[arg(long, value_name = "FILE")]
    ktap: Option<Utf8PathBuf>,
    /// Write the verdicts to this file, as JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<Utf8PathBuf>,
}

impl Test {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let Self { quick, ktap, junit } = self;
        tests::run(context, quick, &tests::Files { ktap, junit })
    }
}
