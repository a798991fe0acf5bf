// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Configuring and building as a whole, with a make file that stands in for the kernel's.

use std::process::ExitCode;

use tempfile::TempDir;

use super::*;
use crate::error::exit_code;
use crate::stages::apply;
use crate::stages::fetch::{Origin, Source};
use crate::stages::{Kernel, configure};

/// Drops every option with LOSE in its name; every run adds a line to the image.
const MAKEFILE: &str = r#"
allnoconfig:
	@grep -v LOSE $(KCONFIG_ALLCONFIG) >$(O)/new
	@cmp -s $(O)/new $(O)/.config || cp $(O)/new $(O)/.config
Image:
	@echo "  CC      kernel/cpu.o"
	@cat kernel/cpu.c
	@! grep -q error: kernel/cpu.c
	@mkdir -p $(O)/arch/arm64/boot && echo run >>$(O)/arch/arm64/boot/Image
ifdef M
modules:
	@! grep -q error: $(M)/cpu_bringup.rs
	@cp $(M)/cpu_bringup.rs $(M)/cpu_bringup.ko
else
modules:
endif
"#;

const KCONFIG: &str = "config RUST\n\tbool \"Rust\"\n\
config LOSE\n\tbool \"Lose\"\n\tdepends on NEEDED\n\
config NEEDED\n\tbool \"Needed\"\n";

struct Lab {
    root: TempDir,
    context: Context,
}

impl Lab {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let dir = Utf8Path::from_path(root.path()).unwrap();
        let mut context = Context::new(Some(dir.join("cache")), None).unwrap();
        context.repo = dir.join("repo");
        let lab = Self { root, context };
        lab.write("linux/Makefile", MAKEFILE);
        lab.write("linux/Kconfig", KCONFIG);
        lab.write("linux/kernel/cpu.c", "fine\n");
        lab.write("repo/rust-module/Kbuild", "obj-m := cpu_bringup.o\n");
        lab.write("repo/rust-module/cpu_bringup.rs", "one\n");
        lab.write("repo/kconfig-fragments/base.config", "# why\nCONFIG_RUST=y\n");
        lab.write("repo/kconfig-fragments/lose.config", "\nCONFIG_LOSE=y\n");
        lab.write("repo/kconfig-fragments/ours.config", "CONFIG_OURS=y\n");
        lab.write("repo/kconfig-fragments/off.config", "# CONFIG_RUST is not set\n");
        lab.write(
            "repo/kconfig-fragments/presets.toml",
            "presets.good = { description = '', fragments = ['base', 'ours'] }\n\
             presets.lost = { description = '', fragments = ['base', 'lose'] }\n\
             presets.torn = { description = '', fragments = ['base', 'off'] }\n\
             fragments.ours = { needs = 'OURS' }\n",
        );
        lab
    }

    fn dir(&self) -> &Utf8Path {
        Utf8Path::from_path(self.root.path()).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.dir().join(name);
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(file, text).unwrap();
    }

    /// The tree as it is now; `key` stands for its content.
    fn tree(&self, key: &str) -> apply::Tree {
        let source = Source {
            origin: Origin::Plain(self.dir().join("linux")),
            version: "7.3.4".to_owned(),
            sha256: key.repeat(64),
        };
        apply::run(&self.context, &source, &Kernel::Pristine).unwrap()
    }

    fn build(&self, key: &str) -> Result<Built> {
        let configured = configure::run(&self.context, &self.tree(key), "good")?;
        run(&self.context, &configured, LIMIT)
    }
}

fn runs(built: &Built) -> usize {
    fs_err::read_to_string(&built.image).unwrap().lines().count()
}

#[test]
fn what_is_up_to_date_is_not_built_again() {
    let lab = Lab::new();
    let built = lab.build("a").unwrap();
    let module = built.module.clone().unwrap();
    assert_eq!(runs(&built), 1);
    assert_eq!(fs_err::read_to_string(&module).unwrap(), "one\n");
    let modified = || {
        let config = fs_err::metadata(built.configured.config()).unwrap();
        config.modified().unwrap()
    };
    let time = modified();
    assert_eq!(runs(&lab.build("a").unwrap()), 1);
    assert_eq!(modified(), time);

    // A change of the module builds the module alone, and who uses the old one keeps it.
    lab.write("repo/rust-module/cpu_bringup.rs", "two\n");
    let second = lab.build("a").unwrap();
    assert_eq!(runs(&second), 1);
    assert_eq!(fs_err::read_to_string(second.module.as_ref().unwrap()).unwrap(), "two\n");
    assert_eq!(fs_err::read_to_string(&module).unwrap(), "one\n");
    lab.write("repo/rust-module/cpu_bringup.rs", "error: three\n");
    lab.build("a").unwrap_err();
    lab.write("repo/rust-module/cpu_bringup.rs", "two\n");
    lab.build("a").unwrap();

    // A lost image and another configuration are reasons to build.
    fs_err::remove_file(&second.image).unwrap();
    assert_eq!(runs(&lab.build("a").unwrap()), 1);
    lab.write("repo/kconfig-fragments/base.config", "CONFIG_RUST=y\nCONFIG_NEEDED=y\n");
    let third = lab.build("a").unwrap();
    assert_eq!(runs(&third), 2);
    assert_ne!(modified(), time);
    assert_eq!(runs(&second), 1);

    // What nobody has used for long goes.
    let old = SystemTime::now() - 2 * KEPT_FOR;
    let folder = second.image.parent().unwrap();
    fs_err::File::open(folder).unwrap().set_modified(old).unwrap();
    assert_eq!(lab.build("a").unwrap().image, third.image);
    assert!(!folder.exists() && third.image.is_file());
}

#[test]
fn without_rust_there_is_no_module() {
    let lab = Lab::new();
    lab.write("repo/kconfig-fragments/base.config", "CONFIG_NEEDED=y\n");
    assert_eq!(lab.build("a").unwrap().module, None);
}

#[test]
fn a_compile_error_is_shown_and_built_again() {
    let lab = Lab::new();
    lab.write("linux/kernel/cpu.c", "kernel/cpu.c:3:1: error: broken\n  3 | here\n");
    for _ in 0..2 {
        let error = lab.build("a").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("kernel/cpu.c:3:1: error: broken\n    3 | here\n"), "{text}");
        assert!(text.contains("build.log"), "{text}");
        assert_eq!(exit_code(&error), ExitCode::from(1));
    }
}

#[test]
fn a_time_limit_ends_the_build() {
    let lab = Lab::new();
    let configured = configure::run(&lab.context, &lab.tree("a"), "good").unwrap();
    let error = run(&lab.context, &configured, Duration::ZERO).unwrap_err();
    assert_eq!(exit_code(&error), ExitCode::from(124));
}

#[test]
fn a_lost_line_stops_the_build_with_its_dependency() {
    let lab = Lab::new();
    let error = configure::run(&lab.context, &lab.tree("a"), "lost").unwrap_err();
    assert!(
        error.to_string().ends_with(
            "lose.config:2: CONFIG_LOSE=y came out as n: it depends on `NEEDED`, but NEEDED is n \
             (Kconfig:3)"
        ),
        "{error}"
    );
    assert_eq!(exit_code(&error), ExitCode::from(1));
    // Nor does a second run take it for done.
    assert!(configure::run(&lab.context, &lab.tree("a"), "lost").is_err());
}

#[test]
fn bad_presets_are_bad_usage() {
    let lab = Lab::new();
    for preset in ["torn", "unknown"] {
        let error = configure::run(&lab.context, &lab.tree("a"), preset).unwrap_err();
        assert_eq!(exit_code(&error), ExitCode::from(2), "{error}");
    }
}

#[test]
fn make_variables_choose_the_folder_but_not_the_architecture() {
    let mut lab = Lab::new();
    let output = lab.dir().join("elsewhere");
    lab.context.make_variables = vec![("KBUILD_OUTPUT".to_owned(), output.to_string())];
    assert!(lab.build("a").unwrap().image.starts_with(&output));
    for (key, value) in [("ARCH", "riscv"), ("O", "x")] {
        lab.context.make_variables = vec![(key.to_owned(), value.to_owned())];
        assert_eq!(exit_code(&lab.build("a").unwrap_err()), ExitCode::from(2));
    }
}

#[test]
fn two_runs_of_one_build_wait_for_each_other() {
    let lab = Lab::new();
    let built = std::thread::scope(|scope| {
        let threads = [(); 3].map(|()| {
            let mut context = Context::new(Some(lab.context.cache.clone()), None).unwrap();
            context.repo = lab.context.repo.clone();
            let tree = lab.tree("a");
            scope.spawn(move || {
                let configured = configure::run(&context, &tree, "good").unwrap();
                run(&context, &configured, LIMIT).unwrap()
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(runs(&built[0]), 1);
}

#[test]
fn products_are_not_sources() {
    let dir = tempfile::TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    fs_err::create_dir_all(dir.join("sub")).unwrap();
    for name in ["Kbuild", "a.rs", "sub/b.rs", "a.o", "a.mod.c", ".a.o.cmd", "README.md"] {
        fs_err::write(dir.join(name), name).unwrap();
    }
    let files = module_files(dir).unwrap();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Kbuild", "a.rs", "sub/b.rs"]);
    assert!(find_module(dir).is_err());
    fs_err::write(dir.join("a.ko"), "").unwrap();
    assert_eq!(find_module(dir).unwrap(), dir.join("a.ko"));
}
