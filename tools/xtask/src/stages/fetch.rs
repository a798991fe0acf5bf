// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 1: the Linux source that everything starts from.

mod download;
mod package;
mod tarball;
mod tree;
mod upstream;

pub use tarball::sha256_of;
pub use tree::{kernel_version, no_git};

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
    /// SHA-256 of the tarball; for a user's tree, of its commit or of the paths, sizes and times of
    /// its files. Keys the later stages.
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
    /// By name: trees besides, on which the series is tried.
    others: BTreeMap<String, Other>,
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

/// A tree that the series is tried on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// What it is, for people.
    pub what: String,
    /// `make kernelversion`.
    pub version: String,
    /// Whether the series must apply.
    pub must_apply: bool,
    /// The distribution's package.
    package: String,
    /// Upstream's part of the package's version.
    release: String,
    /// The file in the package; the source package's upstream tarball if there is none.
    tarball: Option<String>,
    suites: BTreeMap<String, Vec<String>>,
}

impl Other {
    /// Whether it is without the distribution's patches.
    pub fn is_upstream(&self) -> bool {
        self.tarball.is_none()
    }
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
    let wanted = package::Wanted {
        name: &sources.package.name,
        release: &sources.version,
        tarball: package::Tarball::Inside(&sources.package.tarball),
        suites: &sources.package.suites,
    };
    match package::fetch(context, &wanted, &cached) {
        Ok(source) => Ok(source),
        // A time limit has an exit code of its own.
        Err(error) if error.is::<Failure>() => Err(error),
        Err(package) => Err(Failure::Host(format!(
            "cannot get Linux {}:\n  from kernel.org: {upstream:#}\n  from the package {}: \
             {package:#}\nfix the network and run `cargo xtask fetch` again, or put {} into {}, \
             or start from your own tree with --tree DIR",
            sources.version,
            sources.package.name,
            cached.file_name(),
            cached.dir(),
        ))
        .into()),
    }
}

/// The release that everything starts from.
pub fn version() -> Result<String> {
    Ok(Sources::read()?.version)
}

/// Trees besides the one that everything starts from, by name.
pub fn others() -> Result<BTreeMap<String, Other>> {
    Ok(Sources::read()?.others)
}

/// Whether `source` is upstream's own tarball.
pub fn is_upstream(context: &Context, source: &Source) -> Result<bool> {
    let sources = Sources::read()?;
    let is_tarball = matches!(source.origin, Origin::Tarball(_));
    let origin = Cached::new(context, &source.version)?.origin();
    Ok(is_tarball && origin.is_some_and(|origin| origin == sources.upstream.tarball))
}

/// Finds or fetches one of [`others`].
pub fn other(context: &Context, name: &str, other: &Other) -> Result<Source> {
    let _lock = context.lock("sources")?;
    let cached = Cached::named(context, name, &other.version)?;
    if let Some(source) = cached.check(None)? {
        return Ok(source);
    }
    let tarball = match &other.tarball {
        Some(file) => package::Tarball::Inside(file),
        None => package::Tarball::Original,
    };
    let (name, release, suites) = (&other.package, &other.release, &other.suites);
    package::fetch(context, &package::Wanted { name, release, tarball, suites }, &cached)
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
