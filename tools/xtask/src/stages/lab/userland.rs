// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The user space of the emulated KVM host: an arm64 QEMU with the libraries that it needs, packed
//! for its initramfs.
//!
//! In memory, as a disk or a shared folder would answer whenever our own host gets to it, at another
//! point of virtual time in each run. From the packages of the distribution that we run on, which
//! are unpacked and not installed, or from a folder of the user's.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::{Endianness, StringTable};
use sha2::{Digest as _, Sha256};

use crate::context::Context;
use crate::error::Failure;
use crate::host::Distribution;
use crate::stages::apply::hex;
use crate::stages::boot::initramfs::{Entry, pack};
use crate::stages::fetch::Apt;

/// Programs, all of them in `/bin`, and the distribution's packages with them, whose dependencies
/// come along.
struct Userland {
    packages: &'static [&'static str],
    programs: &'static [&'static str],
}

/// What is run on the emulated host: `setpriv` lets QEMU die with the program that started it.
const QEMU: Userland = Userland {
    packages: &["qemu-system-arm", "util-linux"],
    programs: &["qemu-system-aarch64", "setpriv"],
};

/// What the kernel's own tests are written for, and what starts another kernel.
const SHELL: Userland = Userland {
    packages: &["bash", "busybox-static", "kexec-tools"],
    programs: &["bash", "busybox", "kexec"],
};

/// The dynamic linker's own name, which programs have built in.
const LINKER: &str = "lib/ld-linux-aarch64.so.1";

/// Where libraries lie in a root of Debian's kind, and in others.
const LIBRARY_FOLDERS: [&str; 6] =
    ["lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib", "usr/lib", "lib64", "usr/lib64"];

/// Where ours find theirs: the first folder that the dynamic linker looks into.
const OUR_LIBRARIES: &str = "lib/aarch64-linux-gnu";

/// Makes the packed user space, or finds it in the cache. `root` is a folder of the user's.
pub fn prepare(context: &Context, root: Option<&Utf8Path>) -> Result<Utf8PathBuf> {
    let _lock = context.lock("lab")?;
    let folder = context.cache.join("lab");
    fs_err::create_dir_all(&folder)?;
    if let Some(root) = root {
        let bytes = collect(root, &QEMU)
            .map_err(|error| Failure::Usage(format!("--host-root {root}: {error:#}")))?;
        let name = format!("root-{}.cpio", &hex(&Sha256::digest(&bytes))[..12]);
        let archive = folder.join(name);
        write(&archive, &bytes)?;
        return Ok(archive);
    }
    let distribution = Distribution::here();
    let archive = folder.join(format!("{}-{}.cpio", distribution.id, distribution.codename));
    if !archive.is_file() {
        let bytes = from_packages(context, &distribution, &QEMU).map_err(|error| match error
            .downcast_ref::<Failure>()
        {
            Some(failure) => failure.clone(),
            None => Failure::Host(format!(
                "cannot get QEMU for arm64 from the packages of {}: {error:#}; give a folder that \
                     holds it with --host-root DIR, such as one made by `mmdebstrap \
                     --variant=extract --arch=arm64 --include=qemu-system-arm,util-linux`",
                distribution.name
            )),
        })?;
        write(&archive, &bytes)?;
    }
    Ok(archive)
}

/// A user space with bash, busybox and kexec, packed, or found in the cache.
pub fn shell(context: &Context) -> Result<Utf8PathBuf> {
    let _lock = context.lock("lab")?;
    let folder = context.cache.join("lab");
    fs_err::create_dir_all(&folder)?;
    let distribution = Distribution::here();
    let archive = folder.join(format!("shell-{}-{}.cpio", distribution.id, distribution.codename));
    if !archive.is_file() {
        write(&archive, &from_packages(context, &distribution, &SHELL)?)?;
    }
    Ok(archive)
}

fn write(file: &Utf8Path, bytes: &[u8]) -> Result<()> {
    let part = file.with_extension("part");
    fs_err::write(&part, bytes)?;
    Ok(fs_err::rename(&part, file)?)
}

fn from_packages(
    context: &Context,
    distribution: &Distribution,
    userland: &Userland,
) -> Result<Vec<u8>> {
    if !distribution.uses_apt() {
        bail!("{} has no apt", distribution.name);
    }
    let dir = context.cache.join("lab/apt");
    let apt = Apt::new(&context.sh, &dir, distribution, Some("arm64"))?;
    let mut refusals = Vec::new();
    for mirror in apt.mirrors(&distribution.codename)? {
        apt.use_only(&mirror, &distribution.codename)?;
        let root = dir.join("root");
        let unpacked = apt
            .unpack(
                userland.packages,
                &root,
                &format!("Downloading {} for arm64", userland.packages.join(", ")),
            )
            .and_then(|()| collect(&root, userland));
        match unpacked {
            Ok(bytes) => {
                apt.remove()?;
                return Ok(bytes);
            }
            Err(error) if error.is::<Failure>() => return Err(error),
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    bail!("{}", refusals.join("; "))
}

/// Packs the programs of `userland` and the libraries that they need out of `root`.
fn collect(root: &Utf8Path, userland: &Userland) -> Result<Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut to_do = Vec::new();
    for program in userland.programs {
        let found = ["usr/bin", "bin", "usr/local/bin", "usr/sbin", "sbin"]
            .iter()
            .find_map(|folder| resolve(root, &format!("{folder}/{program}")))
            .with_context(|| format!("there is no {program} in its usr/bin"))?;
        to_do.push((format!("bin/{program}"), found));
    }
    let linker = LIBRARY_FOLDERS
        .iter()
        .find_map(|folder| resolve(root, &format!("{folder}/ld-linux-aarch64.so.1")))
        .context("there is no dynamic linker ld-linux-aarch64.so.1 in it")?;
    to_do.push((LINKER.to_owned(), linker));
    while let Some((name, path)) = to_do.pop() {
        if files.contains_key(&name) {
            continue;
        }
        let bytes = fs_err::read(&path)?;
        for library in needed(&bytes).with_context(|| path.to_string())? {
            let found = LIBRARY_FOLDERS
                .iter()
                .find_map(|folder| resolve(root, &format!("{folder}/{library}")))
                .with_context(|| format!("{path} needs {library}, which is not there"))?;
            to_do.push((format!("{OUR_LIBRARIES}/{library}"), found));
        }
        files.insert(name, bytes);
    }
    let entries: Vec<_> = files
        .iter()
        .map(|(path, data)| Entry { path, permissions: 0o755, data: data.as_slice() })
        .collect();
    pack(&entries).context("cannot pack the user space")
}

/// The regular file at `path` of `root`. Links lead to places inside of the root.
fn resolve(root: &Utf8Path, path: &str) -> Option<Utf8PathBuf> {
    let mut path = Utf8PathBuf::from(path);
    // As many as the kernel follows.
    for _ in 0..40 {
        let full = root.join(&path);
        let kind = std::fs::symlink_metadata(&full).ok()?.file_type();
        if !kind.is_symlink() {
            return kind.is_file().then_some(full);
        }
        let target = full.read_link_utf8().ok()?;
        path = match target.strip_prefix("/") {
            Ok(inside) => inside.to_owned(),
            Err(_) => path.parent()?.join(target),
        };
    }
    None
}

/// The names of the libraries that an arm64 ELF file asks for.
fn needed(bytes: &[u8]) -> Result<Vec<String>> {
    let header = FileHeader64::<Endianness>::parse(bytes).context("not an ELF file of 64 bits")?;
    let endian = header.endian()?;
    if header.e_machine(endian) != object::elf::EM_AARCH64 {
        bail!("not for arm64");
    }
    let mut names = Vec::new();
    let sections = header.sections(endian, bytes)?;
    for segment in header.program_headers(endian, bytes)? {
        let Some(dynamic) = segment.dynamic(endian, bytes)? else { continue };
        let strings = sections
            .dynamic(endian, bytes)?
            .and_then(|(_, link)| sections.strings(endian, bytes, link).ok())
            .unwrap_or_else(StringTable::default);
        for entry in dynamic {
            if entry.tag32(endian) == Some(DT_NEEDED) {
                let name = entry.string(endian, strings).context("a library without a name")?;
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_places_inside_of_the_root() {
        let guard = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(guard.path()).unwrap();
        fs_err::create_dir_all(root.join("usr/lib")).unwrap();
        fs_err::write(root.join("usr/lib/libx.so.1.2"), "x").unwrap();
        let link = |target: &str, name: &str| {
            fs_err::os::unix::fs::symlink(target, root.join(name)).unwrap();
        };
        link("libx.so.1.2", "usr/lib/libx.so.1");
        link("/usr/lib/libx.so.1", "usr/lib/libabs.so");
        link("loop", "usr/lib/loop");
        let library = root.join("usr/lib/libx.so.1.2");
        assert_eq!(resolve(root, "usr/lib/libx.so.1"), Some(library.clone()));
        assert_eq!(resolve(root, "usr/lib/libabs.so"), Some(library));
        assert_eq!(resolve(root, "usr/lib/loop"), None);
        assert_eq!(resolve(root, "usr/lib"), None);
        assert_eq!(resolve(root, "usr/lib/none"), None);
    }

    #[test]
    fn a_root_without_qemu_is_told() {
        let guard = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(guard.path()).unwrap();
        let error = collect(root, &QEMU).unwrap_err().to_string();
        assert_eq!(error, "there is no qemu-system-aarch64 in its usr/bin");
        needed(b"#!/bin/sh\n").unwrap_err();
        // This test's own program is an ELF file; what it is for depends on the host.
        let own = fs_err::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needed(&own).is_ok(), cfg!(target_arch = "aarch64"));
    }
}
