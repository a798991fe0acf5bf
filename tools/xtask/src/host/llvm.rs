// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Which of the installed LLVMs is used, and which one to install.

use camino::{Utf8Path, Utf8PathBuf};

use super::system::System;
use super::version::Version;

/// The release that this project was tested with: taken before others where there is a choice.
const TESTED: u64 = 19;

/// One LLVM, named as the kernel's makefiles name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Llvm {
    /// The value for `LLVM=`: `1`, `-19` or `/folder/`.
    pub make_value: String,
    prefix: String,
    suffix: String,
}

impl Llvm {
    /// By the value of `LLVM=`, with the kernel's rules: a trailing slash makes it a folder, a
    /// leading dash a suffix, anything else the plain names.
    pub fn named(value: &str) -> Self {
        let (prefix, suffix) = match value {
            _ if value.ends_with('/') => (value, ""),
            _ if value.starts_with('-') => ("", value),
            _ => ("", ""),
        };
        Self { make_value: value.to_owned(), prefix: prefix.to_owned(), suffix: suffix.to_owned() }
    }

    fn release(number: u64) -> Self {
        Self::named(&format!("-{number}"))
    }

    /// The one to use: what `asked` says (the user's `LLVM`), else the best one installed, else a
    /// guess that the checks will find missing.
    pub fn choose(system: &dyn System, asked: Option<&str>, minimum: &Version) -> Self {
        if let Some(asked) = asked {
            return Self::named(asked);
        }
        let mut numbers: Vec<u64> = system
            .path()
            .iter()
            .flat_map(|dir| system.names(dir))
            .filter_map(|name| name.strip_prefix("clang-")?.parse().ok())
            .filter(|&number| number >= minimum.major())
            .collect();
        numbers.sort_by_key(|&number| std::cmp::Reverse((number == TESTED, number)));
        let whole = numbers.iter().map(|&number| Self::release(number));
        let plain = Self::named("1");
        let plain_will_do = || {
            plain.is_whole(system)
                && plain.clang_version(system).is_some_and(|version| version >= *minimum)
        };
        if let Some(whole) = whole.clone().find(|llvm| llvm.is_whole(system)) {
            whole
        } else if plain_will_do() {
            plain
        } else {
            // An incomplete one is completed rather than joined by another.
            whole.clone().next().unwrap_or_else(|| Self::release(TESTED))
        }
    }

    fn is_whole(&self, system: &dyn System) -> bool {
        ["clang", "ld.lld", "llvm-ar"].iter().all(|tool| system.find(&self.program(tool)).is_some())
    }

    /// The name to start `tool` by.
    pub fn program(&self, tool: &str) -> String {
        format!("{}{tool}{}", self.prefix, self.suffix)
    }

    /// The version of its clang.
    pub fn clang_version(&self, system: &dyn System) -> Option<Version> {
        Version::find(&system.output(&self.program("clang"), &["--version"])?)
    }

    /// The release number: that in its name, else that of its clang.
    pub fn number(&self, system: &dyn System) -> Option<u64> {
        let named = self.suffix.strip_prefix('-').and_then(|number| number.parse().ok());
        named.or_else(|| Some(self.clang_version(system)?.major()))
    }

    /// The folder with its libclang, which bindgen loads when it runs.
    pub fn libclang(&self, system: &dyn System) -> Option<Utf8PathBuf> {
        let mut folders = Vec::new();
        let config = self.program("llvm-config");
        if let Some(folder) = system.output(&config, &["--libdir"]) {
            folders.push(Utf8PathBuf::from(folder.trim()));
        }
        if let Some(number) = self.number(system) {
            folders.push(format!("/usr/lib/llvm-{number}/lib").into());
        }
        if let Some(prefix) = self.prefix.strip_suffix('/') {
            folders.push(Utf8Path::new(prefix).join("../lib"));
        } else if self.suffix.is_empty() {
            folders.extend(["/usr/lib64", "/usr/lib", "/usr/local/lib"].map(Utf8PathBuf::from));
        }
        folders.into_iter().find(|folder| has_libclang(system, folder))
    }
}

/// Whether bindgen finds a libclang in `folder`.
pub fn has_libclang(system: &dyn System, folder: &Utf8Path) -> bool {
    system.names(folder).iter().any(|name| {
        name == "libclang.so"
            || name.starts_with("libclang.so.")
            || (name.starts_with("libclang-") && name.contains(".so"))
    })
}

/// The release to install: what is partly there, else the tested one, else the newest one whose
/// packages the package manager has all of. `known` are names of packages.
pub fn release_to_install(present: Option<u64>, known: &[String], minimum: &Version) -> u64 {
    let complete = |number: u64| {
        packages(number).iter().all(|package| known.iter().any(|name| name == package))
    };
    if let Some(present) = present.filter(|&number| number >= minimum.major() && complete(number)) {
        return present;
    }
    if TESTED >= minimum.major() && complete(TESTED) {
        return TESTED;
    }
    known
        .iter()
        .filter_map(|name| name.strip_prefix("clang-")?.parse().ok())
        .filter(|&number| number >= minimum.major() && complete(number))
        .max()
        // Nothing is known before the first `apt-get update`.
        .unwrap_or(TESTED)
}

fn packages(number: u64) -> [String; 4] {
    ["clang", "lld", "llvm", "libclang-dev"].map(|part| package(part, number))
}

/// Debian's and Ubuntu's name of the package with `part` of the release `number`.
pub fn package(part: &str, number: u64) -> String {
    match part {
        "libclang-dev" => format!("libclang-{number}-dev"),
        part => format!("{part}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::system::MadeUp;
    use super::*;

    fn with(mut machine: MadeUp, suffix: &str, version: &str) -> MadeUp {
        for tool in ["clang", "ld.lld", "llvm-ar"] {
            machine = machine.command(
                &format!("{tool}{suffix} --version"),
                &format!("Debian {tool} version {version} (x)"),
            );
        }
        machine
    }

    fn minimum() -> Version {
        Version::parse("17.0.1").unwrap()
    }

    fn chosen(machine: &MadeUp) -> String {
        Llvm::choose(machine, None, &minimum()).make_value
    }

    #[test]
    fn the_tested_release_goes_first_then_the_newest_then_the_plain_one() {
        let plain = with(MadeUp::default(), "", "20.1.0");
        assert_eq!(chosen(&plain), "1");
        let newer = with(plain.clone(), "-22", "22.1.0");
        assert_eq!(chosen(&with(newer.clone(), "-18", "18.1.0")), "-22");
        assert_eq!(chosen(&with(newer, "-19", "19.1.7")), "-19");
        let old = with(with(MadeUp::default(), "", "14.0.6"), "-14", "14.0.6");
        assert_eq!(chosen(&old), "-19");
        let incomplete = with(old, "-18", "18.1.0").without("ld.lld-18");
        assert_eq!(chosen(&incomplete), "-18");
        assert_eq!(Llvm::choose(&incomplete, Some("-16"), &minimum()).make_value, "-16");
    }

    #[test]
    fn names_follow_the_kernels_rules() {
        assert_eq!(Llvm::named("-19").program("clang"), "clang-19");
        assert_eq!(Llvm::named("/opt/llvm/bin/").program("ld.lld"), "/opt/llvm/bin/ld.lld");
        assert_eq!(Llvm::named("1").program("llvm-ar"), "llvm-ar");
        assert_eq!(Llvm::named("1").program("clang"), "clang");
    }

    #[test]
    fn libclang_is_found_beside_its_llvm() {
        let machine = with(MadeUp::default(), "-19", "19.1.7");
        assert_eq!(Llvm::named("-19").libclang(&machine), None);
        let machine = machine.file("/usr/lib/llvm-19/lib/libclang-19.so.19", "");
        let folder = Llvm::named("-19").libclang(&machine);
        assert_eq!(folder, Some("/usr/lib/llvm-19/lib".into()));
        let fedora = with(MadeUp::default(), "", "20.1.0").file("/usr/lib64/libclang.so.20.1", "");
        assert_eq!(Llvm::named("1").libclang(&fedora), Some("/usr/lib64".into()));
    }

    #[test]
    fn the_release_to_install_is_one_that_apt_has_all_of() {
        let all = |numbers: &[u64]| -> Vec<String> {
            numbers.iter().flat_map(|&number| packages(number)).collect()
        };
        let pick = |present, known: &[String]| release_to_install(present, known, &minimum());
        assert_eq!(pick(None, &all(&[14, 16, 19, 22])), 19);
        assert_eq!(pick(Some(22), &all(&[14, 16, 19, 22])), 22);
        assert_eq!(pick(Some(16), &all(&[14, 16, 19, 22])), 19);
        assert_eq!(pick(None, &all(&[14, 17, 18])), 18);
        assert_eq!(pick(None, &[all(&[17]), vec!["clang-18".to_owned()]].concat()), 17);
        assert_eq!(pick(None, &all(&[14, 15])), 19);
        assert_eq!(pick(None, &[]), 19);
    }
}
