// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A Linux tree of the user's (`--tree`): looked at, never written to.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use camino::Utf8Path;
use sha2::{Digest as _, Sha256};
use xshell::{Shell, cmd};

use super::{Origin, Source};
use crate::error::Failure;

/// What tells a Linux tree that can be built for arm64.
const NEEDED: [&str; 3] = ["Makefile", "Kconfig", "arch/arm64"];

/// Reads the tree `dir`. Anything that is not a Linux tree is bad usage.
pub fn read(sh: &Shell, dir: &Utf8Path) -> Result<Source> {
    // A plain tree may lie inside somebody's git repository: only its own .git counts.
    if dir.join(".git").exists() { read_git(sh, dir) } else { read_plain(dir) }
}

fn wrong(dir: &Utf8Path, what: &str) -> anyhow::Error {
    let text = format!("{dir}: {what}; give the folder of a Linux tree");
    Failure::Usage(text).into()
}

fn read_plain(dir: &Utf8Path) -> Result<Source> {
    for name in NEEDED {
        if !dir.join(name).exists() {
            return Err(wrong(dir, &format!("has no {name}")));
        }
    }
    let makefile = fs_err::read_to_string(dir.join("Makefile"))?;
    let version =
        kernel_version(&makefile).ok_or_else(|| wrong(dir, "its Makefile names no version"))?;
    let origin = Origin::Plain(dir.to_owned());
    Ok(Source { origin, version, sha256: hash_of(dir.as_std_path())? })
}

fn read_git(sh: &Shell, dir: &Utf8Path) -> Result<Source> {
    for name in NEEDED {
        let found = git(sh, dir, &["cat-file", "-e", &format!("HEAD:{name}")]);
        found.map_err(|error| match error.is::<Failure>() {
            true => error,
            false => wrong(dir, &format!("its HEAD has no {name} ({error:#})")),
        })?;
    }
    let version = kernel_version(&git(sh, dir, &["show", "HEAD:Makefile"])?)
        .ok_or_else(|| wrong(dir, "its HEAD's Makefile names no version"))?;
    let changed = git(sh, dir, &["status", "--porcelain", "--untracked-files=no"])?;
    if !changed.is_empty() {
        let count = changed.lines().count();
        eprintln!("note: {dir} has {count} changed files; only its HEAD is used, without them");
    }
    // Of the files and not of the commit: a reworded commit message is no reason to build again.
    let tree = git(sh, dir, &["rev-parse", "HEAD^{tree}"])?;
    let sha256 = format!("{:x}", Sha256::digest(format!("git tree {}", tree.trim())));
    Ok(Source { origin: Origin::Git(dir.to_owned()), version, sha256 })
}

/// That git could not be started.
pub fn no_git(error: std::io::Error) -> anyhow::Error {
    if error.kind() != std::io::ErrorKind::NotFound {
        return anyhow::Error::from(error).context("cannot start `git`");
    }
    let text = "this host lacks git; `cargo xtask setup` installs what is missing";
    Failure::Host(text.to_owned()).into()
}

fn git(sh: &Shell, dir: &Utf8Path, arguments: &[&str]) -> Result<String> {
    let output = Command::from(cmd!(sh, "git -C {dir} {arguments...}"))
        // Else `git status` would refresh the index of a tree that we must not write to.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .output()
        .map_err(no_git)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::bail!("git: {}", text.trim())
}

/// `make kernelversion` without make, from the text of the top Makefile.
pub fn kernel_version(makefile: &str) -> Option<String> {
    let value = |key: &str| {
        makefile.lines().take(20).find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim())
        })
    };
    let number = |key: &str| value(key).filter(|text| text.parse::<u32>().is_ok());
    let mut version = format!("{}.{}", number("VERSION")?, number("PATCHLEVEL")?);
    if let Some(sublevel) = number("SUBLEVEL") {
        version.push('.');
        version.push_str(sublevel);
    }
    version.push_str(value("EXTRAVERSION").unwrap_or_default());
    Some(version)
}

/// A hash that changes whenever a file of the tree does: over paths, sizes and times of change.
/// Reading 1.5 GB of content each time would take longer than an incremental build; `make` itself
/// goes by the times, too.
fn hash_of(dir: &Path) -> Result<String> {
    let mut files = Vec::new();
    list(dir, Path::new(""), &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let metadata = fs_err::symlink_metadata(dir.join(&file))?;
        hash.update(file.as_os_str().as_bytes());
        let numbers =
            [i128::from(metadata.len()), metadata.mtime().into(), metadata.mtime_nsec().into()];
        for number in numbers {
            hash.update([0]);
            hash.update(number.to_le_bytes());
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn list(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs_err::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        // Of a symbolic link this is the type of the link: loops cannot occur.
        if entry.file_type()?.is_dir() {
            list(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;
    use proptest::prelude::*;

    const MAKEFILE: &str = "# SPDX-License-Identifier: GPL-2.0\nVERSION = 7\nPATCHLEVEL = 3\n\
        SUBLEVEL = 4\nEXTRAVERSION = -rc1\nNAME = X\n";

    fn shell() -> Shell {
        Shell::new().unwrap()
    }

    fn tree() -> (tempfile::TempDir, Utf8PathBuf) {
        let guard = tempfile::tempdir().unwrap();
        let dir = Utf8PathBuf::try_from(guard.path().to_owned()).unwrap();
        fs_err::create_dir_all(dir.join("arch/arm64")).unwrap();
        fs_err::write(dir.join("arch/arm64/Kconfig"), "x\n").unwrap();
        fs_err::write(dir.join("Makefile"), MAKEFILE).unwrap();
        fs_err::write(dir.join("Kconfig"), "x\n").unwrap();
        (guard, dir)
    }

    fn commit(dir: &Utf8Path, message: &str) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
        let commit = ["commit", "-q", "--allow-empty", "-m", message];
        git(&shell(), dir, &["init", "-q"]).unwrap();
        git(&shell(), dir, &["add", "-A"]).unwrap();
        git(&shell(), dir, &[identity.as_slice(), &commit].concat()).unwrap();
    }

    #[test]
    fn versions_are_read_like_make_does() {
        assert_eq!(kernel_version(MAKEFILE).as_deref(), Some("7.3.4-rc1"));
        let makefile = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL =\nEXTRAVERSION =\n";
        assert_eq!(kernel_version(makefile).as_deref(), Some("7.3"));
        for text in ["", "VERSION = x\nPATCHLEVEL = 3\n", "all:\n\techo VERSION\n"] {
            assert_eq!(kernel_version(text), None);
        }
    }

    #[test]
    fn a_plain_tree_is_keyed_by_its_files() {
        let (_guard, dir) = tree();
        let source = read(&shell(), &dir).unwrap();
        assert_eq!(
            (source.version.as_str(), &source.origin),
            ("7.3.4-rc1", &Origin::Plain(dir.clone()))
        );
        assert_eq!(read(&shell(), &dir).unwrap().sha256, source.sha256);
        fs_err::write(dir.join("Kconfig"), "longer\n").unwrap();
        assert_ne!(read(&shell(), &dir).unwrap().sha256, source.sha256);
    }

    #[test]
    fn of_a_git_tree_the_head_counts() {
        let (_guard, dir) = tree();
        commit(&dir, "one");
        let source = read(&shell(), &dir).unwrap();
        assert_eq!(source.origin, Origin::Git(dir.clone()));
        // Neither a dirty file nor another message changes it; another content does.
        fs_err::write(dir.join("Makefile"), "VERSION = 9\n").unwrap();
        let dirty = read(&shell(), &dir).unwrap();
        assert_eq!((dirty.version, dirty.sha256), (source.version, source.sha256.clone()));
        fs_err::write(dir.join("Makefile"), MAKEFILE).unwrap();
        commit(&dir, "two");
        assert_eq!(read(&shell(), &dir).unwrap().sha256, source.sha256);
        fs_err::write(dir.join("Kconfig"), "y\n").unwrap();
        commit(&dir, "three");
        assert_ne!(read(&shell(), &dir).unwrap().sha256, source.sha256);
    }

    #[test]
    fn what_is_no_linux_tree_is_bad_usage() {
        for name in NEEDED {
            let (_guard, dir) = tree();
            match dir.join(name).is_dir() {
                true => fs_err::remove_dir_all(dir.join(name)).unwrap(),
                false => fs_err::remove_file(dir.join(name)).unwrap(),
            }
            let code = |error: anyhow::Error| error.downcast_ref::<Failure>().map(Failure::code);
            assert_eq!(code(read(&shell(), &dir).unwrap_err()), Some(2), "plain, {name}");
            commit(&dir, "one");
            assert_eq!(code(read(&shell(), &dir).unwrap_err()), Some(2), "git, {name}");
        }
        let (_guard, dir) = tree();
        git(&shell(), &dir, &["init", "-q"]).unwrap();
        assert!(read(&shell(), &dir).is_err(), "no commit yet");
    }

    proptest! {
        #[test]
        fn no_makefile_panics(text in any::<String>()) {
            let _ = kernel_version(&text);
        }
    }
}
