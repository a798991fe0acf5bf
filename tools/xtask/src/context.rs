// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Where things are: the repository, the cache, the output folder; and what the user passed for
//! every stage (make variables, the kernel tree).

use std::io::Write as _;
use std::time::SystemTime;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use etcetera::BaseStrategy as _;
use fs_err::File;
use xshell::Shell;

use crate::error::Failure;

/// What every stage is given.
#[derive(Clone)]
pub struct Context {
    /// Runs short commands. Long ones go through [`crate::process`].
    pub sh: Shell,
    /// The root of this repository; see [`Self::has_sources`].
    pub repo: Utf8PathBuf,
    /// Our cache folder: sources, work trees, builds, tools.
    pub cache: Utf8PathBuf,
    /// Where results are written, `target/results` unless the user says otherwise.
    pub output: Utf8PathBuf,
    /// `--tree DIR`: the Linux tree to start from instead of the pinned one. Never modified.
    pub tree: Option<Utf8PathBuf>,
    /// `KEY=VAL` from the command line, for every make invocation.
    pub make_variables: Vec<(String, String)>,
    /// When the command was started.
    pub started: SystemTime,
}

impl Context {
    /// Finds the folders. `cache` and `output` are what the user asked for, if anything.
    pub fn new(cache: Option<Utf8PathBuf>, output: Option<Utf8PathBuf>) -> Result<Self> {
        let repo = repository()?;
        let cache = match cache {
            Some(cache) => cache,
            None => {
                let base = etcetera::choose_base_strategy()
                    .map_err(|error| anyhow!("cannot find the user's cache folder: {error}"))?;
                Utf8PathBuf::try_from(base.cache_dir())
                    .context("the cache folder's name is not UTF-8")?
                    .join("cpu-bringup")
            }
        };
        mark_cache(&cache)?;
        let output = output.unwrap_or_else(|| repo.join("target/results"));
        Ok(Self {
            sh: Shell::new()?,
            repo,
            cache: cache.canonicalize_utf8()?,
            output: camino::absolute_utf8(&output)?,
            tree: None,
            make_variables: Vec::new(),
            started: SystemTime::now(),
        })
    }

    /// Takes the exclusive lock `name` of the cache, waiting for whoever holds it. Two runs side by
    /// side share the cache; whoever writes to a part of it holds that part's lock.
    pub fn lock(&self, name: &str) -> Result<Lock> {
        let file = self.lock_file(name)?;
        if file.try_lock().is_err() {
            eprintln!("waiting for another run that is using `{name}` in the cache ...");
            file.lock().with_context(|| format!("cannot lock `{name}` in the cache"))?;
        }
        Ok(Lock { _file: file })
    }

    /// Takes the lock `name` together with others that only read that part of the cache; nobody
    /// writes to it meanwhile.
    pub fn lock_shared(&self, name: &str) -> Result<Lock> {
        let file = self.lock_file(name)?;
        if file.try_lock_shared().is_err() {
            eprintln!("waiting for another run that is changing `{name}` in the cache ...");
            file.lock_shared().with_context(|| format!("cannot lock `{name}` in the cache"))?;
        }
        Ok(Lock { _file: file })
    }

    fn lock_file(&self, name: &str) -> Result<std::fs::File> {
        let dir = self.cache.join("locks");
        fs_err::create_dir_all(&dir)?;
        Ok(File::create(dir.join(name))?.into_file())
    }

    /// Takes every lock that anybody has taken in this cache so far. Waits for a busy one without
    /// holding any other, as whoever holds it may be about to take those.
    pub fn lock_all(&self) -> Result<Vec<Lock>> {
        let dir = self.cache.join("locks");
        fs_err::create_dir_all(&dir)?;
        'all: loop {
            let mut locks = Vec::new();
            for entry in dir.read_dir_utf8()? {
                let name = entry?.file_name().to_owned();
                let file = self.lock_file(&name)?;
                if file.try_lock().is_err() {
                    drop(locks);
                    self.lock(&name)?;
                    continue 'all;
                }
                locks.push(Lock { _file: file });
            }
            return Ok(locks);
        }
    }

    /// Whether the repository is there, and not this program alone.
    pub fn has_sources(&self) -> bool {
        self.repo.join("Cargo.toml").is_file()
    }

    /// The same, but with the Linux tree `tree` to start from.
    pub fn with_tree(&self, tree: Utf8PathBuf) -> Self {
        Self { tree: Some(tree), ..self.clone() }
    }
}

/// The repository that this program was built in; where it is not there, the folder that the
/// program lies in: it was carried to another machine.
fn repository() -> Result<Utf8PathBuf> {
    let repo = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the tools are not inside their repository")?;
    if repo.is_dir() {
        return Ok(repo.to_owned());
    }
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let folder = program.parent().context("this program is in no folder")?.to_owned();
    Utf8PathBuf::try_from(folder).context("this program's folder has a name that is not UTF-8")
}

/// Marks a cache folder as one (cachedir.info) and as ours.
pub const MARKER: &str = "CACHEDIR.TAG";
const MARKER_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is the cache of cpu-bringup; `cargo xtask clean` empties it.\n";

/// How the name of a marker that is being written begins.
const UNFINISHED: &str = ".marker-";

/// Whether `dir` is a cache of ours: whatever is in it may be deleted.
pub fn is_our_cache(dir: &Utf8Path) -> bool {
    std::fs::read_to_string(dir.join(MARKER)).is_ok_and(|text| text == MARKER_TEXT)
}

/// Creates the cache folder with our marker in it. A folder with other content is refused: to
/// mark it would make that content ours to delete.
fn mark_cache(dir: &Utf8Path) -> Result<()> {
    fs_err::create_dir_all(dir)?;
    let mut names = fs_err::read_dir(dir)?.flatten().map(|entry| entry.file_name());
    let is_empty = names.all(|name| name.to_string_lossy().starts_with(UNFINISHED));
    // Looked for after the folder's content: another run may be marking it at this moment.
    if is_our_cache(dir) {
        return Ok(());
    }
    if !is_empty {
        return Err(Failure::Usage(format!(
            "{dir} is neither empty nor our cache (it holds no {MARKER} of ours); \
             give a new or empty folder with --cache DIR"
        ))
        .into());
    }
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir)?;
    file.write_all(MARKER_TEXT.as_bytes())?;
    // Whole or not at all, for the same reason.
    file.persist(dir.join(MARKER)).with_context(|| format!("cannot write {dir}/{MARKER}"))?;
    Ok(())
}

/// A held lock; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_and_empty_folders_become_caches() {
        let guard = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(guard.path()).unwrap();
        let new = dir.join("a/b");
        mark_cache(&new).unwrap();
        assert!(is_our_cache(&new));
        fs_err::write(new.join("content"), "").unwrap();
        mark_cache(&new).unwrap();

        // With something of somebody's in it, even if that somebody has marked it as a cache.
        let signature = &MARKER_TEXT[..MARKER_TEXT.find('\n').unwrap()];
        for (name, text) in [("letter", ""), (MARKER, signature)] {
            let other = dir.join(format!("other-{name}"));
            fs_err::create_dir(&other).unwrap();
            fs_err::write(other.join(name), text).unwrap();
            let error = mark_cache(&other).unwrap_err();
            assert_eq!(error.downcast_ref::<Failure>().map(Failure::code), Some(2));
            assert!(!is_our_cache(&other));
        }
    }
}
