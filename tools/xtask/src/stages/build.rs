// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 4: the kernel image and the Rust module.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use super::Kernel;
use super::apply::hex;
use super::configure::Configured;
use super::fetch::sha256_of;
use super::kbuild::{self, Kbuild};
use crate::context::Context;
use crate::error::Failure;

/// A whole build takes four to seven minutes on two cores.
pub const LIMIT: Duration = Duration::from_secs(60 * 60);

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

/// Builds the image and, where the configuration has Rust, the module, within `limit` each. What
/// is up to date is not built again.
pub fn run(context: &Context, configured: &Configured, limit: Duration) -> Result<Built> {
    let kbuild = configured.kbuild(context)?;
    let _lock = context.lock(&configured.lock_name())?;
    let _tree = configured.tree.hold(context)?;
    let config = fs_err::read(configured.config())?;
    if hex(&Sha256::digest(&config)) != configured.config_sha256 {
        bail!(Failure::Check(format!(
            "meanwhile another run has configured {} differently; run this again",
            configured.home
        )));
    }

    let image = configured.objects.join("arch/arm64/boot/Image");
    let stamp =
        format!("{}\n{}\n{}", configured.tree.key, configured.config_sha256, kbuild.fingerprint());
    let with_rust = String::from_utf8_lossy(&config).lines().any(|line| line == "CONFIG_RUST=y");
    let sources = context.repo.join("rust-module");
    // A part of the series need not have what the module builds on.
    let is_part = matches!(configured.tree.kernel, Kernel::First(_));
    let with_module = with_rust && !is_part && sources.join("Kbuild").is_file();

    let kernel_stamp = Stamp(configured.home.join("built"));
    let module_stamp = Stamp(configured.home.join("module-built"));
    if !(kernel_stamp.is(&stamp) && image.is_file()) {
        kernel_stamp.clear()?;
        module_stamp.clear()?;
        make_kernel(&kbuild, configured, limit)?;
        kernel_stamp.set(&stamp)?;
    }
    let module = if with_module {
        let files = module_files(&sources)?;
        let stamp = format!("{}{stamp}", digest(&files));
        if !(module_stamp.is(&stamp) && find_module(&configured.home).is_ok()) {
            module_stamp.clear()?;
            make_module(&kbuild, configured, &files, limit)?;
            module_stamp.set(&stamp)?;
        }
        Some(find_module(&configured.home)?)
    } else {
        None
    };
    let (image, module) = keep(&configured.home, &image, module.as_deref())?;
    Ok(Built { configured: configured.clone(), image, module, toolchain: kbuild.versions })
}

/// How long after its last use a kernel is kept.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Copies the image and the module to a folder named by what they are, where no later build changes
/// them: whoever boots them may do so for hours. Others are removed once they have not been used for
/// [`KEPT_FOR`].
fn keep(
    home: &Utf8Path,
    image: &Utf8Path,
    module: Option<&Utf8Path>,
) -> Result<(Utf8PathBuf, Option<Utf8PathBuf>)> {
    let files: Vec<&Utf8Path> = std::iter::once(image).chain(module).collect();
    let mut hash = Sha256::new();
    for file in &files {
        hash.update(sha256_of(file)?);
    }
    let all = home.join("kept");
    fs_err::create_dir_all(&all)?;
    let folder = all.join(&hex(&hash.finalize())[..16]);
    let kept = |file: &Utf8Path| folder.join(file.file_name().unwrap_or_default());
    if !files.iter().all(|file| kept(file).is_file()) {
        let new = tempfile::Builder::new().prefix("new-").tempdir_in(&all)?;
        for file in &files {
            fs_err::copy(file, new.path().join(file.file_name().unwrap_or_default()))?;
        }
        // Somebody may have taken a file away from it.
        let _ = std::fs::remove_dir_all(&folder);
        fs_err::rename(new.path(), &folder)?;
    }
    let now = SystemTime::now();
    fs_err::File::open(&folder)?.set_modified(now)?;
    for entry in all.read_dir_utf8()? {
        let entry = entry?;
        let unused = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if unused > KEPT_FOR {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok((kept(image), module.map(kept)))
}

/// What something was made from, in a file that is not there while it is being made.
struct Stamp(Utf8PathBuf);

impl Stamp {
    fn is(&self, content: &str) -> bool {
        fs_err::read_to_string(&self.0).is_ok_and(|text| text == content)
    }

    fn clear(&self) -> Result<()> {
        match fs_err::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn set(&self, content: &str) -> Result<()> {
        Ok(fs_err::write(&self.0, content)?)
    }
}

fn make_kernel(kbuild: &Kbuild, configured: &Configured, limit: Duration) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, |jobs| jobs.get());
    let mut make = kbuild.make(&configured.tree, &configured.objects);
    // `modules` also where none is configured: it writes Module.symvers, which ours needs.
    make.arg(format!("-j{jobs}")).args(["Image", "modules"]);
    let what = format!("building {} with {}", configured.tree.kernel, configured.preset);
    kbuild::run(make, &what, &configured.home.join("build.log"), limit)?;
    Ok(())
}

/// Builds the module from a fresh copy: it takes two seconds, and kbuild does not notice when the
/// kernel's Rust crates have changed. Another run may be using the old one: it stays until the new
/// one takes its place.
fn make_module(
    kbuild: &Kbuild,
    configured: &Configured,
    files: &[(Utf8PathBuf, Vec<u8>)],
    limit: Duration,
) -> Result<()> {
    let dir = configured.home.join("module");
    if dir.exists() {
        fs_err::remove_dir_all(&dir)?;
    }
    for (name, content) in files {
        let file = dir.join(name);
        fs_err::create_dir_all(file.parent().unwrap_or(&dir))?;
        fs_err::write(file, content)?;
    }
    let mut make = kbuild.make(&configured.tree, &configured.objects);
    make.arg(format!("M={dir}")).arg("modules");
    let what = format!("building the module for {}", configured.tree.kernel);
    kbuild::run(make, &what, &configured.home.join("module.log"), limit)?;
    let made = find_module(&dir)?;
    let name = made.file_name().unwrap_or_default();
    Ok(fs_err::rename(&made, configured.home.join(name))?)
}

/// The module's sources by their names below `sources`, without what a make there has left.
pub fn module_files(sources: &Utf8Path) -> Result<Vec<(Utf8PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut folders = vec![sources.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8()? {
            let path = entry?.into_path();
            let name = path.file_name().unwrap_or_default();
            let source = matches!(name, "Kbuild" | "Makefile" | "Kconfig")
                || matches!(path.extension(), Some("rs" | "c" | "h" | "S"));
            if path.is_dir() && !name.starts_with('.') {
                folders.push(path);
            } else if source && !name.ends_with(".mod.c") && !name.starts_with('.') {
                let relative = path.strip_prefix(sources).context("a file outside its folder")?;
                files.push((relative.to_owned(), fs_err::read(&path)?));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn digest(files: &[(Utf8PathBuf, Vec<u8>)]) -> String {
    let mut hash = Sha256::new();
    for (name, content) in files {
        hash.update(format!("{name}\n{}\n", content.len()));
        hash.update(content);
    }
    hex(&hash.finalize())
}

/// The one module in `dir`.
fn find_module(dir: &Utf8Path) -> Result<Utf8PathBuf> {
    let mut modules = Vec::new();
    for entry in dir.read_dir_utf8()? {
        let path = entry?.into_path();
        if path.extension() == Some("ko") {
            modules.push(path);
        }
    }
    match <[Utf8PathBuf; 1]>::try_from(modules) {
        Ok([module]) => Ok(module),
        Err(modules) => bail!("rust-module must build one module, not {}", modules.len()),
    }
}

#[cfg(test)]
mod tests;
