// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What compilers and sparse say about the objects that the series touches, compared with the
//! tree without it, on arm64 and on the other architectures that the generic changes reach.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::remarks::Remarks;
use super::{Desk, Finding};
use crate::context::Lock;
use crate::error::Failure;
use crate::host;
use crate::stages::apply::Tree;
use crate::stages::configure;
use crate::stages::kbuild::Kbuild;

/// `make prepare` of the largest takes a minute on two cores.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// The preset that turns on what the touched files of arm64 depend on.
pub const PRESET: &str = "check";

/// An architecture whose objects are compiled.
#[derive(Debug)]
pub struct Architecture {
    /// As in `ARCH=`.
    pub name: &'static str,
    /// What makes its configuration.
    start: Start,
    /// Its own files that build on what generic bring-up code offers.
    sources: &'static [&'static str],
}

#[derive(Debug)]
enum Start {
    /// A preset of ours.
    Preset(&'static str),
    /// allnoconfig and these lines.
    Lines(&'static [&'static str]),
    /// A configuration of the architecture.
    Target(&'static str),
}

/// arm64, and every architecture with a bring-up that generic code drives.
pub const ARCHITECTURES: [Architecture; 6] = [
    Architecture { name: "arm64", start: Start::Preset(PRESET), sources: &[] },
    Architecture {
        name: "x86",
        start: Start::Lines(&["64BIT", "SMP", "HOTPLUG_CPU", "PRINTK", "BUG"]),
        sources: &["arch/x86/kernel/smpboot.c", "arch/x86/kernel/smp.c"],
    },
    Architecture {
        name: "mips",
        // The one with MIPS_CPS, which starts CPUs in parallel.
        start: Start::Target("eyeq6_defconfig"),
        sources: &["arch/mips/kernel/smp.c", "arch/mips/kernel/smp-cps.c"],
    },
    Architecture {
        name: "riscv",
        start: Start::Lines(&["MMU", "SMP", "HOTPLUG_CPU", "RISCV_SBI", "PRINTK", "BUG"]),
        sources: &["arch/riscv/kernel/smpboot.c", "arch/riscv/kernel/smp.c"],
    },
    Architecture {
        name: "arm",
        start: Start::Lines(&[
            "MMU",
            "ARCH_MULTIPLATFORM",
            "ARCH_MULTI_V7",
            "ARCH_VIRT",
            "SMP",
            "HOTPLUG_CPU",
            "ARM_PSCI",
            "PRINTK",
            "BUG",
        ]),
        sources: &["arch/arm/kernel/smp.c", "arch/arm/kernel/psci_smp.c"],
    },
    Architecture {
        name: "loongarch",
        start: Start::Lines(&["64BIT", "SMP", "HOTPLUG_CPU", "PRINTK", "BUG"]),
        sources: &["arch/loongarch/kernel/smp.c"],
    },
];

/// The trees that are compared.
#[derive(Debug, Clone, Copy)]
pub struct Trees<'a> {
    /// Without the series.
    pub base: &'a Tree,
    /// With it.
    pub patched: &'a Tree,
}

/// What says something about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The compiler, with the warnings of `W=1`.
    Compiler,
    /// sparse.
    Sparse,
}

/// Compiles what `touched` (paths of the series) asks for on `architecture` in both trees.
pub fn check(
    desk: &Desk<'_>,
    trees: Trees<'_>,
    architecture: &Architecture,
    touched: &BTreeSet<String>,
    by: By,
) -> Result<Finding> {
    if by == By::Sparse && !host::has(&sparse(desk)) {
        return Ok(Finding::Needs("sparse".to_owned()));
    }
    let mut remarks = Vec::new();
    let mut counts = Vec::new();
    for tree in [trees.base, trees.patched] {
        let (build, _lock) = configure(desk, tree, architecture)?;
        let objects = objects(architecture, touched, &tree.dir, &build)?;
        let left_out = left_out(architecture, touched, &tree.dir, &objects);
        if !left_out.is_empty() {
            return Ok(Finding::Wrong(format!(
                "preset {PRESET} does not compile {}",
                left_out.join(", ")
            )));
        }
        let log = compile(desk, tree, architecture, &build, &objects, by)?;
        if by == By::Sparse {
            let needs = "a sparse that the kernel's scripts/checker-valid.sh accepts for this \
                         architecture, 0.6.5 or later; CHECK=PATH names one";
            if log.contains("is not available or not up to date") {
                return Ok(Finding::Needs(needs.to_owned()));
            }
            // Else it has looked at nothing: make is silent about that.
            let looked_at = log.lines().filter(|line| line.starts_with("  CHECK ")).count();
            if looked_at == 0 {
                bail!(Failure::Check("make has not called sparse".to_owned()));
            }
        }
        counts.push(objects.len());
        remarks.push(Remarks::parse(&log, tree.dir.as_str()));
    }
    let [base, patched] = remarks.as_slice() else { bail!("two trees") };
    if counts[1] == 0 {
        return Ok(Finding::Wrong(format!("no touched object of {}", architecture.name)));
    }
    Ok(Finding::of(
        &patched.new_since(base),
        format!("{} objects; the base has {} remarks", counts[1], base.len()),
    ))
}

/// The build folder of `tree` for `architecture`, configured and prepared, and its lock.
fn configure(
    desk: &Desk<'_>,
    tree: &Tree,
    architecture: &Architecture,
) -> Result<(Utf8PathBuf, Lock)> {
    let name = architecture.name;
    let kbuild = Kbuild::new(desk.context)?;
    let lines = match &architecture.start {
        Start::Preset(preset) => {
            let configured = configure::run(desk.context, tree, preset)?;
            let lock = desk.context.lock(&configured.lock_name())?;
            let _tree = tree.hold(desk.context)?;
            prepare(desk, &kbuild, tree, name, &configured.objects)?;
            return Ok((configured.objects, lock));
        }
        Start::Lines(lines) => *lines,
        Start::Target(_) => &[],
    };
    let lock = desk.context.lock(&format!("check-{}-{name}", tree.name()))?;
    let _tree = tree.hold(desk.context)?;
    let home = tree.home().join("check-other").join(name);
    let build = home.join("objects");
    fs_err::create_dir_all(&build)?;
    let requested = home.join("requested.config");
    let text: String = lines.iter().map(|line| format!("CONFIG_{line}=y\n")).collect();
    fs_err::write(&requested, &text)?;
    let target = match &architecture.start {
        Start::Target(target) => target,
        _ => "allnoconfig",
    };
    let mut make = kbuild.make(tree, &build);
    make.args([&format!("ARCH={name}"), target]).env("KCONFIG_ALLCONFIG", &requested);
    let log = format!("configure {} {name}", tree.kernel);
    let (code, output) = desk.output(&log, make, LIMIT)?;
    if code != Some(0) {
        bail!(Failure::Check(format!("cannot configure {name}:\n{}", tail(&output))));
    }
    // A line that is lost would leave out what is to be compiled.
    let config = fs_err::read_to_string(build.join(".config"))?;
    if let Some(lost) = lines.iter().find(|line| !has(&config, line)) {
        bail!(Failure::Check(format!("{name}: the configuration has lost CONFIG_{lost}")));
    }
    prepare(desk, &kbuild, tree, name, &build)?;
    Ok((build, lock))
}

fn prepare(
    desk: &Desk<'_>,
    kbuild: &Kbuild,
    tree: &Tree,
    name: &str,
    build: &Utf8Path,
) -> Result<()> {
    let mut make = kbuild.make(tree, build);
    make.args([&format!("ARCH={name}"), &jobs(), "prepare"]);
    let (code, output) = desk.output(&format!("prepare {} {name}", tree.kernel), make, LIMIT)?;
    if code != Some(0) {
        bail!(Failure::Check(format!("cannot prepare {name}:\n{}", tail(&output))));
    }
    Ok(())
}

fn compile(
    desk: &Desk<'_>,
    tree: &Tree,
    architecture: &Architecture,
    build: &Utf8Path,
    objects: &[String],
    by: By,
) -> Result<String> {
    let kbuild = Kbuild::new(desk.context)?;
    let _tree = tree.hold(desk.context)?;
    let mut make = kbuild.make(tree, build);
    // To the end also where an object does not compile: an error is a remark like others.
    make.args([&format!("ARCH={}", architecture.name), &jobs(), "--keep-going"]);
    match by {
        By::Compiler => {
            for object in objects {
                match fs_err::remove_file(build.join(object)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    _ => {}
                }
            }
            make.arg("W=1");
        }
        By::Sparse => {
            make.args(["C=2", &format!("CHECK={}", sparse(desk))]);
        }
    }
    make.args(objects);
    let kind = if by == By::Sparse { "sparse" } else { "W1" };
    let log = format!("{kind} {} {}", tree.kernel, architecture.name);
    let (code, output) = desk.output(&log, make, LIMIT)?;
    let is_remark = |line: &str| line.contains("error: ") || line.contains("Error: ");
    if code != Some(0) && !output.lines().any(is_remark) {
        bail!(Failure::Check(format!("make failed:\n{}", tail(&output))));
    }
    for object in objects {
        if code == Some(0) && !build.join(object).is_file() {
            bail!(Failure::Check(format!("make did not build {object}")));
        }
    }
    Ok(output)
}

/// The objects of `architecture` that `touched` is about and that `tree` with its configuration in
/// `build` has.
fn objects(
    architecture: &Architecture,
    touched: &BTreeSet<String>,
    tree: &Utf8Path,
    build: &Utf8Path,
) -> Result<Vec<String>> {
    let config = fs_err::read_to_string(build.join(".config"))?;
    let own = architecture.sources.iter().map(|&source| source.to_owned());
    // The two files of generic bring-up, also if only a header that they include is touched.
    let generic = ["kernel/cpu.c", "kernel/smp.c"].map(str::to_owned);
    let all: BTreeSet<String> = touched.iter().cloned().chain(own).chain(generic).collect();
    let mut objects = Vec::new();
    for source in all.iter().filter(|source| concerns(source, architecture.name)) {
        let Some(object) = object_of(source) else { continue };
        let makefile = Utf8Path::new(source).with_file_name("Makefile");
        let makefile = fs_err::read_to_string(tree.join(makefile)).unwrap_or_default();
        let name = Utf8Path::new(&object).file_name().unwrap_or_default();
        if tree.join(source).is_file() && enabled(&makefile, name, &config) {
            objects.push(object);
        }
    }
    Ok(objects)
}

/// What of `touched` is not among the `objects`, though it is the architecture's whose preset is to
/// have all.
fn left_out<'a>(
    architecture: &Architecture,
    touched: &'a BTreeSet<String>,
    tree: &Utf8Path,
    objects: &[String],
) -> Vec<&'a str> {
    let is_all = matches!(architecture.start, Start::Preset(_));
    let own = touched.iter().filter(|source| is_all && concerns(source, architecture.name));
    let missing = own.filter(|source| {
        let object = object_of(source).filter(|_| tree.join(source).is_file());
        object.is_some_and(|object| !objects.contains(&object))
    });
    missing.map(String::as_str).collect()
}

/// Whether `source` can be part of a kernel for `architecture`.
fn concerns(source: &str, architecture: &str) -> bool {
    if let Some(rest) = source.strip_prefix("arch/") {
        return rest.split('/').next() == Some(architecture);
    }
    // PSCI and the GIC are Arm's.
    !source.starts_with("drivers/") || architecture.starts_with("arm")
}

fn object_of(source: &str) -> Option<String> {
    let stem = source.strip_suffix(".c").or_else(|| source.strip_suffix(".S"))?;
    Some(format!("{stem}.o"))
}

/// Whether the `makefile` of its folder asks for `object` under the options in `config`. One whose
/// line depends on nothing that we understand counts as asked for.
fn enabled(makefile: &str, object: &str, config: &str) -> bool {
    let joined = makefile.replace("\\\n", " ");
    let mut options = joined.lines().filter_map(|line| {
        let (left, right) = line.split_once('=')?;
        if !right.split_whitespace().any(|word| word == object) {
            return None;
        }
        let option = left.split_once("$(CONFIG_").and_then(|(_, rest)| rest.split_once(')'));
        Some(option.map(|(option, _)| option))
    });
    options.next().is_none_or(|first| {
        std::iter::once(first).chain(options).any(|option| match option {
            None => true,
            Some(option) => has(config, option),
        })
    })
}

fn has(config: &str, option: &str) -> bool {
    let [y, m] = ["y", "m"].map(|value| format!("CONFIG_{option}={value}"));
    config.lines().any(|line| line == y || line == m)
}

/// The checker: `CHECK=` of the user's, else sparse.
fn sparse(desk: &Desk<'_>) -> String {
    let set = desk.context.make_variables.iter().rev().find(|(key, _)| key == "CHECK");
    set.map_or("sparse".to_owned(), |(_, path)| path.clone())
}

fn jobs() -> String {
    format!("-j{}", std::thread::available_parallelism().map_or(1, |jobs| jobs.get()))
}

fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_asked_for_by_its_makefile() {
        let makefile = "obj-y += cpu.o exit.o \\\n\tsoftirq.o\nobj-$(CONFIG_SMP) += smp.o\n\
            obj-$(CONFIG_A) += two.o\nobj-$(CONFIG_B) += two.o\n";
        let config = "CONFIG_SMP=y\n# CONFIG_A is not set\nCONFIG_B=m\n";
        for object in ["cpu.o", "softirq.o", "smp.o", "two.o", "part-of-another.o"] {
            assert!(enabled(makefile, object, config), "{object}");
        }
        assert!(!enabled(makefile, "smp.o", "CONFIG_SMP_X=y\n"));
        assert!(!enabled(makefile, "two.o", ""));
    }

    #[test]
    fn what_the_preset_lacks_is_told() {
        let guard = tempfile::tempdir().unwrap();
        let tree = Utf8Path::from_path(guard.path()).unwrap();
        let files = ["a.c", "b.c", "c.h", "arch/x86/x.c"].map(str::to_owned);
        for file in &files {
            let file = tree.join(file);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, "").unwrap();
        }
        let touched = files.into_iter().chain(["gone.c".to_owned()]).collect();
        let objects = ["a.o".to_owned()];
        let of = |index: usize| left_out(&ARCHITECTURES[index], &touched, tree, &objects);
        assert_eq!(ARCHITECTURES[0].name, "arm64");
        assert_eq!((of(0), of(1)), (vec!["b.c"], vec![]));
    }

    #[test]
    fn files_belong_to_architectures() {
        assert!(concerns("kernel/cpu.c", "mips"));
        assert!(concerns("arch/arm/kernel/smp.c", "arm"));
        assert!(!concerns("arch/arm64/kernel/smp.c", "arm"));
        assert!(!concerns("drivers/firmware/psci/psci.c", "x86"));
        assert!(concerns("drivers/firmware/psci/psci.c", "arm"));
        assert_eq!(
            object_of("arch/arm64/kernel/head.S").as_deref(),
            Some("arch/arm64/kernel/head.o")
        );
        assert_eq!(object_of("include/linux/psci.h"), None);
    }
}
