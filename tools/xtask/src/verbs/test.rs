// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask test`: every test.

use anyhow::Result;
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
    /// Run the regression matrix instead: other configurations, debug kernels, kexec, suspend, EFI
    /// and other machines, two hours on two cores
    #[arg(long, conflicts_with = "quick")]
    long: bool,
    /// With --long: only cases whose name contains this
    #[arg(long, value_name = "TEXT", requires = "long")]
    only: Option<String>,
}

impl Test {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        if self.long {
            return tests::run_long(context, self.only.as_deref());
        }
        tests::run(context, self.quick)
    }
}
