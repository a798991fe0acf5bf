// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cargo xtask clean`: the cache, emptied.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use indicatif::HumanBytes;

use crate::context::{self, Context};
use crate::error::Failure;

/// Where the cache keeps work trees and builds: `kernels/SOURCE/KERNEL/{tree,PRESET}`.
const KERNELS: &str = "kernels";
/// What tells a build's folder from a work tree's.
const OBJECTS: &str = "objects";
/// Where the cache keeps its locks; empty files that another run may be waiting at.
const LOCKS: &str = "locks";

/// Delete what this tool keeps in the cache and in the output folder
///
/// Everything deleted can be made again. A folder given with --output-dir is left alone.
#[derive(Debug, Args)]
pub struct Clean {
    /// Delete only the builds; keep sources, work trees, tools and results
    #[arg(long)]
    builds: bool,
    /// Only list what would be deleted
    #[arg(long)]
    dry_run: bool,
}

impl Clean {
    /// Runs the verb.
    pub fn run(self, context: &Context) -> Result<()> {
        // Whoever works in the cache at this moment is waited for.
        let _locks = match self.dry_run {
            true => Vec::new(),
            false => context.lock_all()?,
        };
        let mut doomed = doomed(&context.cache, self.builds)?;
        let results = context.repo.join("target/results");
        if !self.builds && context.output == results && results.exists() {
            doomed.push(results);
        }
        let mut total = 0;
        for path in &doomed {
            let size = size_of(path);
            total += size;
            say!("{:>12}  {path}", HumanBytes(size).to_string());
            if !self.dry_run {
                remove(path)?;
            }
        }
        let what = if self.dry_run { "would be deleted" } else { "deleted" };
        say!("{:>12}  {what}", HumanBytes(total).to_string());
        Ok(())
    }
}

/// What is to be deleted of the cache.
fn doomed(cache: &Utf8Path, only_builds: bool) -> Result<Vec<Utf8PathBuf>> {
    if !context::is_our_cache(cache) {
        let text = format!(
            "{cache} does not carry our marker, so nothing in it is deleted; \
             name our cache with --cache DIR"
        );
        return Err(Failure::Usage(text).into());
    }
    let mut paths: Vec<_> = if only_builds {
        let kernels = below(&cache.join(KERNELS))?;
        let kernels = kernels.iter().map(|source| below(source)).collect::<Result<Vec<_>>>()?;
        let folders = kernels.iter().flatten().map(|kernel| below(kernel));
        let folders = folders.collect::<Result<Vec<_>>>()?.into_iter().flatten();
        folders.filter(|folder| folder.join(OBJECTS).is_dir()).collect()
    } else {
        let kept = |path: &Utf8PathBuf| matches!(path.file_name(), Some(LOCKS | context::MARKER));
        below(cache)?.into_iter().filter(|path| !kept(path)).collect()
    };
    paths.sort();
    Ok(paths)
}

/// What is in the folder `dir`; nothing if it is not one. Symbolic links are not followed.
fn below(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    if !fs_err::symlink_metadata(dir).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(Vec::new());
    }
    dir.read_dir_utf8()?.map(|entry| Ok(entry?.path().to_owned())).collect()
}

/// Removes a file, or a folder with all in it. Symbolic links are removed, never followed.
fn remove(path: &Utf8Path) -> Result<()> {
    if fs_err::symlink_metadata(path)?.is_dir() {
        fs_err::remove_dir_all(path)?;
    } else {
        fs_err::remove_file(path)?;
    }
    Ok(())
}

/// The sizes of all files below, without following symbolic links; what cannot be read is nothing.
fn size_of(path: &Utf8Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let Ok(entries) = path.read_dir_utf8() else { return 0 };
    entries.flatten().map(|entry| size_of(entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Context) {
        let guard = tempfile::tempdir().unwrap();
        let dir = Utf8PathBuf::try_from(guard.path().join("cache")).unwrap();
        let output = Utf8PathBuf::try_from(guard.path().join("output")).unwrap();
        let context = Context::new(Some(dir.clone()), Some(output.clone())).unwrap();
        for file in [
            "kernels/a/base/boot/objects/Image",
            "kernels/a/base/tree/Makefile",
            "sources/x.tar.xz",
            "tools/x",
        ] {
            fs_err::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
            fs_err::write(dir.join(file), "content").unwrap();
        }
        fs_err::create_dir_all(&output).unwrap();
        fs_err::write(guard.path().join("mine"), "content").unwrap();
        std::os::unix::fs::symlink(guard.path(), dir.join("kernels/link")).unwrap();
        (guard, context)
    }

    fn names(dir: &Utf8Path) -> Vec<String> {
        let mut names: Vec<_> =
            dir.read_dir_utf8().unwrap().map(|e| e.unwrap().file_name().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn all_or_only_the_builds_go() {
        let (guard, context) = cache();
        let clean = |builds, dry_run| Clean { builds, dry_run }.run(&context).unwrap();
        clean(false, true);
        assert!(context.cache.join("kernels/a/base/boot/objects/Image").exists());
        clean(true, false);
        assert_eq!(names(&context.cache.join("kernels/a/base")), ["tree"]);
        assert_eq!(names(&context.cache), ["CACHEDIR.TAG", "kernels", "locks", "sources", "tools"]);
        clean(false, false);
        assert_eq!(names(&context.cache), ["CACHEDIR.TAG", "locks"]);
        // What a link pointed to, and a folder of the user's, are still there.
        assert!(guard.path().join("mine").exists());
        assert!(context.output.exists());
    }

    #[test]
    fn a_folder_without_our_marker_is_left_alone() {
        let (_guard, context) = cache();
        fs_err::remove_file(context.cache.join(context::MARKER)).unwrap();
        let error = Clean { builds: false, dry_run: false }.run(&context).unwrap_err();
        assert_eq!(error.downcast_ref::<Failure>().map(Failure::code), Some(2));
        assert!(context.cache.join("sources/x.tar.xz").exists());
    }
}
