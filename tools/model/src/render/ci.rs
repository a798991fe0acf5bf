// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Jobs for boards of other people's: of one description, for each board and arm, a job for LAVA, a
//! script for tuxrun, a plan for TuxSuite. The last step of each hands out what `collect` reads.

use std::collections::BTreeSet;

use askama::Template;
use serde::Deserialize;
use thiserror::Error;

use crate::joblog::SEND;

/// What is to be booted where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What all jobs have in common.
    pub project: Project,
    /// What is compared.
    #[serde(rename = "arm")]
    pub arms: Vec<Arm>,
    /// Where.
    #[serde(rename = "board")]
    pub boards: Vec<Board>,
}

/// What all jobs have in common.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// The first part of the name of each job.
    pub name: String,
    /// Kernel parameters of all arms.
    #[serde(default)]
    pub parameters: String,
    /// How long one boot with its test may take, 1 to 1440.
    pub minutes: u32,
}

/// A kernel with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name in the results.
    pub name: String,
    /// Where its Image is, also compressed.
    pub kernel: String,
    /// Where a tarball of its modules is.
    pub modules: Option<String>,
    /// Its own kernel parameters.
    #[serde(default)]
    pub parameters: String,
}

/// A board, or a machine that is emulated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Its name in jobs and results.
    pub name: String,
    /// Where its root file system is, as a compressed cpio archive.
    pub ramdisk: String,
    /// Where its device tree is, if firmware has none.
    pub dtb: Option<String>,
    /// How a LAVA lab boots it.
    pub lava: Option<Lava>,
    /// How tuxrun and TuxSuite boot it.
    pub tux: Option<Tux>,
}

/// How a LAVA lab boots a board.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lava {
    /// The lab's name for the kind of board.
    pub device_type: String,
    /// LAVA's boot method, as `u-boot` or `grub`.
    pub method: String,
    /// What the shell says when it is ready.
    pub prompts: Vec<String>,
}

/// How tuxrun and TuxSuite boot a machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tux {
    /// Their name for it, as `qemu-arm64`.
    pub device: String,
}

/// Why there are no jobs.
#[derive(Debug, Error)]
pub enum Error {
    /// It is no TOML, or not as it should be.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// It contradicts itself or lacks something.
    #[error("{0}")]
    Wrong(String),
    /// None that these types can cause.
    #[error("cannot write a job")]
    Template(#[from] askama::Error),
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    ///
    /// It is no TOML, has fields that are not known, names that cannot be those of files, or nothing
    /// to do.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let description: Self = toml::from_str(text)?;
        let Self { project, arms, boards } = &description;
        let wrong = |text: String| Err(Error::Wrong(text));
        if arms.is_empty() || boards.is_empty() {
            return wrong("it needs an [[arm]] and a [[board]]".into());
        }
        if !(1..=1440).contains(&project.minutes) {
            return wrong(format!("minutes = {} is not in 1 to 1440", project.minutes));
        }
        let is_name = |name: &str| {
            let mut letters = name.chars();
            letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
                && letters.all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char))
        };
        let mut seen = BTreeSet::new();
        let names = arms.iter().map(|arm| ("arm", &arm.name));
        let names = names.chain(boards.iter().map(|board| ("board", &board.name)));
        for (kind, name) in names.chain([("project", &project.name)]) {
            if !is_name(name) {
                return wrong(format!(
                    "{kind} {name:?}: a name has letters, digits, `-`, `_` and `.`"
                ));
            }
            if !seen.insert((kind, name)) {
                return wrong(format!("{kind} {name:?} is there twice"));
            }
        }
        for board in boards {
            if board.lava.is_none() && board.tux.is_none() {
                return wrong(format!("board {:?} needs `lava` or `tux`", board.name));
            }
            // One is hardware and the other emulated: logs of the same name would be mixed up.
            if board.lava.is_some() && board.tux.is_some() {
                let text = "has both `lava` and `tux`, which are two boards";
                return wrong(format!("board {:?} {text}", board.name));
            }
            if board.lava.as_ref().is_some_and(|lava| lava.prompts.is_empty()) {
                return wrong(format!("board {:?}: LAVA needs a prompt to wait for", board.name));
            }
        }
        Ok(description)
    }

    fn parameters(&self, arm: &Arm) -> String {
        format!("{} {}", self.project.parameters, arm.parameters).trim().to_owned()
    }
}

/// What is done on the board before its files are handed out. A kernel without the recording has no
/// such module, and its log will do.
const STEPS: [&str; 2] = [
    "mount -t debugfs none /sys/kernel/debug 2> /dev/null || true",
    "modprobe cpu_bringup || true",
];

#[derive(Template)]
#[template(path = "lava.yaml", escape = "none")]
struct LavaJob {
    source: String,
    name: String,
    device_type: String,
    minutes: u32,
    parameters: String,
    arm: String,
    board: String,
    kernel: String,
    kernel_compression: Option<&'static str>,
    modules: Option<String>,
    modules_compression: &'static str,
    ramdisk: String,
    ramdisk_compression: &'static str,
    dtb: Option<String>,
    method: String,
    prompts: Vec<String>,
    steps: Vec<String>,
    send: String,
}

#[derive(Template)]
#[template(path = "tuxsuite.yaml", escape = "none")]
struct TuxPlan {
    source: String,
    file: &'static str,
    name: String,
    minutes: u32,
    jobs: Vec<TuxJob>,
    steps: Vec<String>,
    send: String,
}

struct TuxJob {
    name: String,
    device: String,
    kernel: String,
    modules: Option<String>,
    rootfs: String,
    parameters: String,
}

/// The jobs of a description that was read from the file `source`.
///
/// # Errors
///
/// None that a description which was parsed can cause.
pub fn render(description: &Description, source: &str) -> Result<Vec<File>, Error> {
    let Description { project, arms, boards } = description;
    let steps: Vec<String> = STEPS.iter().map(|step| quoted(step)).collect();
    let minutes = project.minutes;
    // A comment, which ends with its line.
    let source: String = source.chars().filter(|char| !char.is_control()).collect();
    let mut files = Vec::new();
    let mut jobs = Vec::new();
    for board in boards {
        for arm in arms {
            let name = format!("{}-{}-{}", project.name, board.name, arm.name);
            let parameters = description.parameters(arm);
            if let Some(lava) = &board.lava {
                let job = LavaJob {
                    source: source.clone(),
                    name: quoted(&name),
                    device_type: quoted(&lava.device_type),
                    minutes,
                    parameters: quoted(&parameters),
                    arm: quoted(&arm.name),
                    board: quoted(&board.name),
                    kernel: quoted(&arm.kernel),
                    kernel_compression: compression(&arm.kernel),
                    modules: arm.modules.as_deref().map(quoted),
                    modules_compression: arm
                        .modules
                        .as_deref()
                        .and_then(compression)
                        .unwrap_or("xz"),
                    ramdisk: quoted(&board.ramdisk),
                    ramdisk_compression: compression(&board.ramdisk).unwrap_or("gz"),
                    dtb: board.dtb.as_deref().map(quoted),
                    method: quoted(&lava.method),
                    prompts: lava.prompts.iter().map(|prompt| quoted(prompt)).collect(),
                    steps: steps.clone(),
                    send: quoted(SEND),
                };
                files.push(File {
                    name: format!("lava-{}-{}.yaml", board.name, arm.name),
                    text: job.render()? + "\n",
                });
            }
            if let Some(tux) = &board.tux {
                jobs.push(TuxJob {
                    name: quoted(&name),
                    device: quoted(&tux.device),
                    kernel: quoted(&arm.kernel),
                    modules: arm.modules.as_deref().map(quoted),
                    rootfs: quoted(&board.ramdisk),
                    parameters: quoted(&parameters),
                });
            }
        }
        if board.tux.is_some() {
            let text = tuxrun(description, board, &source);
            files.push(File { name: format!("tuxrun-{}.sh", board.name), text });
        }
    }
    if !jobs.is_empty() {
        let file = "tuxsuite-plan.yaml";
        let name = quoted(&project.name);
        let plan = TuxPlan {
            source: source.clone(),
            file,
            name,
            minutes,
            jobs,
            steps,
            send: quoted(SEND),
        };
        files.push(File { name: file.into(), text: plan.render()? + "\n" });
    }
    files.push(File { name: "collect-logs.sh".into(), text: collect(description, &source) });
    Ok(files)
}

/// Text as YAML, of which JSON is a part.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Text as one word of a shell.
fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// How the file of that name is compressed, in LAVA's words.
fn compression(url: &str) -> Option<&'static str> {
    let endings =
        [(".gz", "gz"), (".xz", "xz"), (".bz2", "bz2"), (".zst", "zstd"), (".zip", "zip")];
    endings.into_iter().find(|(ending, _)| url.ends_with(ending)).map(|(_, name)| name)
}

const SHELL: &str = "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-only OR MIT\n";

/// A boot that failed is no reason to lose the others.
const GOES_ON: &str =
    "A step that fails does\n# not end it; the exit code is that of the first one that did.";
/// Has the script go on after a command, and remember.
const STEP: &str =
    "first=0\nstep() {\n\t\"$@\" || { code=$?; [ $first -ne 0 ] || first=$code; }\n}\n";

/// A script that boots all arms on a machine of tuxrun's, and collects.
fn tuxrun(description: &Description, board: &Board, source: &str) -> String {
    let Some(tux) = &board.tux else { return String::new() };
    let minutes = description.project.minutes;
    let mut text = format!(
        "{SHELL}# Made by `cargo xtask ci render` from {source}. Run it in the repository; results and logs\n\
         # go to the folder given, or to target/results/tuxrun. {GOES_ON}\nset -u\n\
         results=${{1:-target/results/tuxrun}}\nmkdir -p \"$results\" || exit\n{STEP}"
    );
    for arm in &description.arms {
        let mut words =
            vec!["step".to_owned(), "tuxrun".into(), "--device".into(), word(&tux.device)];
        words.extend(["--kernel".into(), word(&arm.kernel)]);
        if let Some(modules) = &arm.modules {
            words.extend(["--modules".into(), word(modules)]);
        }
        words.extend(["--rootfs".into(), word(&board.ramdisk)]);
        let parameters = description.parameters(arm);
        if !parameters.is_empty() {
            words.extend(["--boot-args".into(), word(&parameters)]);
        }
        words.extend([
            "--timeouts".into(),
            format!("boot={minutes}"),
            format!("commands={minutes}"),
        ]);
        let log = format!("\"$results\"/{}-{}.log", board.name, arm.name);
        words.extend(["--log-file-text".into(), log.clone(), "--".into()]);
        let commands = STEPS.into_iter().chain([SEND]).collect::<Vec<_>>().join("; ");
        words.push(word(&commands));
        text.push_str(&format!(
            "\n{}\n{}\n",
            words.join(" "),
            collect_one(board, arm, &log, "tcg")
        ));
    }
    text + "\nexit $first\n"
}

/// The command that makes results of a job's log.
fn collect_one(board: &Board, arm: &Arm, log: &str, accel: &str) -> String {
    format!(
        "step cargo xtask collect --job-log {log} --meta arm={} --meta accel={accel} --meta board={} --json \"$results\"/{}-{}.json",
        arm.name, board.name, board.name, arm.name
    )
}

/// A script that makes results of the logs of LAVA's and TuxSuite's jobs.
fn collect(description: &Description, source: &str) -> String {
    let mut text = format!(
        "{SHELL}# Made by `cargo xtask ci render` from {source}: the last step. Give the folder with the logs of\n\
         # the jobs, each named BOARD-ARM.log: `lavacli jobs logs ID > BOARD-ARM.log` fetches one from\n\
         # LAVA, `tuxsuite test logs ID > BOARD-ARM.log` from TuxSuite.\n\
         # {GOES_ON}\nset -u\nresults=$1\n{STEP}\n"
    );
    for board in &description.boards {
        let accel = if board.lava.is_some() { "none" } else { "tcg" };
        for arm in &description.arms {
            let log = format!("\"$results\"/{}-{}.log", board.name, arm.name);
            text.push_str(&collect_one(board, arm, &log, accel));
            text.push('\n');
        }
    }
    let report = "step cargo xtask report \"$results\"/*.json --output \"$results\"/report.html";
    text + report + "\nexit $first\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../ci/boards.toml");

    fn rendered() -> Vec<File> {
        render(&Description::parse(EXAMPLE).unwrap(), "ci/boards.toml").unwrap()
    }

    #[test]
    fn every_board_and_arm_has_a_job() {
        let names: Vec<String> = rendered().into_iter().map(|file| file.name).collect();
        assert_eq!(
            names,
            [
                "lava-rockpi4b-base.yaml",
                "lava-rockpi4b-p0.yaml",
                "lava-rockpi4b-p1.yaml",
                "tuxrun-qemu-arm64.sh",
                "tuxsuite-plan.yaml",
                "collect-logs.sh",
            ]
        );
    }

    #[test]
    fn jobs_look_like_this() {
        let all = rendered().into_iter().filter(|file| !file.name.contains("-p"));
        let all = all.map(|file| format!("==> {} <==\n{}", file.name, file.text));
        crate::samples::assert_snapshot("ci_jobs", &all.collect::<String>());
    }

    #[test]
    fn what_is_wrong_with_a_description_is_said() {
        let error = |from: &str, to: &str| {
            let changed = EXAMPLE.replacen(from, to, 1);
            assert_ne!(changed, EXAMPLE, "{from}");
            Description::parse(&changed).unwrap_err().to_string()
        };
        assert!(error("minutes = 20", "minutes = 0").contains("not in 1 to 1440"));
        assert!(error("name = \"p1\"", "name = \"p0\"").contains("arm \"p0\" is there twice"));
        assert!(error("name = \"base\"", "name = \"a/b\"").contains("letters, digits"));
        assert!(error("tux = {", "tox = {").contains("tox"));
        assert!(error("tux = { device = \"qemu-arm64\" }", "").contains("needs `lava` or `tux`"));
        let both = error("lava = {", "tux = { device = \"x\" }\nlava = {");
        assert!(both.contains("has both `lava` and `tux`"), "{both}");
        assert!(error("[\"/ #\", \"root@\"]", "[]").contains("prompt"));
        assert!(
            Description::parse("[project]\nname = \"x\"\nminutes = 1\narm = []\nboard = []\n")
                .is_err()
        );
    }

    #[test]
    fn no_text_leaves_its_place() {
        let text = EXAMPLE.replace("log_buf_len=4M", "x=\\\"'$(touch y)\\nactions: []");
        let files = render(&Description::parse(&text).unwrap(), "a\nb").unwrap();
        assert!(
            files.iter().all(|file| !file.text.contains("\nactions: []\nactions")
                && file.text.contains("from ab"))
        );
        assert!(files[0].text.contains(r#"extra_kernel_args: "x=\"'$(touch y)\nactions: []""#));
        assert!(files[3].text.contains(r#"'x="'\''$(touch y)"#));
    }
}
