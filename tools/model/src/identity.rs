// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What tells whether runs of two results files are repeats of each other: the kernel, what it ran
//! on and how it was started. Under which conditions a run was made is in
//! [`Conditions`](crate::bench::Conditions).

use std::collections::{BTreeMap, BTreeSet};

use crate::bench::PlannedLab;
use crate::results::{Base, Manifest, Results, Series};

/// Where `collect` keeps the kernel's parameters among what is known besides.
pub const PARAMETERS: &str = "kernel parameters";
/// Where it keeps which build of its version the kernel is.
pub const BUILD: &str = "kernel build";

/// What an arm of a results file was measured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    kernel: Kernel,
    qemu: Option<String>,
    /// The machine: that of the kernel, or QEMU's host.
    host: String,
    lab: Option<PlannedLab>,
}

/// The kernel and how it was started, by the best that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kernel {
    /// A bench keeps the hashes of what it booted.
    Image { image_sha256: String, module_sha256: Option<String>, parameters: String },
    /// Built here, and booted by this command.
    Built {
        base: Base,
        series: Option<Series>,
        config_sha256: String,
        toolchain: BTreeMap<String, String>,
        command: String,
    },
    /// Copied from a machine: what its log and its owner say.
    Copied {
        version: String,
        build: Option<String>,
        parameters: Option<String>,
        board: Option<String>,
    },
}

impl Identity {
    /// What `arm` of `results` was measured with; `None` if the file does not say which kernel it
    /// was, as that of a boot of somebody's Image.
    pub fn of(results: &Results, arm: &str) -> Option<Self> {
        let manifest = &results.manifest;
        let plan = results.bench.as_ref();
        let planned = plan.and_then(|plan| plan.arms.iter().find(|planned| planned.name == arm));
        let kernel = match (planned, &manifest.config_sha256) {
            (Some(planned), _) => Kernel::Image {
                image_sha256: planned.image_sha256.clone(),
                module_sha256: planned.module_sha256.clone(),
                parameters: planned.parameters.clone(),
            },
            (None, Some(config_sha256)) => Kernel::Built {
                base: manifest.base.clone(),
                series: manifest.series.clone(),
                config_sha256: config_sha256.clone(),
                toolchain: manifest.toolchain.clone(),
                command: without_output(&manifest.command),
            },
            (None, None) if is_copied(manifest) => Kernel::Copied {
                version: manifest.base.version.clone(),
                build: manifest.meta.get(BUILD).cloned(),
                parameters: manifest.meta.get(PARAMETERS).cloned(),
                board: manifest.meta.get("board").cloned(),
            },
            (None, None) => return None,
        };
        Some(Self {
            kernel,
            qemu: manifest.qemu.clone(),
            host: manifest.host.clone(),
            lab: plan.and_then(|plan| plan.lab.clone()),
        })
    }
}

/// The arms of which several of `files` have runs that are no repeats of each other: of other kernels
/// or machines, or nobody knows.
pub fn mixed(files: &[&Results]) -> Vec<String> {
    let arms: BTreeSet<&str> =
        files.iter().flat_map(|file| &file.runs).map(|run| run.arm.as_str()).collect();
    let is_mixed = |arm: &&str| {
        let with = files.iter().filter(|file| file.runs.iter().any(|run| run.arm == *arm));
        let identities: Vec<_> = with.map(|file| Identity::of(file, arm)).collect();
        let same = identities.windows(2).all(|pair| pair[0].is_some() && pair[0] == pair[1]);
        !same
    };
    arms.into_iter().filter(is_mixed).map(str::to_owned).collect()
}

/// What a results file was measured with, by name, shortened for people.
pub fn facts(results: &Results) -> Vec<(String, String)> {
    let manifest = &results.manifest;
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.to_owned(), value));
    fact("Linux", manifest.base.version.clone());
    if let Some(Series { name, sha256, .. }) = &manifest.series {
        fact("series", format!("{name} {}", short(sha256)));
    }
    if let Some(sha256) = &manifest.config_sha256 {
        fact("configuration", short(sha256).to_owned());
    }
    // Those of kernels that are built here follow from the others.
    let arms = results.bench.iter().flat_map(|plan| &plan.arms);
    for arm in arms.filter(|arm| arm.preset.is_none()) {
        fact(&format!("Image of {}", arm.name), short(&arm.image_sha256).to_owned());
    }
    for (tool, version) in &manifest.toolchain {
        fact(tool, version.clone());
    }
    if let Some(version) = &manifest.qemu {
        fact("QEMU", version.clone());
    }
    fact("machine", manifest.host.clone());
    facts
}

/// What of `facts` was otherwise `before`, as `series: v7.3 cd before`.
pub fn changes(before: &[(String, String)], facts: &[(String, String)]) -> Vec<String> {
    let value = |facts: &[(String, String)], name: &str| {
        let found = facts.iter().find(|(known, _)| known == name);
        found.map_or_else(|| "none".to_owned(), |(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(name, _)| !facts.iter().any(|(known, _)| known == name));
    let all = facts.iter().chain(gone).map(|(name, _)| name);
    all.filter(|name| value(before, name) != value(facts, name))
        .map(|name| format!("{name}: {} before", value(before, name)))
        .collect()
}

/// As much of a hash as tells it from others.
fn short(sha256: &str) -> &str {
    sha256.get(..8).unwrap_or(sha256)
}

/// Whether `collect` made it. Options for all verbs may stand before the verb's name.
fn is_copied(manifest: &Manifest) -> bool {
    manifest.command.split_whitespace().any(|word| word == "collect")
}

/// The command without where it wrote its results to: that changes nothing in them.
fn without_output(command: &str) -> String {
    let mut words = Vec::new();
    let mut rest = command.split_whitespace();
    while let Some(word) = rest.next() {
        match word {
            "--json" => drop(rest.next()),
            word if word.starts_with("--json=") => {}
            word => words.push(word),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Plan, PlannedArm};
    use crate::samples;

    fn results(change: impl Fn(&mut Results)) -> Option<Identity> {
        let mut results = Results::new(samples::manifest(), Vec::new());
        change(&mut results);
        Identity::of(&results, "p1")
    }

    fn copied(change: impl Fn(&mut Manifest)) -> Option<Identity> {
        results(|results| {
            let manifest = &mut results.manifest;
            manifest.command = "cargo xtask collect --dmesg a".into();
            (manifest.config_sha256, manifest.series, manifest.qemu) = (None, None, None);
            manifest.toolchain.clear();
            change(manifest);
        })
    }

    fn benched(change: impl Fn(&mut Plan)) -> Option<Identity> {
        results(|results| {
            let mut plan = samples::plan(&["p1"], &[4], 1, 0);
            change(&mut plan);
            results.bench = Some(plan);
        })
    }

    #[test]
    fn what_a_boot_does_not_change_is_the_same() {
        let later = |results: &mut Results| {
            results.manifest.started = "2026-11-24T12:00:00Z".into();
            results.manifest.command += " --json again.json";
        };
        assert_eq!(results(|_| {}), results(later));
        let other = |manifest: &mut Manifest| {
            manifest.command = "cargo xtask --output-dir c collect --dmesg b --json b.json".into();
            manifest.meta.insert("boot".into(), "2".into());
        };
        assert!(copied(|_| {}).is_some());
        assert_eq!(copied(|_| {}), copied(other));
        // More repeats, or other arms beside it, make no other kernel.
        assert!(benched(|_| {}).is_some());
        assert_eq!(benched(|_| {}), benched(|plan| (plan.runs, plan.seed) = (9, 2)));
    }

    #[test]
    fn another_kernel_or_machine_is_another() {
        let changes: [fn(&mut Manifest); 5] = [
            |manifest| drop(manifest.meta.insert(BUILD.into(), "#2 SMP".into())),
            |manifest| manifest.base.version = "7.4.0".into(),
            |manifest| manifest.host = "another, 64 CPUs".into(),
            |manifest| drop(manifest.meta.insert("board".into(), "another".into())),
            |manifest| drop(manifest.meta.insert(PARAMETERS.into(), "quiet".into())),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_ne!(copied(|_| {}), copied(change), "{number}");
        }
        let changes: [fn(&mut Manifest); 6] = [
            |manifest| manifest.base.sha256 = None,
            |manifest| manifest.series = None,
            |manifest| manifest.config_sha256 = Some("12".into()),
            |manifest| manifest.qemu = None,
            |manifest| drop(manifest.toolchain.insert("clang".into(), "20".into())),
            |manifest| manifest.command += " --append quiet",
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let other = results(|results| change(&mut results.manifest));
            assert_ne!(results(|_| {}), other, "{number}");
        }
        let changes: [fn(&mut PlannedArm); 3] = [
            |arm| arm.image_sha256 = "cd".into(),
            |arm| arm.module_sha256 = Some("cd".into()),
            |arm| arm.parameters = "quiet".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_ne!(benched(|_| {}), benched(|plan| change(&mut plan.arms[0])), "{number}");
        }
    }

    #[test]
    fn an_image_of_which_nothing_is_known_is_like_no_other() {
        let unknown = copied(|manifest| manifest.command = "cargo xtask boot --kernel I".into());
        assert_eq!(unknown, None);
    }

    #[test]
    fn arms_of_several_kernels_are_found() {
        let of = |series: &str| {
            let mut manifest = samples::manifest();
            manifest.series.as_mut().unwrap().sha256 = series.into();
            let runs = ["p0", "p1"].map(|arm| samples::run(arm, &samples::parallel(4)));
            Results::new(manifest, runs.to_vec())
        };
        let (one, same, mut other) = (of("ab"), of("ab"), of("cd"));
        assert_eq!(mixed(&[&one, &same]), [""; 0]);
        assert_eq!(mixed(&[&one, &other]), ["p0", "p1"]);
        other.runs.truncate(1);
        assert_eq!(mixed(&[&one, &other]), ["p0"]);
        other.manifest.config_sha256 = None;
        other.runs[0].arm = "mine".into();
        assert_eq!(mixed(&[&other]), [""; 0]);
        assert_eq!(mixed(&[&other, &other]), ["mine"]);
    }

    #[test]
    fn what_changed_is_told() {
        let of = |change: &dyn Fn(&mut Manifest)| {
            let mut results = Results::new(samples::manifest(), Vec::new());
            change(&mut results.manifest);
            facts(&results)
        };
        let first = of(&|_| {});
        assert_eq!(
            first[..2],
            [("Linux", "7.3.4"), ("series", "v7.3 cd")]
                .map(|(name, value)| { (name.to_owned(), value.to_owned()) })
        );
        assert_eq!(changes(&first, &first), [""; 0]);
        let other = of(&|manifest| {
            manifest.base.version = "7.4.0".into();
            manifest.series = None;
        });
        assert_eq!(changes(&first, &other), ["Linux: 7.3.4 before", "series: v7.3 cd before"]);
        assert_eq!(changes(&other, &first)[1], "series: none before");
    }

    #[test]
    fn where_results_went_is_no_part_of_the_command() {
        assert_eq!(without_output("x boot --json a --cpus 4"), "x boot --cpus 4");
        assert_eq!(without_output("x boot --json=a --cpus 4"), "x boot --cpus 4");
        assert_eq!(without_output("x boot --json"), "x boot");
    }
}
