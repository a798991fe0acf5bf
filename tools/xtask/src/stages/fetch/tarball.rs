// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The tarball in the cache, with a note beside it that says what it is and lets us see later
//! whether it still is that.

use std::io::Read as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use xshell::{Shell, cmd};

use super::tree::kernel_version;
use super::{Origin, Source};
use crate::context::Context;
use crate::process::{self, End, Verdict};
use crate::progress::Progress;

/// What we know of a tarball. Written before the tarball gets its final name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The version of this format.
    pub schema: u32,
    /// The kernel's version.
    pub version: String,
    /// SHA-256 of the tarball.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where it is from, in words: a URL, or a package with its version and suite.
    pub origin: String,
}

/// The place of the tarball in the cache.
pub struct Cached {
    sh: Shell,
    dir: Utf8PathBuf,
    /// The version, unless it is another tree of the same version.
    name: String,
    version: String,
}

/// Where the kernel's own script is kept after it was taken out of the tarball.
pub fn min_tool_version(cache: &Utf8Path, version: &str) -> Utf8PathBuf {
    cache.join(format!("sources/linux-{version}.min-tool-version.sh"))
}

impl Cached {
    /// The place for the release `version`.
    pub fn new(context: &Context, version: &str) -> Result<Self> {
        Self::named(context, version, version)
    }

    /// The place for a tree of this version that is called `name`.
    pub fn named(context: &Context, name: &str, version: &str) -> Result<Self> {
        let dir = context.cache.join("sources");
        fs_err::create_dir_all(&dir)?;
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(Self { sh: context.sh.clone(), dir, name, version })
    }

    /// The folder.
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// The tarball's name.
    pub fn file_name(&self) -> String {
        format!("linux-{}.tar.xz", self.name)
    }

    /// The tarball.
    pub fn file(&self) -> Utf8PathBuf {
        self.dir.join(self.file_name())
    }

    /// The tarball while it is not complete or not checked.
    pub fn part(&self) -> Utf8PathBuf {
        self.dir.join(format!("{}.part", self.file_name()))
    }

    fn note(&self) -> Utf8PathBuf {
        self.dir.join(format!("linux-{}.json", self.name))
    }

    /// The source, if the tarball is in the cache and still what it was. A torn or changed one is
    /// removed, with a word about it. `pin` is what its SHA-256 must be if it is upstream's.
    pub fn check(&self, pin: Option<&str>) -> Result<Option<Source>> {
        let file = self.file();
        if !file.exists() {
            return Ok(None);
        }
        let note = fs_err::read_to_string(self.note())
            .ok()
            .and_then(|text| serde_json::from_str::<Note>(&text).ok());
        let Some(note) = note else {
            return self.adopt(pin).map(Some);
        };
        let bytes = fs_err::metadata(&file)?.len();
        let wrong = if bytes != note.bytes {
            Some(format!("it has {bytes} bytes instead of {}", note.bytes))
        } else {
            let sha256 = sha256_of(&file)?;
            (sha256 != note.sha256)
                .then(|| format!("its SHA-256 is {sha256} instead of {}", note.sha256))
        };
        match wrong {
            None => Ok(Some(self.source(&note))),
            Some(wrong) => {
                eprintln!("{file} is incomplete or was changed: {wrong}; removing it");
                fs_err::remove_file(&file)?;
                Ok(None)
            }
        }
    }

    /// Takes over a tarball that somebody has put here by hand.
    fn adopt(&self, pin: Option<&str>) -> Result<Source> {
        let file = self.file();
        eprintln!("{file} was not fetched by us; checking it");
        let sha256 = sha256_of(&file)?;
        if let Some(pin) = pin.filter(|pin| **pin != sha256) {
            bail!(
                "{file}: its SHA-256 is {sha256} instead of {pin}; delete it or put the right one there"
            );
        }
        let note = self.inspect(&file, "put into the cache by hand")?;
        Ok(self.source(&note))
    }

    /// Makes the complete `.part` file the tarball, after a look into it: it must unpack to its
    /// end and hold the version that was asked for.
    pub fn accept(&self, origin: &str) -> Result<Source> {
        let part = self.part();
        let note = self.inspect(&part, origin)?;
        fs_err::rename(&part, self.file())?;
        Ok(self.source(&note))
    }

    /// Looks into `file` and writes the note about it.
    fn inspect(&self, file: &Utf8Path, origin: &str) -> Result<Note> {
        self.look_into(file)?;
        let note = Note {
            schema: 1,
            version: self.version.clone(),
            sha256: sha256_of(file)?,
            bytes: fs_err::metadata(file)?.len(),
            origin: origin.to_owned(),
        };
        fs_err::write(self.note(), serde_json::to_string_pretty(&note)? + "\n")?;
        Ok(note)
    }

    fn look_into(&self, file: &Utf8Path) -> Result<()> {
        // Of a fixed name, so that what a killed run leaves is cleared away by the next one.
        let folder = self.dir.join("look");
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        fs_err::create_dir(&folder)?;
        let progress = Progress::spinner(format!("Checking {}", self.file_name()));
        let log = folder.join("tar.log");
        let unpack = ["--use-compress-program=xz -T0", "--strip-components=1"];
        let tar = cmd!(self.sh, "tar -x {unpack...} -f {file} -C {folder}");
        let tar = tar.args(["--wildcards", "--no-wildcards-match-slash"]);
        let tar = Command::from(tar.args(["*/Makefile", "*/scripts/min-tool-version.sh"]));
        let end = process::run_logged(tar, &log, Duration::from_secs(600), |_| Verdict::Continue)?;
        if !matches!(end, End::Exited(status) if status.success()) {
            let text = fs_err::read_to_string(&log).unwrap_or_default();
            let last = text.lines().next().unwrap_or("tar was killed");
            bail!("{file} is not a whole kernel tarball: {last}");
        }
        let makefile = fs_err::read_to_string(folder.join("Makefile"))?;
        let version = kernel_version(&makefile).unwrap_or_else(|| "no kernel at all".to_owned());
        if version != self.version {
            bail!("{file} holds {version} instead of Linux {}", self.version);
        }
        let script = self.dir.join(format!("linux-{}.min-tool-version.sh", self.name));
        fs_err::rename(folder.join("scripts/min-tool-version.sh"), script)?;
        fs_err::remove_dir_all(&folder)?;
        progress.done("is whole");
        Ok(())
    }

    fn source(&self, note: &Note) -> Source {
        Source {
            origin: Origin::Tarball(self.file()),
            version: note.version.clone(),
            sha256: note.sha256.clone(),
        }
    }

    /// Where the tarball in the cache is from, in words.
    pub fn origin(&self) -> Option<String> {
        let text = fs_err::read_to_string(self.note()).ok()?;
        serde_json::from_str::<Note>(&text).ok().map(|note| note.origin)
    }
}

/// SHA-256 of the content of `file`, in hexadecimal.
pub fn sha256_of(file: &Utf8Path) -> Result<String> {
    let mut reader = File::open(file)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(format!("{:x}", hash.finalize()));
        }
        hash.update(&buffer[..count]);
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A tarball that looks like a kernel's, as `.part` in a fresh folder.
    pub fn small(dir: &Utf8Path, version: &str) -> Cached {
        let tree = dir.join("tree/linux-source");
        fs_err::create_dir_all(tree.join("scripts/sub")).unwrap();
        let (major, rest) = version.split_once('.').unwrap();
        let (minor, patch) = rest.split_once('.').unwrap();
        let makefile = format!(
            "# x\nVERSION = {major}\nPATCHLEVEL = {minor}\nSUBLEVEL = {patch}\nEXTRAVERSION =\n"
        );
        fs_err::write(tree.join("Makefile"), makefile).unwrap();
        fs_err::write(tree.join("scripts/sub/Makefile"), "VERSION = 0\n").unwrap();
        fs_err::write(tree.join("scripts/min-tool-version.sh"), "echo 1.2.3\n").unwrap();
        let cached = Cached {
            sh: Shell::new().unwrap(),
            dir: dir.join("sources"),
            name: "7.3.4".to_owned(),
            version: "7.3.4".to_owned(),
        };
        fs_err::create_dir_all(&cached.dir).unwrap();
        let status = Command::new("tar")
            .args(["-c", "-J", "-f", cached.part().as_str(), "-C", dir.join("tree").as_str()])
            .arg("linux-source")
            .status()
            .unwrap();
        assert!(status.success());
        cached
    }

    pub fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    #[test]
    fn an_accepted_tarball_is_found_again() {
        let (_guard, dir) = folder();
        let cached = small(&dir, "7.3.4");
        assert!(cached.check(None).unwrap().is_none());
        let source = cached.accept("a test").unwrap();
        assert_eq!(source.origin, Origin::Tarball(dir.join("sources/linux-7.3.4.tar.xz")));
        let again = cached.check(None).unwrap().unwrap();
        assert_eq!((again.version.as_str(), again.sha256), ("7.3.4", source.sha256));
        assert_eq!(cached.origin().as_deref(), Some("a test"));
        let script = fs_err::read_to_string(min_tool_version(&dir, "7.3.4")).unwrap();
        assert_eq!(script, "echo 1.2.3\n");
        assert!(!cached.part().exists());
    }

    #[test]
    fn torn_and_changed_tarballs_are_removed() {
        let (_guard, dir) = folder();
        for tear in [true, false] {
            let cached = small(&dir, "7.3.4");
            cached.accept("a test").unwrap();
            let mut bytes = fs_err::read(cached.file()).unwrap();
            if tear {
                bytes.truncate(100);
            } else {
                bytes[50] ^= 1;
            }
            fs_err::write(cached.file(), bytes).unwrap();
            assert!(cached.check(None).unwrap().is_none());
            assert!(!cached.file().exists());
        }
    }

    #[test]
    fn what_is_not_the_right_kernel_is_not_accepted() {
        let (_guard, dir) = folder();
        let cached = small(&dir, "7.3.5");
        let error = cached.accept("a test").unwrap_err().to_string();
        assert!(error.contains("holds 7.3.5 instead of Linux 7.3.4"), "{error}");

        let cached = small(&dir, "7.3.4");
        let bytes = fs_err::read(cached.part()).unwrap();
        fs_err::write(cached.part(), &bytes[..bytes.len() / 2]).unwrap();
        let error = cached.accept("a test").unwrap_err().to_string();
        assert!(error.contains("not a whole kernel tarball"), "{error}");
        assert!(!cached.file().exists());
    }

    #[test]
    fn a_tarball_put_there_by_hand_is_taken_over_if_it_is_right() {
        let (_guard, dir) = folder();
        let cached = small(&dir, "7.3.4");
        fs_err::rename(cached.part(), cached.file()).unwrap();
        assert!(cached.check(Some("0000")).unwrap_err().to_string().contains("instead of 0000"));
        let source = cached.check(None).unwrap().unwrap();
        assert_eq!(source.sha256, sha256_of(&cached.file()).unwrap());

        let (_guard, dir) = folder();
        let cached = small(&dir, "7.3.5");
        fs_err::rename(cached.part(), cached.file()).unwrap();
        assert!(cached.check(None).is_err());
        assert!(cached.file().exists());
    }
}
