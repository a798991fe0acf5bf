// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The tarball from the distribution's package, by a private apt: its own sources, lists and
//! archives, all in our cache. Nothing of the system's apt changes, no root is needed, and the
//! package is verified as any other.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xshell::{Shell, cmd};

use super::Source;
use super::tarball::{Cached, sha256_of};
use crate::context::Context;
use crate::error::Failure;
use crate::host::Distribution;
use crate::process::{self, End, Verdict};
use crate::progress::Progress;

const UPDATE: Duration = Duration::from_secs(300);
const DOWNLOAD: Duration = Duration::from_secs(3600);

/// Which tarball is wanted, and of which package.
pub struct Wanted<'a> {
    /// The package's name.
    pub name: &'a str,
    /// Upstream's part of the package's version, e.g. `7.3~rc7`.
    pub release: &'a str,
    /// Where the tarball is.
    pub tarball: Tarball<'a>,
    /// Suites that may have it, by distribution.
    pub suites: &'a BTreeMap<String, Vec<String>>,
}

/// Where a package has a tarball.
#[derive(Clone, Copy)]
pub enum Tarball<'a> {
    /// A file of a binary package.
    Inside(&'a str),
    /// The source package's own: upstream's files, without the distribution's patches.
    Original,
}

/// Gets the package, takes the tarball out of it and puts that into the cache.
pub fn fetch(context: &Context, wanted: &Wanted<'_>, cached: &Cached) -> Result<Source> {
    let distribution = Distribution::here();
    if !distribution.uses_apt() {
        bail!("{} has no apt", distribution.name);
    }
    let apt = Apt::new(&context.sh, &context.cache.join("apt"), &distribution, None)?;
    let mirrors = apt.mirrors(&distribution.codename)?;
    let suites = suites(wanted.suites, &distribution);
    let mut refusals = Vec::new();
    for suite in &suites {
        for mirror in &mirrors {
            match fetch_from(&apt, wanted, cached, mirror, suite) {
                Ok(source) => {
                    apt.remove()?;
                    return Ok(source);
                }
                // What takes too long once would do so for every suite.
                Err(error) if error.is::<Failure>() => return Err(error),
                Err(error) => refusals.push(format!("{suite}: {error:#}")),
            }
        }
    }
    bail!(
        "{}",
        if refusals.is_empty() { "no suite to look in".to_owned() } else { refusals.join("; ") }
    )
}

fn fetch_from(
    apt: &Apt,
    wanted: &Wanted<'_>,
    cached: &Cached,
    mirror: &str,
    suite: &str,
) -> Result<Source> {
    let name = wanted.name;
    match wanted.tarball {
        Tarball::Inside(_) => apt.use_only(mirror, suite)?,
        Tarball::Original => apt.use_source(mirror, suite, "deb-src", "Sources")?,
    }
    apt.run("apt-get", &["update", "--error-on=any"], UPDATE, None, "Reading package lists")?;
    let listed = apt.output("apt-cache", &["madison", name])?;
    let version = exact_version(&listed, wanted.release)
        .with_context(|| refusal(&listed, name, wanted.release))?;
    let title = format!("Downloading {name} {version} of {suite}");
    let (package, what) = match wanted.tarball {
        Tarball::Inside(file) => {
            let shown = apt.output("apt-cache", &["show", &format!("{name}={version}")])?;
            let package = apt.download(name, &version, &shown, &title)?;
            let unpacked = apt.dir.join("unpacked");
            let arguments = ["--extract", package.as_str(), unpacked.as_str()];
            apt.run("dpkg-deb", &arguments, UPDATE, None, &format!("Unpacking {name}"))?;
            fs_err::rename(unpacked.join(file), cached.part())?;
            (package, "package")
        }
        Tarball::Original => {
            let package = apt.download_original(name, &version, &title)?;
            fs_err::rename(&package, cached.part())?;
            (package, "source package")
        }
    };
    let accepted = cached.accept(&format!("{what} {name} {version} of {suite}"));
    if accepted.is_err() {
        fs_err::remove_file(cached.part())?;
        if package.exists() {
            fs_err::remove_file(&package)?;
        }
    }
    accepted
}

/// Where to look on the host, without repetitions.
fn suites(table: &BTreeMap<String, Vec<String>>, distribution: &Distribution) -> Vec<String> {
    let ids = std::iter::once(&distribution.id).chain(&distribution.like);
    let listed = ids.filter_map(|id| table.get(id)).next().into_iter().flatten();
    let mut suites = Vec::new();
    for suite in listed {
        if distribution.codename.is_empty() && suite.contains("{codename}") {
            continue;
        }
        let suite = suite.replace("{codename}", &distribution.codename);
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

/// The mirror of the release itself, from lines `URI SUITE`; others of its archive if there is no
/// line for it. Those of security updates hold only these.
fn pick_mirrors(targets: &str, codename: &str) -> Vec<String> {
    let lines = || targets.lines().filter_map(|line| line.trim().rsplit_once(' '));
    let mut mirrors: Vec<String> = Vec::new();
    let own = lines().filter(|(_, suite)| *suite == codename);
    let others = lines().filter(|(_, suite)| !suite.contains("security"));
    for (mirror, _) in own.chain(others) {
        if !mirror.is_empty() && !mirrors.iter().any(|listed| listed == mirror) {
            mirrors.push(mirror.to_owned());
        }
    }
    // One may be a third party's repository, so that all of them would mean long waits.
    mirrors.truncate(2);
    mirrors
}

/// From the lines of `apt-cache madison`, the package version that holds `upstream` exactly.
fn exact_version(listed: &str, upstream: &str) -> Option<String> {
    versions(listed).find(|version| upstream_of(version) == upstream).map(str::to_owned)
}

fn versions(listed: &str) -> impl Iterator<Item = &str> {
    listed.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim)
}

/// Upstream's part of a Debian version: without epoch and revision.
fn upstream_of(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

fn refusal(listed: &str, name: &str, upstream: &str) -> String {
    let versions: Vec<_> = versions(listed).collect();
    match versions.is_empty() {
        true => format!("has no {name}"),
        false => format!("has {name} {}, but {upstream} is needed", versions.join(", ")),
    }
}

/// The value of `key` in a package's record.
fn field<'a>(shown: &'a str, key: &str) -> Option<&'a str> {
    shown.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
}

/// A private apt in a folder of our cache.
pub struct Apt {
    sh: Shell,
    dir: Utf8PathBuf,
    is_ubuntu: bool,
}

impl Apt {
    /// One that has nothing yet, for packages of `architecture` or of the host's.
    pub fn new(
        sh: &Shell,
        dir: &Utf8Path,
        distribution: &Distribution,
        architecture: Option<&str>,
    ) -> Result<Self> {
        for below in ["etc", "lists/partial", "archives/partial"] {
            fs_err::create_dir_all(dir.join(below))?;
        }
        if dir.join("unpacked").exists() {
            fs_err::remove_dir_all(dir.join("unpacked"))?;
        }
        let is_root = rustix::process::geteuid().is_root();
        let mut configuration = configuration(dir, is_root);
        if let Some(architecture) = architecture {
            // Nothing of that architecture is installed here: all that is needed is to be fetched.
            fs_err::write(dir.join("status"), "")?;
            configuration += &format!(
                "APT::Architecture \"{architecture}\";\n\
                 APT::Architectures {{ \"{architecture}\"; }};\n\
                 Dir::State::status \"{dir}/status\";\n"
            );
        }
        fs_err::write(dir.join("apt.conf"), configuration)?;
        let ubuntu = "ubuntu";
        let is_ubuntu =
            distribution.id == ubuntu || distribution.like.iter().any(|id| id == ubuntu);
        Ok(Self { sh: sh.clone(), dir: dir.to_owned(), is_ubuntu })
    }

    /// Unpacks `packages` and all that they depend on below `root`.
    pub fn unpack(&self, packages: &[&str], root: &Utf8Path, title: &str) -> Result<()> {
        self.run("apt-get", &["update", "--error-on=any"], UPDATE, None, "Reading package lists")?;
        let options = ["install", "--download-only", "--no-install-recommends", "--yes"];
        let arguments = [&options, packages].concat();
        self.run("apt-get", &arguments, DOWNLOAD, None, title)?;
        for entry in self.dir.join("archives").read_dir_utf8()? {
            let package = entry?.into_path();
            if package.extension() == Some("deb") {
                let arguments = ["--extract", package.as_str(), root.as_str()];
                let name = package.file_name().unwrap_or_default();
                self.run_quietly("dpkg-deb", &arguments).with_context(|| name.to_owned())?;
            }
        }
        Ok(())
    }

    /// Removes the folder: it has served its purpose.
    pub fn remove(self) -> Result<()> {
        Ok(fs_err::remove_dir_all(self.dir)?)
    }

    /// The mirrors that the system's own apt is set up with.
    pub fn mirrors(&self, codename: &str) -> Result<Vec<String>> {
        // Without lists, as in a fresh container, there is no release information to show.
        for options in [&[][..], &["--no-release-info"]] {
            let indextargets = cmd!(self.sh, "apt-get indextargets {options...}");
            let output = Command::from(indextargets)
                .args(["--format", "$(REPO_URI) $(RELEASE)"])
                .output()
                .context("cannot start `apt-get`")?;
            let mirrors = pick_mirrors(&String::from_utf8_lossy(&output.stdout), codename);
            if !mirrors.is_empty() {
                return Ok(mirrors);
            }
        }
        bail!("the system's apt has no mirror")
    }

    /// Takes packages from there only.
    pub fn use_only(&self, mirror: &str, suite: &str) -> Result<()> {
        self.use_source(mirror, suite, "deb", "Packages")
    }

    /// Takes packages of this type only, which the archive lists in these files.
    fn use_source(&self, mirror: &str, suite: &str, types: &str, targets: &str) -> Result<()> {
        let family = if self.is_ubuntu { "ubuntu" } else { "debian" };
        let keyring = format!("/usr/share/keyrings/{family}-archive-keyring.gpg");
        let mut text = format!(
            "Types: {types}\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n\
             Targets: {targets}\n"
        );
        // Without it apt takes the keys that the system trusts in general.
        if Utf8Path::new(&keyring).exists() {
            text.push_str(&format!("Signed-By: {keyring}\n"));
        }
        Ok(fs_err::write(self.dir.join("etc/kernel.sources"), text)?)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::from(cmd!(self.sh, "{program}"));
        if program.starts_with("apt") {
            command.arg("-c").arg(self.dir.join("apt.conf"));
        }
        command.args(arguments).current_dir(self.dir.join("archives")).env("LC_ALL", "C");
        command
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program, arguments).output();
        let output = output.with_context(|| format!("cannot start `{program}`"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs something longer. `total` is how big the package becomes, if that is what it makes.
    fn run(
        &self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
        total: Option<u64>,
        title: &str,
    ) -> Result<()> {
        let progress = match total {
            Some(_) => Progress::bytes(title, total),
            None => Progress::spinner(title),
        };
        self.run_with(program, arguments, limit, total, progress)
    }

    /// Runs something of a moment.
    fn run_quietly(&self, program: &str, arguments: &[&str]) -> Result<()> {
        self.run_with(program, arguments, UPDATE, None, Progress::hidden())
    }

    fn run_with(
        &self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
        total: Option<u64>,
        progress: Progress,
    ) -> Result<()> {
        let log = self.dir.join("apt.log");
        let command = self.command(program, arguments);
        let end = process::run_logged(command, &log, limit, |_| {
            if total.is_some() {
                progress.set(self.bytes_so_far());
            }
            Verdict::Continue
        })?;
        match end {
            End::Exited(status) if status.success() => {
                progress.done("done");
                Ok(())
            }
            End::Exited(_) | End::Stopped => {
                let text = fs_err::read_to_string(&log).unwrap_or_default();
                let line = text
                    .lines()
                    .find(|line| line.starts_with("E:") || line.starts_with("dpkg-deb:"));
                bail!("{program} {}: {}", arguments[0], line.unwrap_or("failed without a message"))
            }
            End::TimedOut => Err(Failure::TimeLimit(format!(
                "{program} {} took longer than {} minutes",
                arguments[0],
                limit.as_secs() / 60
            ))
            .into()),
        }
    }

    /// The size of what apt has of the package by now.
    fn bytes_so_far(&self) -> u64 {
        let folders = [self.dir.join("archives"), self.dir.join("archives/partial")];
        let entries = folders.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten();
        let files = entries.flatten().filter_map(|entry| entry.metadata().ok());
        files
            .filter(|metadata| metadata.is_file())
            .map(|metadata| metadata.len())
            .max()
            .unwrap_or(0)
    }

    /// Downloads the package whose record is `shown`.
    ///
    /// apt vouches for the record; the file we compare ourselves, as apt takes one that an earlier
    /// run has left for complete when it has the right size.
    fn download(&self, name: &str, version: &str, shown: &str, title: &str) -> Result<Utf8PathBuf> {
        let total = field(shown, "Size").and_then(|text| text.parse().ok());
        let sha256 = field(shown, "SHA256").context("apt knows no SHA-256 of the package")?;
        let wanted = format!("{name}={version}");
        for _ in 0..2 {
            self.run("apt-get", &["download", &wanted], DOWNLOAD, total, title)?;
            let package = self.package(name, version).context("apt-get has left no package")?;
            if sha256_of(&package)? == sha256 {
                return Ok(package);
            }
            eprintln!("{package} does not have the SHA-256 that apt knows; removing it");
            fs_err::remove_file(&package)?;
        }
        bail!("the package that the mirror sends does not have the SHA-256 {sha256}")
    }

    /// Downloads upstream's tarball of a source package, which apt checks when it is complete.
    fn download_original(&self, name: &str, version: &str, title: &str) -> Result<Utf8PathBuf> {
        let wanted = format!("{name}={version}");
        let arguments = ["source", "--download-only", "--tar-only", &wanted];
        let files = || {
            let entries = self.dir.join("archives").read_dir_utf8().ok().into_iter().flatten();
            let paths = entries.flatten().map(|entry| entry.path().to_owned());
            paths.filter(|path| path.as_str().contains(".orig.tar")).collect::<Vec<_>>()
        };
        // One of an earlier run may be torn.
        for file in files() {
            fs_err::remove_file(file)?;
        }
        // How big it is, apt-get tells only in words.
        self.run("apt-get", &arguments, DOWNLOAD, None, title)?;
        files().pop().context("apt-get has left no tarball")
    }

    fn package(&self, name: &str, version: &str) -> Option<Utf8PathBuf> {
        let entries = self.dir.join("archives").read_dir_utf8().ok()?;
        let mut files = entries.flatten().map(|entry| entry.path().to_owned());
        let prefix = format!("{name}_{}_", version.replace(':', "%3a"));
        files.find(|file| {
            file.extension() == Some("deb")
                && file.file_name().is_some_and(|file| file.starts_with(&prefix))
        })
    }
}

/// The text of the private apt.conf. It is read after the system's own, whose proxies and
/// transports we keep.
fn configuration(dir: &Utf8Path, is_root: bool) -> String {
    let mut text = format!(
        "Dir::Etc::sourcelist \"/dev/null\";\n\
         Dir::Etc::sourceparts \"{dir}/etc\";\n\
         Dir::Etc::preferences \"/dev/null\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\n\
         Dir::State::lists \"{dir}/lists\";\n\
         Dir::Cache \"{dir}\";\n\
         Dir::Cache::archives \"{dir}/archives\";\n\
         Acquire::Languages \"none\";\n"
    );
    // The system's hooks act on the system's lists and archives, which do not change.
    for hook in ["Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"] {
        text.push_str(&format!("#clear APT::Update::{hook};\n"));
    }
    if is_root {
        // apt's own unprivileged user may not enter root's cache folder.
        text.push_str("APT::Sandbox::User \"root\";\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distribution(id: &str, codename: &str) -> Distribution {
        Distribution::parse(&format!("ID={id}\nVERSION_CODENAME={codename}\nID_LIKE=debian\n"))
    }

    #[test]
    fn each_distribution_has_its_suites() {
        let table = super::super::Sources::read().unwrap().package.suites;
        let of = |id, codename| suites(&table, &distribution(id, codename)).join(" ");
        assert_eq!(of("debian", "bookworm"), "trixie-backports bookworm-backports bookworm sid");
        assert_eq!(of("debian", "trixie"), "trixie-backports trixie sid");
        assert_eq!(of("debian", ""), "trixie-backports sid");
        assert_eq!(of("ubuntu", "noble"), "noble-updates noble");
        assert_eq!(of("devuan", "x"), "trixie-backports x-backports x sid");
    }

    #[test]
    fn the_mirror_is_that_of_the_release() {
        let targets = "http://security.example/ bookworm-security\nhttp://other.example/x/ stable\n\
            http://mirror.example/debian/ bookworm\nhttp://mirror.example/debian/ bookworm-updates\n";
        let mirrors = ["http://mirror.example/debian/", "http://other.example/x/"];
        assert_eq!(pick_mirrors(targets, "bookworm"), mirrors);
        assert_eq!(
            pick_mirrors("http://security.example/ bookworm-security\n", "bookworm"),
            [""; 0]
        );
        assert_eq!(pick_mirrors("\n \n", ""), [""; 0]);
    }

    #[test]
    fn only_the_exact_version_will_do() {
        let listed = " linux-source-7.3 | 7.3.5-1 | http://m trixie-backports/main\n\
            linux-source-7.3 | 7.3.4-1~bpo13+1 | http://m trixie-backports/main amd64 Packages\n";
        assert_eq!(exact_version(listed, "7.3.4").as_deref(), Some("7.3.4-1~bpo13+1"));
        assert_eq!(exact_version(listed, "7.3"), None);
        assert_eq!(upstream_of("1:7.3~rc7-1~exp1"), "7.3~rc7");
        assert_eq!(upstream_of("7.3.0"), "7.3.0");
        let text = refusal(listed, "p", "7.3.6");
        assert_eq!(text, "has p 7.3.5-1, 7.3.4-1~bpo13+1, but 7.3.6 is needed");
        assert_eq!(refusal("", "p", "7.3.6"), "has no p");
        let record = "Package: x\nInstalled-Size: 5\nSize: 123\nSHA256: y\n";
        assert_eq!((field(record, "Size"), field(record, "SHA256")), (Some("123"), Some("y")));
        assert_eq!(field(record, "Siz"), None);
    }

    #[test]
    fn the_private_apt_stays_in_its_folder() {
        let text = configuration("/c/apt".into(), true);
        let outside = |line: &&str| line.contains("Dir::") && !line.contains("\"/c/apt");
        let outside: Vec<_> = text.lines().filter(outside).collect();
        assert!(outside.iter().all(|line| line.ends_with("\"/dev/null\";")), "{outside:?}");
        assert!(text.contains("Sandbox"));
        assert!(!configuration("/c/apt".into(), false).contains("Sandbox"));
    }

    proptest! {
        #[test]
        fn no_output_of_apt_panics(text in any::<String>()) {
            let _ = exact_version(&text, "7.3.4");
            let _ = pick_mirrors(&text, "bookworm");
            let _ = field(&text, "Size");
            let _ = refusal(&text, "p", "7.3.4");
        }
    }
}
