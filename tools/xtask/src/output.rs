// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Files for users: whole or not at all, so that whoever reads one while it is written anew sees
//! the old one.

use std::fmt;
use std::fs::Permissions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use bringup_model::verdict::{self, Verdict};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

/// Where a verb that makes verdicts writes them, besides its folder of the output.
#[derive(Debug, Default, Args)]
pub struct VerdictFiles {
    /// Write the verdicts to this file too, as KTAP version 1
    #[arg(long, value_name = "FILE")]
    ktap: Option<Utf8PathBuf>,
    /// Write the verdicts to this file too, as JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<Utf8PathBuf>,
}

impl VerdictFiles {
    /// Writes the verdicts that `command` has made to these files and to `folder`.
    pub fn write(&self, folder: &Utf8Path, command: &str, verdicts: &[Verdict]) -> Result<()> {
        let ktap = verdict::ktap(verdicts);
        write(&folder.join("results.ktap"), &ktap)?;
        if let Some(file) = &self.ktap {
            write(file, &ktap)?;
        }
        let junit = verdict::junit(command, verdicts)?;
        write(&folder.join("results.junit.xml"), &junit)?;
        if let Some(file) = &self.junit {
            write(file, &junit)?;
        }
        Ok(())
    }
}

/// Whether something could not be written to the standard output.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Whether something could not be written to the standard output, which has been said.
pub fn has_failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

/// Writes `text` to the standard output. A reader that has seen enough, as `head`, is no error; any
/// other is told once, and does not keep the verb from its work.
pub fn print(text: fmt::Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    match output.write_fmt(text).and_then(|()| output.flush()) {
        Err(error)
            if error.kind() != ErrorKind::BrokenPipe && !FAILED.swap(true, Ordering::Relaxed) =>
        {
            eprintln!("error: cannot write to the standard output: {error}");
        }
        _ => {}
    }
}

/// As `print!`, by [`print()`].
macro_rules! put {
    ($($words:tt)+) => { $crate::output::print(format_args!($($words)+)) };
}

/// As `println!`, by [`print()`].
macro_rules! say {
    ($($words:tt)+) => {
        $crate::output::print(format_args!("{}\n", format_args!($($words)+)))
    };
}

/// Writes `file`, whose folder is made if it is not there. What is no file, as `/dev/null` or a pipe,
/// is written to and not replaced.
pub fn write(file: &Utf8Path, text: &str) -> Result<()> {
    if fs_err::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(fs_err::write(file, text)?);
    }
    let folder = match file.parent() {
        Some(folder) if folder != "" => folder,
        _ => Utf8Path::new("."),
    };
    fs_err::create_dir_all(folder)?;
    // The umask takes its part of the permissions away, as for any new file.
    let mut new = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(|| format!("cannot write in {folder}"))?;
    new.write_all(text.as_bytes()).with_context(|| format!("cannot write {file}"))?;
    new.persist(file).with_context(|| format!("cannot write {file}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let guard = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(guard.path()).unwrap();
        let file = dir.join("new/results.json");
        write(&file, "a long text").unwrap();
        write(&file, "short").unwrap();
        assert_eq!(fs_err::read_to_string(&file).unwrap(), "short");
        assert_eq!(fs_err::read_dir(dir.join("new")).unwrap().count(), 1);
        write(Utf8Path::new("/dev/null"), "text").unwrap();
        assert!(!Utf8Path::new("/dev/null").is_file());
        // A folder in its place is an error, and nothing is left behind.
        assert!(write(&dir.join("new"), "text").is_err());
        assert_eq!(fs_err::read_dir(dir).unwrap().count(), 1);
    }
}
