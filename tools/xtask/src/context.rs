// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Where things are: the repository, the cache, the output folder; and what the user passed for
//! every stage (make variables, the kernel tree).

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use etcetera::BaseStrategy as _;
use fs_err::File;
use xshell::Shell;

/// What every stage is given.
pub struct Context {
    /// Runs short commands. Long ones go through [`crate::process`].
    pub sh: Shell,
    /// The root of this repository.
    pub repo: Utf8PathBuf,
    /// Our cache folder: sources, work trees, builds, tools.
    pub cache: Utf8PathBuf,
    /// Where results are written, `target/results` unless the user says otherwise.
    pub output: Utf8PathBuf,
    /// `--tree DIR`: the Linux tree to start from instead of the pinned one. Never modified.
    pub tree: Option<Utf8PathBuf>,
    /// `KEY=VAL` from the command line, for every make invocation.
    pub make_variables: Vec<(String, String)>,
}

impl Context {
    /// Finds the folders. `cache` and `output` are what the user asked for, if anything.
    pub fn new(cache: Option<Utf8PathBuf>, output: Option<Utf8PathBuf>) -> Result<Self> {
        let repo = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .context("the tools are not inside their repository")?
            .to_owned();
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
        fs_err::create_dir_all(&cache)?;
        let output = output.unwrap_or_else(|| repo.join("target/results"));
        Ok(Self {
            sh: Shell::new()?,
            repo,
            cache: cache.canonicalize_utf8()?,
            output: camino::absolute_utf8(&output)?,
            tree: None,
            make_variables: Vec::new(),
        })
    }

    /// Takes the exclusive lock `name` of the cache, waiting for whoever holds it. Two runs side by
    /// side share the cache; whoever writes to a part of it holds that part's lock.
    pub fn lock(&self, name: &str) -> Result<Lock> {
        let file = self.lock_file(name)?;
        if file.try_lock().is_err() {
            eprintln!("waiting for another run that uses `{name}` of the cache ...");
            file.lock().with_context(|| format!("cannot lock `{name}` of the cache"))?;
        }
        Ok(Lock { _file: file })
    }

    /// Takes the lock `name` together with others that only read that part of the cache; nobody
    /// writes to it meanwhile.
    pub fn lock_shared(&self, name: &str) -> Result<Lock> {
        let file = self.lock_file(name)?;
        if file.try_lock_shared().is_err() {
            eprintln!("waiting for another run that changes `{name}` of the cache ...");
            file.lock_shared().with_context(|| format!("cannot lock `{name}` of the cache"))?;
        }
        Ok(Lock { _file: file })
    }

    fn lock_file(&self, name: &str) -> Result<std::fs::File> {
        let dir = self.cache.join("locks");
        fs_err::create_dir_all(&dir)?;
        Ok(File::create(dir.join(name))?.into_file())
    }

    /// The same, but with the Linux tree `tree` to start from.
    pub fn with_tree(&self, tree: Utf8PathBuf) -> Self {
        Self {
            sh: self.sh.clone(),
            repo: self.repo.clone(),
            cache: self.cache.clone(),
            output: self.output.clone(),
            tree: Some(tree),
            make_variables: self.make_variables.clone(),
        }
    }
}

/// A held lock; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}
