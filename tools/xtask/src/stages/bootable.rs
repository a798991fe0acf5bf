// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A kernel that can be booted, however the user names it.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::boot;
use super::build::{self, Built};
use super::{Kernel, prepare};
use crate::context::Context;
use crate::error::Failure;

/// What is booted.
#[derive(Debug)]
pub struct Bootable {
    /// The kernel image.
    pub image: Utf8PathBuf,
    /// The module of that kernel.
    pub module: Option<Utf8PathBuf>,
    /// Where it is from, if it was built here.
    pub built: Option<Built>,
}

/// The image and the module: given, or built with `preset`.
pub fn bootable(
    context: &Context,
    kernel: &Kernel,
    module: Option<&Utf8Path>,
    preset: &str,
) -> Result<Bootable> {
    if let Kernel::Path(path) = kernel {
        let metadata = fs_err::metadata(path).map_err(|error| {
            Failure::Usage(format!("--kernel: {error}; give a Linux tree or an arm64 Image"))
        })?;
        if metadata.is_file() {
            boot::check_image(path)?;
            module.map(check_module).transpose()?;
            let (image, module) = (path.canonicalize_utf8()?, module.map(Utf8Path::to_owned));
            return Ok(Bootable { image, module, built: None });
        }
    }
    if module.is_some() {
        let text = "--module is only for an Image; a kernel built here has its own module";
        return Err(Failure::Usage(text.to_owned()).into());
    }
    let built = prepare(context, kernel, preset, build::LIMIT)?;
    let (image, module) = (built.image.clone(), built.module.clone());
    Ok(Bootable { image, module, built: Some(built) })
}

/// An error if `module` is no file.
pub fn check_module(module: &Utf8Path) -> Result<()> {
    let usage = |what: String| Failure::Usage(format!("--module: {what}; give a module's .ko"));
    let metadata = fs_err::metadata(module).map_err(|error| usage(error.to_string()))?;
    if !metadata.is_file() {
        return Err(usage(format!("{module} is no file")).into());
    }
    Ok(())
}
