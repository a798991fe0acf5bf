// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! From the commits of a work tree to the files of the series, byte for byte the same wherever and
//! however often that is done.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::cover;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::stages::apply::{Git, Series};
use crate::stages::fetch;

/// The cover letter's file.
pub const COVER: &str = "0000-cover-letter.patch";

/// Everything that settings of the tree's own could change, said.
const OPTIONS: [&str; 28] = [
    "--cover-letter",
    "--cover-from-description=message",
    // The commits' names differ from one import of the source to the next.
    "--zero-commit",
    "--abbrev=9",
    "--numbered",
    "--start-number=1",
    "--subject-prefix=PATCH",
    "--suffix=.patch",
    "--filename-max-length=64",
    "--no-signature",
    "--no-attach",
    "--no-thread",
    "--no-base",
    "--no-notes",
    "--no-from",
    "--no-to",
    "--no-cc",
    "--no-add-header",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--diff-algorithm=myers",
    "--unified=3",
    "--find-renames=50%",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--stat=72",
    "--summary",
];

/// The files of a series by name.
pub type Files = BTreeMap<String, String>;

/// The series in the commits of the git work tree `from` on top of `base` (or what is found to be
/// its base), with the words of the cover letter `old_cover`. The tree is only read.
pub fn generate(
    context: &Context,
    from: &Utf8Path,
    base: Option<&str>,
    kernel: &str,
    old_cover: &str,
) -> Result<Files> {
    let git = Git::new(&context.sh, from);
    if !git.output(["rev-parse", "--is-inside-work-tree"])?.status.success() {
        bail!(Failure::Usage(format!("--from {from}: give a git work tree with the series")));
    }
    let base = find_base(&git, from, base, kernel)?;
    let range = format!("{base}..HEAD");
    if git.run(["rev-list", "--count", &range])? == "0" {
        bail!(Failure::Usage(format!("{from} has no commits on top of its base {base}")));
    }
    let merges = git.run(["rev-list", "--merges", &range])?;
    if let Some(merge) = merges.lines().next() {
        bail!(Failure::Usage(format!(
            "{from} has the merge {merge} on top of its base {base}; a series has no \
             merges: rebase it"
        )));
    }
    let makefile = git.run(["show", &format!("{base}:Makefile")])?;
    let version = fetch::kernel_version(&makefile).ok_or_else(|| {
        Failure::Usage(format!("the Makefile of {base} in {from} names no kernel version"))
    })?;

    let folder = tempfile::tempdir_in(&context.cache)?;
    let dir = Utf8PathBuf::try_from(folder.path().to_owned())?;
    let output = format!("--output-directory={dir}");
    let arguments = ["format-patch", "--quiet"].into_iter().chain(OPTIONS);
    git.run(arguments.chain([output.as_str(), &range]))?;

    let mut files = Files::new();
    for entry in dir.read_dir_utf8()? {
        let path = entry?.into_path();
        let text = String::from_utf8(fs_err::read(&path)?)
            .map_err(|_| Failure::Check(format!("{path} is not UTF-8")))?;
        files.insert(path.file_name().unwrap_or_default().to_owned(), text);
    }
    let template = files.get(COVER).map(String::as_str).unwrap_or_default();
    let letter = cover::fill(template, old_cover, &version)
        .map_err(|error| Failure::Check(format!("{COVER}: {error}")))?;
    files.insert(COVER.to_owned(), letter);
    Ok(files)
}

/// The commit that the series begins after: as asked for, else the tag of the release, else the
/// only root where that is an import of the source.
fn find_base(git: &Git, from: &Utf8Path, asked: Option<&str>, kernel: &str) -> Result<String> {
    let commit =
        |name: &str| git.run(["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]);
    if let Some(asked) = asked {
        return commit(asked).map_err(|_| {
            Failure::Usage(format!("--base {asked} is not a commit in {from}")).into()
        });
    }
    let contains = |commit: &str| -> Result<bool> {
        let output = git.output(["merge-base", "--is-ancestor", commit, "HEAD"])?;
        Ok(output.status.success())
    };
    // Linus's releases have no third number.
    let tags = [format!("v{kernel}"), format!("v{}", kernel.strip_suffix(".0").unwrap_or(kernel))];
    for tag in &tags {
        if let Ok(commit) = commit(&format!("refs/tags/{tag}"))
            && contains(&commit)?
        {
            return Ok(commit);
        }
    }
    let roots = git.run(["rev-list", "--max-parents=0", "HEAD"])?;
    // The kernel's own history has several.
    match roots.lines().collect::<Vec<_>>().as_slice() {
        [root] => Ok((*root).to_owned()),
        _ => bail!(Failure::Usage(format!(
            "cannot tell where the series in {from} begins: it has no tag {}; say where with --base \
             COMMIT",
            tags[0]
        ))),
    }
}

/// How the files in `dir` differ from `files`, one line each.
pub fn differences(files: &Files, dir: &Utf8Path) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    for (name, text) in files {
        let path = dir.join(name);
        if !path.is_file() {
            differences.push(format!("{name} is missing"));
        } else if fs_err::read(&path)? != text.as_bytes() {
            differences.push(format!("{name} differs"));
        }
    }
    for name in patch_files(dir)? {
        if !files.contains_key(&name) {
            differences.push(format!("{name} should not be there"));
        }
    }
    Ok(differences)
}

/// Writes `files` to `dir`, removes patches that are no longer part of the series, and reads the
/// result as `apply` would. Returns what has changed, one line each.
pub fn write(files: &Files, dir: &Utf8Path) -> Result<Vec<String>> {
    fs_err::create_dir_all(dir)?;
    let changes = differences(files, dir)?;
    for (name, text) in files {
        let path = dir.join(name);
        if !path.is_file() || fs_err::read(&path)? != text.as_bytes() {
            output::write(&path, text)?;
        }
    }
    for name in patch_files(dir)? {
        if !files.contains_key(&name) {
            fs_err::remove_file(dir.join(name))?;
        }
    }
    if dir.join("series.toml").is_file() {
        Series::load_dir(dir)?;
    }
    Ok(changes)
}

fn patch_files(dir: &Utf8Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if dir.is_dir() {
        for entry in dir.read_dir_utf8()? {
            let entry = entry?;
            let name = entry.file_name();
            let is_numbered = name.get(..4).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
            if is_numbered && name.ends_with(".patch") {
                names.push(name.to_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_added_and_removed() {
        let guard = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(guard.path()).unwrap();
        for (name, text) in [("0001-a.patch", "a"), ("0002-old.patch", "b"), ("cover.txt", "c")] {
            fs_err::write(dir.join(name), text).unwrap();
        }
        let files: Files = [("0001-a.patch", "a"), ("0002-new.patch", "n")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into();
        let expected = ["0002-new.patch is missing", "0002-old.patch should not be there"];
        assert_eq!(differences(&files, dir).unwrap(), expected);
        assert_eq!(write(&files, dir).unwrap(), expected);
        assert_eq!(differences(&files, dir).unwrap(), [""; 0]);
        assert!(dir.join("cover.txt").is_file());
        // A description that names other patches is an error.
        fs_err::write(dir.join("series.toml"), "kernel = \"7.3.4\"\nrecording = [\"x\"]\n")
            .unwrap();
        write(&files, dir).unwrap_err();
    }
}
