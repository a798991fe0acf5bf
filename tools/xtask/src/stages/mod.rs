// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The stages, in the order in which data flows: fetch, apply, configure, build, boot, collect. The
//! thinking of the last one and what comes after it (analyse, render) is pure and lives in the
//! crate `bringup-model`.
//!
//! Each stage takes what the one before it returned and knows nothing of the ones after it.

pub mod apply;
pub mod bench;
pub mod boot;
pub mod bootable;
pub mod build;
pub mod collect;
pub mod configure;
pub mod fetch;
pub mod kbuild;
pub mod lab;
pub mod manifest;
pub mod series;
pub mod soak;

use std::time::Duration;

use anyhow::Result;
use bringup_model::expect;
use camino::Utf8PathBuf;

use crate::context::Context;
pub use bootable::bootable;

/// Which kernel a verb is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kernel {
    /// The untouched tree.
    Pristine,
    /// The tree plus the recording patches alone.
    Base,
    /// The tree plus the whole series.
    Patched,
    /// The tree plus so many of the first patches of the series.
    First(usize),
    /// A tree or an Image of the user's.
    Path(Utf8PathBuf),
}

impl Kernel {
    /// Which behaviour is to be expected of it. Whose that is not known is taken for a patched one.
    pub fn expected(&self) -> expect::Kernel {
        match self {
            Self::Pristine | Self::Base => expect::Kernel::Base,
            Self::Patched | Self::First(_) | Self::Path(_) => expect::Kernel::Patched,
        }
    }
}

impl std::str::FromStr for Kernel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "pristine" => Ok(Self::Pristine),
            "base" => Ok(Self::Base),
            "patched" => Ok(Self::Patched),
            path if path.contains('/') || path == "." => Ok(Self::Path(path.into())),
            other => Err(format!(
                "`{other}` is neither pristine, base, patched nor a path (write ./{other} for a file here)"
            )),
        }
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pristine => f.write_str("pristine"),
            Self::Base => f.write_str("base"),
            Self::Patched => f.write_str("patched"),
            Self::First(count) => write!(f, "patch-{count}"),
            Self::Path(path) => f.write_str(path.as_str()),
        }
    }
}

/// Everything from the source to a kernel that can be booted: fetch, apply, configure, build. The
/// build may take as long as `limit`.
pub fn prepare(
    context: &Context,
    kernel: &Kernel,
    preset: &str,
    limit: Duration,
) -> Result<build::Built> {
    // Before an hour of work, not after it.
    configure::require(context, preset)?;
    let source = apply::source(context, kernel)?;
    let tree = apply::run(context, &source, kernel)?;
    let configured = configure::run(context, &tree, preset)?;
    build::run(context, &configured, limit)
}
