// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 3: a kernel configuration from a preset of fragments, with every line accounted for.

use anyhow::Result;
use camino::Utf8PathBuf;

use super::apply::Tree;
use crate::context::Context;

/// A configured build folder.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The tree that it is a build folder of.
    pub tree: Tree,
    /// The build folder (`O=`).
    pub objects: Utf8PathBuf,
    /// The preset's name.
    pub preset: String,
    /// SHA-256 of the final `.config`.
    pub config_sha256: String,
}

/// Configures `tree` by `preset`. A requested line that the result lacks is an error.
pub fn run(_context: &Context, _tree: &Tree, _preset: &str) -> Result<Configured> {
    todo!()
}
