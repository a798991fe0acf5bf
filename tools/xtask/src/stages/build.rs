// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 4: the kernel image and the Rust module.

use std::collections::BTreeMap;

use anyhow::Result;
use camino::Utf8PathBuf;

use super::configure::Configured;
use crate::context::Context;

/// What a boot needs.
#[derive(Debug, Clone)]
pub struct Built {
    /// What was built.
    pub configured: Configured,
    /// The kernel image.
    pub image: Utf8PathBuf,
    /// The module `cpu_bringup.ko`, where the configuration has Rust.
    pub module: Option<Utf8PathBuf>,
    /// Tool name to version, for the manifest.
    pub toolchain: BTreeMap<String, String>,
}

/// Builds the image and, where the configuration has Rust, the module.
pub fn run(_context: &Context, _configured: &Configured) -> Result<Built> {
    todo!()
}
