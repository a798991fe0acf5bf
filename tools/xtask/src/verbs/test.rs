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
}

impl Test {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        tests::run(context, self.quick)
    }
}
