// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What is good to know of the machine but stops nothing: KVM, disk space, memory.

use camino::Utf8Path;
use indicatif::HumanBytes;

use super::Check;
use super::system::System;

/// What the sources, two work trees and their builds take.
const DISK: u64 = 12 << 30;
/// Below this the kernel's build, or a guest beside it, runs out.
const MEMORY: u64 = 4 << 30;

/// The checks of the machine on which the cache is `cache`.
pub fn checks(system: &dyn System, cache: &Utf8Path) -> Vec<Check> {
    let free = rustix::fs::statvfs(cache.as_std_path())
        .ok()
        .map(|space| space.f_bavail.saturating_mul(space.f_frsize));
    let memory = system.read("/proc/meminfo".into()).and_then(|text| total_memory(&text));
    vec![
        kvm_check(),
        amount(
            "disk space",
            "the cache holds sources, trees and builds",
            free,
            DISK,
            format!("free some space on the file system of {cache}, or give --cache DIR"),
        ),
        amount(
            "memory",
            "builds and guests run in it",
            memory,
            MEMORY,
            "build with fewer jobs, boot guests with fewer CPUs".to_owned(),
        ),
    ]
}

fn kvm_check() -> Check {
    let (found, mend) = match open_kvm() {
        _ if std::env::consts::ARCH != "aarch64" => {
            let words =
                format!("skipped: needs an arm64 host, this one is {}", std::env::consts::ARCH);
            (words, None)
        }
        Ok(()) => ("usable".to_owned(), None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mend = "load the kernel's KVM, or run where /dev/kvm is passed through";
            ("no /dev/kvm".to_owned(), Some(mend))
        }
        Err(error) => {
            let mend = "add yourself to the group `kvm` and log in again";
            (format!("/dev/kvm cannot be opened: {error}"), Some(mend))
        }
    };
    Check {
        name: "/dev/kvm",
        need: "boots guests at full speed; without it QEMU emulates them",
        found: Some(found),
        minimum: None,
        minimum_from: None,
        ok: mend.is_none(),
        required: false,
        mend: mend.map(str::to_owned),
    }
}

fn open_kvm() -> std::io::Result<()> {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").map(|_| ())
}

fn amount(
    name: &'static str,
    need: &'static str,
    found: Option<u64>,
    minimum: u64,
    mend: String,
) -> Check {
    let ok = found.is_none_or(|found| found >= minimum);
    Check {
        name,
        need,
        found: Some(found.map_or("unknown".to_owned(), |bytes| HumanBytes(bytes).to_string())),
        minimum: Some(HumanBytes(minimum).to_string()),
        minimum_from: Some("advice".to_owned()),
        ok,
        required: false,
        mend: (!ok).then_some(mend),
    }
}

/// The machine's memory in bytes, from the text of /proc/meminfo.
fn total_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_meminfo() {
        assert_eq!(total_memory("MemTotal:       24000 kB\nMemFree: 1 kB\n"), Some(24000 * 1024));
        for text in ["", "MemTotal: x kB", "MemTotal: 99999999999999999999 kB", "MemTotal: 1 MB"] {
            assert_eq!(total_memory(text), None);
        }
    }

    #[test]
    fn too_little_is_said_with_its_mend() {
        let little = amount("disk space", "", Some(1 << 30), DISK, "free some".to_owned());
        assert_eq!((little.ok, little.required), (false, false));
        assert_eq!(little.mend.as_deref(), Some("free some"));
        assert!(amount("disk space", "", Some(DISK), DISK, String::new()).mend.is_none());
        assert!(amount("disk space", "", None, DISK, String::new()).ok);
    }
}
