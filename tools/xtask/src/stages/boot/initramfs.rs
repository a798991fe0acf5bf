// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The initramfs: the guest program, its job and the module. The same input gives the same bytes.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use camino::Utf8Path;
use cpio::newc::{Builder, ModeFileType, trailer};

/// A file of the initramfs.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its path, without a leading slash.
    pub path: &'a str,
    /// Its permission bits.
    pub permissions: u32,
    /// What it holds.
    pub data: &'a [u8],
}

/// Packs `files`, with the folders that the guest mounts on and the console that PID 1 starts with.
pub fn pack(files: &[Entry<'_>]) -> io::Result<Vec<u8>> {
    let mut archive = Archive { bytes: Vec::new(), inode: 0 };
    for folder in ["dev", "proc", "sys"] {
        archive.add(folder, ModeFileType::Directory, 0o755, &[], (0, 0))?;
    }
    // The kernel opens it for PID 1 before anything is mounted.
    archive.add("dev/console", ModeFileType::Char, 0o600, &[], (5, 1))?;
    let mut folders = BTreeSet::new();
    for file in files {
        // Folders before what is in them.
        let above: Vec<_> = Utf8Path::new(file.path).ancestors().skip(1).collect();
        for folder in above.into_iter().rev().filter(|folder| *folder != "") {
            if folders.insert(folder) {
                archive.add(folder.as_str(), ModeFileType::Directory, 0o755, &[], (0, 0))?;
            }
        }
        let kind = ModeFileType::Regular;
        archive.add(file.path, kind, file.permissions, file.data, (0, 0))?;
    }
    trailer(archive.bytes)
}

struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn add(
        &mut self,
        path: &str,
        kind: ModeFileType,
        permissions: u32,
        data: &[u8],
        (major, minor): (u32, u32),
    ) -> io::Result<()> {
        // Files of the same inode number would become hard links.
        self.inode += 1;
        let size = u32::try_from(data.len())
            .map_err(|_| io::Error::other(format!("{path} is too large for an initramfs")))?;
        let mut writer = Builder::new(path)
            .ino(self.inode)
            .nlink(1)
            .mode(permissions)
            .set_mode_file_type(kind)
            .rdev_major(major)
            .rdev_minor(minor)
            .write(&mut self.bytes, size);
        writer.write_all(data)?;
        writer.finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpio::newc::Reader;

    #[test]
    fn holds_what_the_guest_needs_and_repeats() {
        let files = [
            Entry { path: "init", permissions: 0o755, data: b"program" },
            Entry { path: "job.json", permissions: 0o644, data: b"{}" },
            Entry { path: "a/b/c", permissions: 0o644, data: b"" },
            Entry { path: "a/d", permissions: 0o644, data: b"" },
        ];
        let bytes = pack(&files).unwrap();
        assert_eq!(bytes, pack(&files).unwrap());

        let mut rest = bytes.as_slice();
        let mut listing = String::new();
        loop {
            let reader = Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                break;
            }
            listing += &format!(
                "{:o} {} {}:{} {} {}\n",
                entry.mode(),
                entry.ino(),
                entry.rdev_major(),
                entry.rdev_minor(),
                entry.file_size(),
                entry.name()
            );
            rest = reader.finish().unwrap();
        }
        insta::assert_snapshot!(listing, @r"
        40755 1 0:0 0 dev
        40755 2 0:0 0 proc
        40755 3 0:0 0 sys
        20600 4 5:1 0 dev/console
        100755 5 0:0 7 init
        100644 6 0:0 2 job.json
        40755 7 0:0 0 a
        40755 8 0:0 0 a/b
        100644 9 0:0 0 a/b/c
        100644 10 0:0 0 a/d
        ");
    }
}
