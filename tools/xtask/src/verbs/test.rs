// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask test`: every test.

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::output::VerdictFiles;
use crate::tests;

/// Run every test
///
/// Unit tests, formatting and lints; command-line errors; then, on kernels that are built first,
/// the module and real boots. Ends with a line `N passed, N failed, N skipped`.
#[derive(Debug, Args)]
pub struct Test {
    /// Leave out everything that needs a kernel
    #[arg(long)]
    quick: bool,
    /// Run the regression matrix instead: other configurations, debug kernels, kexec, suspend, EFI
    /// and other machines; takes two hours on two cores
    #[arg(long, conflicts_with = "quick")]
    long: bool,
    /// Only cases whose name contains this, and the kernels that they may need
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(flatten)]
    files: VerdictFiles,
}

impl Test {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        let Self { quick, long, only, files } = self;
        if long {
            return tests::run_long(context, only.as_deref(), &files);
        }
        tests::run(context, quick, only.as_deref(), &files)
    }
}
