// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The host: what it needs ([`requirement`]), what it has, how the rest is installed
//! ([`install`]), and the toolchain that builds use ([`toolchain`]).

mod distribution;
mod install;
mod llvm;
mod machine;
mod minimum;
mod requirement;
mod system;
mod toolchain;
mod version;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::context::Context;
use crate::error::Failure;
use crate::stages::fetch;
pub use distribution::Distribution;
pub use llvm::Llvm;
use minimum::Minimums;
use requirement::{BINDGEN, Minimum, Probe, REQUIREMENTS, Requirement, Supply};
use system::{System, ThisMachine};
pub use toolchain::{Toolchain, toolchain};
use version::Version;

/// Whether `program` is in the search path.
pub fn has(program: &str) -> bool {
    ThisMachine.find(program).is_some()
}

/// What was found about one thing; the rows of `doctor`.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The upstream name.
    pub name: &'static str,
    /// What it is needed for.
    pub need: &'static str,
    /// The version found, or words; `None` if it is missing.
    pub found: Option<String>,
    /// The oldest version that will do.
    pub minimum: Option<String>,
    /// Where that minimum comes from.
    pub minimum_from: Option<String>,
    /// Whether what was found will do.
    pub ok: bool,
    /// Whether nothing works without it.
    pub required: bool,
    /// What mends it if it is not ok.
    pub mend: Option<String>,
}

/// All that `doctor` has to say. The JSON form is what scripts rely on.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this format.
    pub schema: u32,
    /// Whether everything required is there.
    pub ok: bool,
    /// One by one.
    pub checks: Vec<Check>,
}

/// A requirement with what was found about it.
struct Finding {
    requirement: &'static Requirement,
    check: Check,
}

impl Finding {
    fn is_missing(&self) -> bool {
        self.check.required && !self.check.ok
    }
}

/// The host as the checks see it.
struct Host<'a> {
    system: &'a dyn System,
    distribution: Distribution,
    cache: Utf8PathBuf,
    make_variables: Vec<(String, String)>,
    minimums: Minimums,
    llvm: Llvm,
    /// `rustc --print sysroot`.
    sysroot: Option<Utf8PathBuf>,
    /// Whether rustup manages this rustc.
    rustup: bool,
}

impl<'a> Host<'a> {
    fn new(system: &'a dyn System, context: &Context) -> Self {
        let script = fetch::min_tool_version(context);
        let script = script.as_ref().map(|(path, origin)| (path.as_path(), origin.clone()));
        let minimums = Minimums::new(system, script);
        Self::with(system, &context.cache, &context.make_variables, minimums)
    }

    fn with(
        system: &'a dyn System,
        cache: &Utf8Path,
        make_variables: &[(String, String)],
        minimums: Minimums,
    ) -> Self {
        let sysroot = system
            .output("rustc", &["--print", "sysroot"])
            .map(|text| Utf8PathBuf::from(text.trim()));
        let rustup = sysroot.as_ref().is_some_and(|sysroot| {
            let rustc = system.output("rustup", &["which", "rustc"]);
            rustc.is_some_and(|rustc| Utf8Path::new(rustc.trim()).starts_with(sysroot))
        });
        let mut host = Self {
            system,
            distribution: Distribution::of(system),
            cache: cache.to_owned(),
            make_variables: make_variables.to_vec(),
            minimums,
            llvm: Llvm::named("1"),
            sysroot,
            rustup,
        };
        // `LLVM=` with nothing behind it takes GCC for the kernel's C and nothing else.
        let asked = host.setting("LLVM").filter(|asked| !asked.is_empty());
        host.llvm = Llvm::choose(system, asked.as_deref(), &host.llvm_minimum());
        host
    }

    /// What the user set `key` to: on the command line, else in the environment.
    fn setting(&self, key: &str) -> Option<String> {
        let given = self.make_variables.iter().rev().find(|(name, _)| name == key);
        given.map(|(_, value)| value.clone()).or_else(|| self.system.variable(key))
    }

    fn llvm_minimum(&self) -> Version {
        let (minimum, _) = self.minimums.of("llvm").unzip();
        minimum.or_else(|| Version::parse("17")).expect("a version that is written here")
    }

    fn libclang(&self) -> Option<Utf8PathBuf> {
        match self.setting("LIBCLANG_PATH") {
            Some(path) => {
                let path = Utf8PathBuf::from(path);
                // It may name the library itself.
                let is_there = llvm::has_libclang(self.system, &path)
                    || (path.file_name().is_some_and(|name| name.contains("libclang"))
                        && self.system.exists(&path));
                is_there.then_some(path)
            }
            None => self.llvm.libclang(self.system),
        }
    }

    fn bindgen_root(&self) -> Utf8PathBuf {
        self.cache.join("tools").join(format!("bindgen-{BINDGEN}"))
    }

    fn bindgen(&self) -> String {
        let ours = || self.bindgen_root().join("bin/bindgen").into_string();
        self.setting("BINDGEN").unwrap_or_else(ours)
    }

    fn version_of(&self, program: &str, arguments: &[&str]) -> Found {
        if self.system.find(program).is_none() {
            return Found::Missing;
        }
        match self.system.output(program, arguments) {
            Some(output) => Version::find(&output).map_or(Found::NoVersion, Found::Version),
            None => Found::Broken,
        }
    }

    fn probe(&self, probe: &Probe) -> Found {
        match probe {
            Probe::Program(program, arguments) => self.version_of(program, arguments),
            Probe::Header(header, library) => self.header(header, library),
            Probe::Llvm(tool) => self.version_of(&self.llvm.program(tool), &["--version"]),
            Probe::Libclang => self.libclang().map_or(Found::Missing, |dir| Found::At(dir.into())),
            Probe::QemuFile(name) => self.qemu_file(name),
            Probe::RustSource => {
                let set = self.setting("RUST_LIB_SRC").map(Utf8PathBuf::from);
                let source = set
                    .or_else(|| Some(self.sysroot.as_ref()?.join("lib/rustlib/src/rust/library")));
                match source {
                    Some(dir) if self.system.exists(&dir.join("core/src/lib.rs")) => Found::Present,
                    _ => Found::Missing,
                }
            }
            Probe::RustTarget(target) => {
                let library = self
                    .sysroot
                    .as_ref()
                    .map(|root| root.join("lib/rustlib").join(target).join("lib"));
                match library {
                    Some(dir) if self.system.exists(&dir) => Found::Present,
                    _ => Found::Missing,
                }
            }
            Probe::Bindgen => self.version_of(&self.bindgen(), &["--version"]),
        }
    }

    fn header(&self, header: &str, library: &str) -> Found {
        let machine = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let folders = ["/usr/include", "/usr/local/include", machine.as_str()];
        if !folders.iter().any(|dir| self.system.exists(&Utf8Path::new(dir).join(header))) {
            return Found::Missing;
        }
        let version = self.system.output("pkg-config", &["--modversion", library]);
        version.and_then(|text| Version::find(&text)).map_or(Found::Present, Found::Version)
    }

    fn qemu_file(&self, name: &str) -> Found {
        // QEMU itself tells in which folders it looks.
        let told = self.system.output("qemu-system-aarch64", &["-L", "help"]).unwrap_or_default();
        let folders = told.lines().chain(["/usr/share/qemu"]).map(|dir| Utf8Path::new(dir.trim()));
        match folders.map(|dir| dir.join(name)).any(|file| self.system.exists(&file)) {
            true => Found::Present,
            false => Found::Missing,
        }
    }

    /// Checks one requirement.
    fn check(&self, requirement: &'static Requirement) -> Finding {
        let (minimum, minimum_from) = match requirement.minimum {
            Minimum::None => (None, None),
            Minimum::Kernel(tool) => self.minimums.of(tool).unzip(),
            Minimum::Ours(version, why) => (Version::parse(version), Some(why.to_owned())),
        };
        let found = self.probe(&requirement.probe);
        let ok = match (&found, &minimum) {
            (Found::Missing | Found::Broken, _) => false,
            (Found::Version(version), Some(minimum)) => version >= minimum,
            (Found::NoVersion | Found::Present | Found::At(_), Some(_)) => false,
            (_, None) => true,
        };
        let check = Check {
            name: requirement.name,
            need: requirement.need,
            found: found.words(),
            minimum: minimum.map(|version| version.to_string()),
            minimum_from,
            ok,
            required: requirement.required,
            mend: (!ok).then(|| self.mend(requirement)),
        };
        Finding { requirement, check }
    }

    /// Checks everything in the table, side by side as most of the time goes by waiting.
    fn findings(&self) -> Vec<Finding> {
        std::thread::scope(|scope| {
            let half = REQUIREMENTS.len() / 2;
            let (first, second) = REQUIREMENTS.split_at(half);
            let other =
                scope.spawn(|| second.iter().map(|entry| self.check(entry)).collect::<Vec<_>>());
            let mut findings: Vec<_> = first.iter().map(|entry| self.check(entry)).collect();
            match other.join() {
                Ok(rest) => findings.extend(rest),
                Err(panic) => std::panic::resume_unwind(panic),
            }
            findings
        })
    }

    /// What the user can do about a requirement that is not met.
    fn mend(&self, requirement: &Requirement) -> String {
        let packages = |names: &str| match self.distribution.uses_apt() {
            true => format!("apt-get install {names}"),
            false => format!(
                "install `{}` with the package manager of {}",
                requirement.name, self.distribution.name
            ),
        };
        const RUSTUP: &str = "install Rust with rustup (https://rustup.rs)";
        let rustup = |command: String, what: &str| match (self.rustup, &self.sysroot) {
            (true, _) => command,
            (false, None) => RUSTUP.to_owned(),
            (false, Some(_)) => format!(
                "this rustc is not from rustup: {RUSTUP}, or get {what} from where this rustc \
                 came from"
            ),
        };
        match &requirement.supply {
            Supply::Packages(names) => packages(&names.join(" ")),
            Supply::LlvmPackage(part) => {
                let present = self.llvm.number(self.system);
                let number = llvm::release_to_install(present, &[], &self.llvm_minimum());
                let wanted = present.filter(|number| *number >= self.llvm_minimum().major());
                packages(&llvm::package(part, wanted.unwrap_or(number)))
            }
            Supply::Rust if self.rustup => "rustup update".to_owned(),
            Supply::Rust => RUSTUP.to_owned(),
            Supply::RustComponent(name) => rustup(format!("rustup component add {name}"), name),
            Supply::RustTarget(name) => {
                rustup(format!("rustup target add {name}"), &format!("the target {name}"))
            }
            Supply::Bindgen => match self.setting("BINDGEN") {
                Some(_) => "unset BINDGEN, then cargo xtask setup installs its own".to_owned(),
                None => "cargo xtask setup".to_owned(),
            },
        }
    }
}

/// What a probe found.
#[derive(Debug)]
enum Found {
    Missing,
    /// It is there but does not start, or fails.
    Broken,
    /// It is there but its version cannot be read.
    NoVersion,
    Version(Version),
    Present,
    At(String),
}

impl Found {
    fn words(&self) -> Option<String> {
        match self {
            Self::Missing => None,
            Self::Broken => Some("does not run".to_owned()),
            Self::NoVersion => Some("of unknown version".to_owned()),
            Self::Version(version) => Some(version.to_string()),
            Self::Present => Some("present".to_owned()),
            Self::At(place) => Some(place.clone()),
        }
    }
}

/// Checks everything, for `doctor`.
pub fn report(context: &Context) -> Report {
    let host = Host::new(&ThisMachine, context);
    let findings = host.findings();
    let ok = !findings.iter().any(Finding::is_missing);
    let mut checks: Vec<_> = findings.into_iter().map(|finding| finding.check).collect();
    checks.extend(machine::checks(&ThisMachine, &context.cache));
    Report { schema: 1, ok, checks }
}

/// Installs what is missing, or with `dry_run` only lists it.
pub fn setup(context: &Context, dry_run: bool) -> Result<()> {
    install::run(&Host::new(&ThisMachine, context), context, dry_run)
}

/// Makes sure that the host has all that is required, installing what is missing.
pub fn ensure(context: &Context) -> Result<()> {
    setup(context, false)
}

/// The error for what is still missing.
fn lacks(findings: &[Finding]) -> Option<Failure> {
    let missing: Vec<_> = findings.iter().filter(|finding| finding.is_missing()).collect();
    if missing.is_empty() {
        return None;
    }
    let mut text = String::from("this host lacks what is needed:");
    for finding in missing {
        let check = &finding.check;
        let found = match (&check.found, &check.minimum) {
            (Some(found), Some(minimum)) => format!(" {found} (at least {minimum} is needed)"),
            (Some(found), None) => format!(" {found}"),
            (None, _) => String::new(),
        };
        let mend = check.mend.as_deref().unwrap_or_default();
        text.push_str(&format!("\n  {}{found}: {}; {mend}", check.name, check.need));
    }
    Some(Failure::Host(text))
}

#[cfg(test)]
mod tests {
    use super::distribution::tests::{DEBIAN_12, FEDORA};
    use super::system::MadeUp;
    use super::*;

    /// A Debian 12 with everything.
    pub fn debian_with_all() -> MadeUp {
        let sysroot = "/home/u/.rustup/toolchains/stable";
        let mut machine = MadeUp::default()
            .file("/etc/os-release", DEBIAN_12)
            .file("/usr/include/gelf.h", "")
            .file("/usr/include/openssl/ssl.h", "")
            .file("/usr/share/qemu/keymaps/en-us", "")
            .file("/usr/lib/llvm-19/lib/libclang-19.so", "")
            .file(&format!("{sysroot}/lib/rustlib/src/rust/library/core/src/lib.rs"), "")
            .file(&format!("{sysroot}/lib/rustlib/aarch64-unknown-linux-musl/lib/a"), "")
            .file(&format!("{sysroot}/lib/rustlib/aarch64-unknown-none-softfloat/lib/a"), "")
            .file("/cache/tools/bindgen-0.73.2/bin/bindgen", "")
            .command("/cache/tools/bindgen-0.73.2/bin/bindgen --version", "bindgen 0.73.2")
            .command("perl -e print $^V", "v5.36.0")
            .command("rustc --print sysroot", sysroot)
            .command("rustup which rustc", &format!("{sysroot}/bin/rustc"))
            .command("rustc --version", "rustc 1.95.0 (x)")
            .command("qemu-system-aarch64 --version", "QEMU emulator version 7.2.22 (Debian)");
        for tool in ["clang", "ld.lld", "llvm-ar"] {
            machine = machine.command(&format!("{tool}-19 --version"), "Debian tool 19.1.7 (3)");
        }
        for tool in [
            "make",
            "flex",
            "bison",
            "bc",
            "cpio",
            "kmod",
            "rsync",
            "tar",
            "xz",
            "git",
            "cc",
            "ld",
            "setpriv",
            "cargo",
            "rustfmt",
            "clippy-driver",
            "ccache",
            "rustup",
        ] {
            machine = machine.command(&format!("{tool} --version"), "tool (GNU tool) 12.3");
        }
        machine.command("spin -V", "Spin Version 6.5.2 -- 6 December 2019")
    }

    pub fn host(machine: &MadeUp) -> Host<'_> {
        Host::with(machine, "/cache".into(), &[], Minimums::new(machine, None))
    }

    fn missing(machine: &MadeUp) -> Vec<&'static str> {
        let findings = host(machine).findings();
        findings.iter().filter(|finding| finding.is_missing()).map(|f| f.check.name).collect()
    }

    fn mend(machine: &MadeUp, name: &str) -> String {
        let findings = host(machine).findings();
        let finding = findings.iter().find(|finding| finding.check.name == name).unwrap();
        finding.check.mend.clone().unwrap_or_default()
    }

    #[test]
    fn a_host_with_everything_lacks_nothing() {
        let machine = debian_with_all();
        assert_eq!(missing(&machine), [""; 0]);
        assert!(lacks(&host(&machine).findings()).is_none());
    }

    #[test]
    fn a_bare_host_lacks_everything_required() {
        let machine = MadeUp::default().file("/etc/os-release", DEBIAN_12);
        let required = REQUIREMENTS.iter().filter(|entry| entry.required).count();
        assert_eq!(missing(&machine).len(), required);
        let text = lacks(&host(&machine).findings()).unwrap().to_string();
        assert!(text.contains("\n  flex: builds the kernel's Kconfig; apt-get install flex"));
    }

    #[test]
    fn an_old_tool_is_as_good_as_none() {
        let machine = debian_with_all().command("rustc --version", "rustc 1.84.1 (x)");
        assert_eq!(missing(&machine), ["rustc"]);
        assert_eq!(mend(&machine, "rustc"), "rustup update");
        let text = lacks(&host(&machine).findings()).unwrap().to_string();
        assert!(text.contains("rustc 1.84.1 (at least 1.85.0 is needed)"), "{text}");
    }

    #[test]
    fn a_tool_that_fails_is_not_there() {
        let mut machine = debian_with_all();
        machine.commands.remove("flex --version");
        assert_eq!(missing(&machine), ["flex"]);
    }

    #[test]
    fn mends_suit_the_host() {
        let machine = debian_with_all().without("flex").without("ld.lld-19");
        assert_eq!(mend(&machine, "flex"), "apt-get install flex");
        assert_eq!(mend(&machine, "lld"), "apt-get install lld-19");
        assert_eq!(mend(&machine, "make"), "");
        let fedora = machine.file("/etc/os-release", FEDORA);
        let text = "install `flex` with the package manager of Fedora Linux 42";
        assert_eq!(mend(&fedora, "flex"), text);

        let mut machine = debian_with_all();
        machine.files.retain(|file, _| !file.as_str().contains("rustlib"));
        machine.files.retain(|file, _| !file.starts_with("/cache"));
        assert_eq!(mend(&machine, "rust-src"), "rustup component add rust-src");
        assert_eq!(mend(&machine, "bindgen"), "cargo xtask setup");
        let target = "aarch64-unknown-none-softfloat";
        let name = "rust for aarch64-unknown-none-softfloat";
        assert_eq!(mend(&machine, name), format!("rustup target add {target}"));
        let machine = machine.without("rustup");
        assert!(mend(&machine, "rust-src").starts_with("this rustc is not from rustup"));
    }

    #[test]
    fn what_the_user_sets_goes_first() {
        let mut machine = debian_with_all().set("RUST_LIB_SRC", "/src").set("LLVM", "-18");
        assert!(missing(&machine).contains(&"rust-src"));
        assert!(missing(&machine).contains(&"clang"));
        machine = machine.file("/src/core/src/lib.rs", "");
        assert!(!missing(&machine).contains(&"rust-src"));
        let variables = [("LLVM".to_owned(), "-19".to_owned())];
        let host = Host::with(&machine, "/cache".into(), &variables, Minimums::new(&machine, None));
        assert_eq!(host.llvm.make_value, "-19");

        let machine = debian_with_all();
        let gcc = [("LLVM".to_owned(), String::new())];
        let host = Host::with(&machine, "/cache".into(), &gcc, Minimums::new(&machine, None));
        assert_eq!(host.llvm.make_value, "-19");

        let machine = debian_with_all().set("LIBCLANG_PATH", "/no");
        assert_eq!(missing(&machine), ["libclang"]);
        let machine = debian_with_all().set("BINDGEN", "/no/bindgen");
        assert_eq!(missing(&machine), ["bindgen"]);
        assert!(mend(&machine, "bindgen").starts_with("unset BINDGEN"));
    }
}
