// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The one table of what the host needs.

/// Something that the host needs.
#[derive(Debug)]
pub struct Requirement {
    /// Its upstream name.
    pub name: &'static str,
    /// What we need it for.
    pub need: &'static str,
    /// How its presence and version are found.
    pub probe: Probe,
    /// The oldest version that will do.
    pub minimum: Minimum,
    /// Whether nothing works without it.
    pub required: bool,
    /// Where it is to be had.
    pub supply: Supply,
}

/// How presence and version are found.
#[derive(Debug)]
pub enum Probe {
    /// A program that prints its version when called with these arguments.
    Program(&'static str, &'static [&'static str]),
    /// A header of a library, and the library's name for pkg-config, which knows its version.
    Header(&'static str, &'static str),
    /// A program of the LLVM in use.
    Llvm(&'static str),
    /// The libclang of the LLVM in use.
    Libclang,
    /// A file among those that come with QEMU.
    QemuFile(&'static str),
    /// The sources of Rust's standard library.
    RustSource,
    /// The standard library for a Rust target.
    RustTarget(&'static str),
    /// bindgen, ours or the one that the user names.
    Bindgen,
}

/// The oldest version that will do.
#[derive(Debug)]
pub enum Minimum {
    /// Any version.
    None,
    /// What the kernel says of the tool that it knows by this name.
    Kernel(&'static str),
    /// Our own, with the reason.
    Ours(&'static str, &'static str),
}

/// Where a requirement is to be had.
#[derive(Debug)]
pub enum Supply {
    /// Debian's and Ubuntu's packages.
    Packages(&'static [&'static str]),
    /// The package with this part of an LLVM release.
    LlvmPackage(&'static str),
    /// Rust itself: by rustup, by hand, as we would not run without it.
    Rust,
    /// A component of the Rust toolchain.
    RustComponent(&'static str),
    /// A target of the Rust toolchain.
    RustTarget(&'static str),
    /// bindgen-cli by cargo, at [`BINDGEN`], into our cache.
    Bindgen,
}

/// The version of bindgen-cli that we install.
pub const BINDGEN: &str = "0.73.2";

const fn program(
    name: &'static str,
    need: &'static str,
    packages: &'static [&'static str],
) -> Requirement {
    Requirement {
        name,
        need,
        probe: Probe::Program(name, &["--version"]),
        minimum: Minimum::None,
        required: true,
        supply: Supply::Packages(packages),
    }
}

const fn optional(requirement: Requirement) -> Requirement {
    Requirement { required: false, ..requirement }
}

const fn llvm(
    name: &'static str,
    need: &'static str,
    probe: Probe,
    part: &'static str,
) -> Requirement {
    let supply = Supply::LlvmPackage(part);
    Requirement { name, need, probe, minimum: Minimum::Kernel("llvm"), required: true, supply }
}

const fn rust(name: &'static str, need: &'static str, probe: Probe, supply: Supply) -> Requirement {
    Requirement { name, need, probe, minimum: Minimum::None, required: true, supply }
}

/// Everything that the host needs, in the order in which it is shown. Python is not here: the
/// kernel's build runs it only for configurations that are not ours.
pub static REQUIREMENTS: [Requirement; 34] = [
    Requirement {
        minimum: Minimum::Ours("4.0", "what the kernel documents"),
        ..program("make", "builds the kernel", &["make"])
    },
    program("flex", "builds the kernel's Kconfig", &["flex"]),
    program("bison", "builds the kernel's Kconfig", &["bison"]),
    program("bc", "computes the kernel's time constants", &["bc"]),
    program("cpio", "packs what the kernel embeds", &["cpio"]),
    program("kmod", "lists what the kernel's modules need", &["kmod"]),
    program("rsync", "copies the kernel's headers and trees", &["rsync"]),
    Requirement {
        probe: Probe::Header("gelf.h", "libelf"),
        ..program("libelf", "the kernel's host tools read object files", &["libelf-dev"])
    },
    Requirement {
        probe: Probe::Header("openssl/ssl.h", "libcrypto"),
        ..program("openssl", "the kernel's host tools sign modules", &["libssl-dev"])
    },
    program("tar", "unpacks the kernel", &["tar"]),
    program("xz", "unpacks the kernel", &["xz-utils"]),
    Requirement {
        probe: Probe::Program("perl", &["-e", "print $^V"]),
        ..program("perl", "generates the kernel's crypto code; runs checkpatch", &["perl"])
    },
    program("git", "applies the patches", &["git"]),
    Requirement {
        probe: Probe::Program("cc", &["--version"]),
        minimum: Minimum::Kernel("gcc"),
        ..program("gcc", "cargo links host programs with it", &["gcc", "libc6-dev"])
    },
    Requirement {
        probe: Probe::Program("ld", &["--version"]),
        minimum: Minimum::Kernel("binutils"),
        ..program("binutils", "cargo links host programs with it", &["binutils"])
    },
    llvm("clang", "compiles the kernel and its host tools", Probe::Llvm("clang"), "clang"),
    llvm("lld", "links the kernel", Probe::Llvm("ld.lld"), "lld"),
    llvm("llvm", "the kernel's ar, nm, objcopy, strip", Probe::Llvm("llvm-ar"), "llvm"),
    Requirement {
        minimum: Minimum::None,
        ..llvm("libclang", "bindgen parses C with it", Probe::Libclang, "libclang-dev")
    },
    Requirement {
        probe: Probe::Program("qemu-system-aarch64", &["--version"]),
        minimum: Minimum::Ours("7.2", "the oldest version tested"),
        ..program("qemu", "boots the kernel", &["qemu-system-arm"])
    },
    Requirement {
        probe: Probe::QemuFile("keymaps"),
        ..program("qemu data", "QEMU looks for it at start", &["qemu-system-data"])
    },
    Requirement {
        probe: Probe::Program("spin", &["-V"]),
        ..program("spin", "verifies the model of the boot handshake", &["spin"])
    },
    Requirement {
        probe: Probe::Program("setpriv", &["--version"]),
        ..program("util-linux", "setpriv ends guests and builds when we end", &["util-linux"])
    },
    Requirement {
        minimum: Minimum::Kernel("rustc"),
        ..rust(
            "rustc",
            "compiles the kernel's Rust and the guest program",
            Probe::Program("rustc", &["--version"]),
            Supply::Rust,
        )
    },
    rust(
        "cargo",
        "builds the guest program and bindgen",
        Probe::Program("cargo", &["--version"]),
        Supply::Rust,
    ),
    rust(
        "rust-src",
        "the kernel builds Rust's core library",
        Probe::RustSource,
        Supply::RustComponent("rust-src"),
    ),
    rust(
        "rust for aarch64-unknown-linux-musl",
        "the guest program runs on it",
        Probe::RustTarget("aarch64-unknown-linux-musl"),
        Supply::RustTarget("aarch64-unknown-linux-musl"),
    ),
    rust(
        "rust for aarch64-unknown-none-softfloat",
        "the EL2 interposer runs on it",
        Probe::RustTarget("aarch64-unknown-none-softfloat"),
        Supply::RustTarget("aarch64-unknown-none-softfloat"),
    ),
    rust(
        "rustfmt",
        "checks the Rust code's format",
        Probe::Program("rustfmt", &["--version"]),
        Supply::RustComponent("rustfmt"),
    ),
    rust(
        "clippy",
        "checks the Rust code",
        Probe::Program("clippy-driver", &["--version"]),
        Supply::RustComponent("clippy"),
    ),
    Requirement {
        name: "bindgen",
        need: "writes the kernel's Rust bindings",
        probe: Probe::Bindgen,
        minimum: Minimum::Kernel("bindgen"),
        required: true,
        supply: Supply::Bindgen,
    },
    optional(program("chromium", "`test` checks reports in it", &["chromium"])),
    optional(program("ccache", "makes repeated builds quicker", &["ccache"])),
    optional(Requirement {
        probe: Probe::Program("rustup", &["--version"]),
        ..rust("rustup", "installs Rust's components and targets", Probe::RustSource, Supply::Rust)
    }),
];
