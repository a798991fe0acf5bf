// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 2: a work tree of ours with the patches that a [`Kernel`] asks for.

use anyhow::Result;
use camino::Utf8PathBuf;

use super::Kernel;
use super::fetch::Source;
use crate::context::Context;

/// A work tree of ours, ready to be built out of tree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The folder.
    pub dir: Utf8PathBuf,
    /// What was asked for.
    pub kernel: Kernel,
    /// The source below the patches.
    pub source: Source,
    /// How many patches of the series are applied (0 for pristine).
    pub patches: usize,
    /// SHA-256 over the applied patches.
    pub series_sha256: String,
    /// Differs whenever source or patches differ; names build folders.
    pub key: String,
}

/// Brings the work tree for `kernel` to the state that the series asks for.
pub fn run(_context: &Context, _source: &Source, _kernel: &Kernel) -> Result<Tree> {
    todo!()
}
