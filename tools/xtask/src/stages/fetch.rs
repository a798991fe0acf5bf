// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 1: the Linux source that everything starts from.

mod download;
mod package;
mod tarball;
mod tree;
mod upstream;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use serde::Deserialize;

use crate::context::Context;
use crate::error::Failure;
pub use package::Apt;
use tarball::Cached;

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
    /// A tarball in our cache, from kernel.org or from the distribution's package. All it holds is
    /// in one folder, whose name differs between the two.
    Tarball(Utf8PathBuf),
    /// A git checkout of the user's: its HEAD commit is what counts.
    Git(Utf8PathBuf),
    /// A plain tree of the user's.
    Plain(Utf8PathBuf),
}

/// What sources.toml says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sources {
    version: String,
    upstream: Upstream,
    package: Package,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Upstream {
    tarball: String,
    checksums: String,
    sha256: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    name: String,
    tarball: String,
    suites: BTreeMap<String, Vec<String>>,
}

impl Sources {
    fn read() -> Result<Self> {
        toml::from_str(include_str!("fetch/sources.toml")).context("sources.toml is wrong")
    }
}

/// Finds or fetches the source: `--tree`, the cache, the upstream tarball, the distribution's
/// package, in that order.
pub fn run(context: &Context) -> Result<Source> {
    if let Some(dir) = &context.tree {
        return tree::read(&context.sh, dir);
    }
    let sources = Sources::read()?;
    let _lock = context.lock("sources")?;
    let cached = Cached::new(context, &sources.version)?;
    if let Some(source) = cached.check(sources.upstream.sha256.as_deref())? {
        return Ok(source);
    }

    let upstream = match upstream::fetch(&sources, &cached) {
        Ok(source) => return Ok(source),
        Err(error) => error,
    };
    eprintln!("kernel.org: {upstream:#}");
    eprintln!("falling back to the distribution's package {}", sources.package.name);
    match package::fetch(context, &sources, &cached) {
        Ok(source) => Ok(source),
        // A time limit has an exit code of its own.
        Err(error) if error.is::<Failure>() => Err(error),
        Err(package) => Err(Failure::Host(format!(
            "cannot get Linux {}:\n  from kernel.org: {upstream:#}\n  from the package {}: \
             {package:#}\nmend the network and run `cargo xtask fetch` again, or put {} into {}, \
             or start from a tree of yours with --tree DIR",
            sources.version,
            sources.package.name,
            cached.file_name(),
            cached.dir(),
        ))
        .into()),
    }
}

/// Where `source` is and where it is from, for people.
pub fn describe(context: &Context, source: &Source) -> Result<String> {
    Ok(match &source.origin {
        Origin::Git(dir) => format!("{dir} (git checkout, its HEAD)"),
        Origin::Plain(dir) => format!("{dir} (plain tree)"),
        Origin::Tarball(file) => {
            let origin = Cached::new(context, &source.version)?.origin();
            format!("{file} ({})", origin.as_deref().unwrap_or("of unknown origin"))
        }
    })
}

/// The kernel's script that tells its minimum versions, and a name for it, if a source is at hand.
/// Looks, but fetches nothing.
pub fn min_tool_version(context: &Context) -> Option<(Utf8PathBuf, String)> {
    const SCRIPT: &str = "scripts/min-tool-version.sh";
    let (file, of) = match &context.tree {
        Some(dir) => (dir.join(SCRIPT), dir.to_string()),
        None => {
            let version = Sources::read().ok()?.version;
            let file = tarball::min_tool_version(&context.cache, &version);
            (file, format!("Linux {version}"))
        }
    };
    file.is_file().then(|| (file, format!("{SCRIPT} of {of}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_sources_is_consistent() {
        let sources = Sources::read().unwrap();
        let version = &sources.version;
        assert!(sources.upstream.tarball.ends_with(&format!("/linux-{version}.tar.xz")));
        assert!(sources.upstream.tarball.starts_with("https://"));
        assert!(sources.upstream.checksums.starts_with("https://"));
        assert!(sources.upstream.sha256.is_none_or(|sum| upstream::is_sha256(&sum)));
        assert!(sources.package.suites.contains_key("debian"));
    }
}
