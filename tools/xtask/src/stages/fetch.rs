// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 1: the Linux source that everything starts from.

use anyhow::Result;
use camino::Utf8PathBuf;

use crate::context::Context;

/// A Linux source that later stages may read but never write.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it comes from.
    pub origin: Origin,
    /// `make kernelversion`, e.g. `7.3.4`.
    pub version: String,
    /// SHA-256 of the tarball, or of the tree's content for a user's tree. Keys the later stages.
    pub sha256: String,
}

/// Where a [`Source`] comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A tarball in our cache, from kernel.org or from the distribution's package.
    Tarball(Utf8PathBuf),
    /// A git checkout of the user's: its HEAD commit is what counts.
    Git(Utf8PathBuf),
    /// A plain tree of the user's.
    Plain(Utf8PathBuf),
}

/// Finds or fetches the source: `--tree`, the cache, the upstream tarball, the distribution's
/// package, in that order.
pub fn run(_context: &Context) -> Result<Source> {
    todo!()
}
