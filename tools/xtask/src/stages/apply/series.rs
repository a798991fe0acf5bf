// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The series as files: `patches/vMAJOR.MINOR/NNNN-*.patch` and its description `series.toml`.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::error::Failure;

/// What `series.toml` holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// The kernel version that the series is made for, e.g. `7.3.4`.
    kernel: String,
    /// File names of the first patches of the series, which alone make up the kernel `base`.
    recording: Vec<String>,
    /// Remarks of checkpatch that are known and argued.
    #[serde(default, rename = "exception")]
    exceptions: Vec<Exception>,
}

/// A remark of checkpatch that the series does not follow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// As checkpatch calls it, e.g. `FILE_PATH_CHANGES`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The patch that it is about, as `0007`; every one if absent.
    pub patch: Option<String>,
    /// Why.
    pub reason: String,
}

/// One patch file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Patch {
    /// Reads the patch file `path`.
    pub fn read(path: &Utf8Path) -> Result<Self> {
        let content = fs_err::read(path)?;
        Ok(Self { path: path.to_owned(), sha256: hex(&Sha256::digest(content)) })
    }

    /// The file's name without its folder.
    pub fn name(&self) -> &str {
        self.path.file_name().unwrap_or(self.path.as_str())
    }

    /// The name of the series that it belongs to: that of its folder.
    pub fn series(&self) -> Option<&str> {
        self.path.parent()?.file_name()
    }
}

/// The patches for one kernel version, in order.
#[derive(Debug)]
pub struct Series {
    /// The kernel version that the series is made for.
    pub kernel: String,
    /// All patches.
    pub patches: Vec<Patch>,
    /// What checkpatch may say.
    pub exceptions: Vec<Exception>,
    /// The folder.
    pub dir: Utf8PathBuf,
    recording: usize,
}

impl Series {
    /// Loads the series below `patches` that is for `version`: that of the same major and minor
    /// number, else the newest.
    pub fn load(patches: &Utf8Path, version: &str) -> Result<Self> {
        let mut names = Vec::new();
        if patches.is_dir() {
            for entry in patches.read_dir_utf8()? {
                let entry = entry?;
                if entry.path().join("series.toml").is_file() {
                    names.push(entry.file_name().to_owned());
                }
            }
        }
        let name = choose(&names, version).ok_or_else(|| {
            Failure::Usage(format!(
                "there is no series in {patches}: it would be a folder like v7.3 with a series.toml"
            ))
        })?;
        Self::load_dir(&patches.join(name))
    }

    /// Loads the series in the folder `dir`.
    pub fn load_dir(dir: &Utf8Path) -> Result<Self> {
        let description = dir.join("series.toml");
        let Description { kernel, recording, exceptions } =
            toml::from_str(&fs_err::read_to_string(&description)?)
                .map_err(|error| Failure::Usage(format!("{description}: {error}")))?;
        let mut files = Vec::new();
        for entry in dir.read_dir_utf8()? {
            let path = entry?.into_path();
            if path.file_name().is_some_and(is_patch) {
                files.push(path);
            }
        }
        files.sort();
        let names: Vec<&str> = files.iter().filter_map(|path| path.file_name()).collect();
        check_recording(&recording, &names)
            .map_err(|text| Failure::Usage(format!("{description}: {text}")))?;
        let patches = files.iter().map(|path| Patch::read(path)).collect::<Result<_>>();
        Ok(Self {
            kernel,
            exceptions,
            dir: dir.to_owned(),
            patches: patches.with_context(|| format!("cannot read the series in {dir}"))?,
            recording: recording.len(),
        })
    }

    /// The patches that record time stamps: they alone make up the kernel `base`.
    pub fn recording(&self) -> &[Patch] {
        &self.patches[..self.recording]
    }
}

/// A file of the series that is applied; the cover letter is not.
fn is_patch(name: &str) -> bool {
    let number = name.split('-').next().unwrap_or_default();
    name.ends_with(".patch")
        && number.len() == 4
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && number != "0000"
}

/// The folder (`vMAJOR.MINOR`) among `names` for the kernel `version`.
fn choose<'a>(names: &'a [String], version: &str) -> Option<&'a str> {
    let numbers = |text: &str| -> Vec<u32> {
        text.split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .take(2)
            .collect()
    };
    let wanted = numbers(version);
    names
        .iter()
        .find(|name| numbers(name) == wanted)
        .or_else(|| names.iter().max_by_key(|name| numbers(name)))
        .map(String::as_str)
}

/// `recording` must name the first patches of the series, in order.
fn check_recording(recording: &[String], names: &[&str]) -> Result<(), String> {
    for (index, wanted) in recording.iter().enumerate() {
        match names.get(index) {
            Some(name) if name == wanted => {}
            Some(name) => {
                return Err(format!(
                    "`recording` names {wanted} as patch {}, but the folder has {name} there; \
                     it must list the first patches of the series in order",
                    index + 1
                ));
            }
            None => return Err(format!("`recording` names {wanted}, which does not exist")),
        }
    }
    Ok(())
}

/// `bytes` as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cover_letter_and_other_files_are_not_patches() {
        assert!(is_patch("0001-arm64-smp-Record.patch"));
        for name in ["0000-cover-letter.patch", "series.toml", "1-x.patch", "0001-x.patch~"] {
            assert!(!is_patch(name), "{name}");
        }
    }

    #[test]
    fn the_series_of_the_same_version_is_chosen_else_the_newest() {
        let names = ["v7.2", "v7.10", "v7.3"].map(String::from);
        assert_eq!(choose(&names, "7.3.4"), Some("v7.3"));
        assert_eq!(choose(&names, "7.2.0-rc7"), Some("v7.2"));
        assert_eq!(choose(&names, "6.12.1"), Some("v7.10"));
        assert_eq!(choose(&[], "7.3.4"), None);
    }

    #[test]
    fn recording_must_be_the_beginning() {
        let names = ["0001-a.patch", "0002-b.patch"];
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert!(check_recording(&[], &names).is_ok());
        assert!(check_recording(&list(&["0001-a.patch"]), &names).is_ok());
        let error = check_recording(&list(&["0002-b.patch"]), &names).unwrap_err();
        assert!(error.contains("as patch 1, but the folder has 0001-a.patch"), "{error}");
        let error = check_recording(&list(&["0001-a.patch", "0002-b.patch", "c"]), &names);
        assert!(error.unwrap_err().contains("does not exist"));
    }
}
