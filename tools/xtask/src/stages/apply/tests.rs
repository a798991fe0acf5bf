// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The stage as a whole, with real git on a tree of a few small files.

use std::time::SystemTime;

use tempfile::TempDir;

use super::*;
use crate::error;

/// A cache, a source and a series in a folder of their own.
struct Lab {
    root: TempDir,
    context: Context,
    source: Source,
}

impl Lab {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let dir = Utf8Path::from_path(root.path()).unwrap();
        let linux = dir.join("linux-7.3.4");
        fs_err::create_dir_all(linux.join("kernel")).unwrap();
        for name in ["cpu", "smp", "fork"] {
            fs_err::write(linux.join(format!("kernel/{name}.c")), lines(name)).unwrap();
        }
        fs_err::write(linux.join(".gitignore"), "*.o\n*.tab.c\n").unwrap();
        fs_err::write(linux.join("kernel/shipped.tab.c"), "ignored, but part of it\n").unwrap();
        let tarball = dir.join("linux.tar");
        let status = Command::new("tar")
            .args(["-cf", tarball.as_str(), "-C", dir.as_str(), "linux-7.3.4"])
            .status();
        assert!(status.unwrap().success());
        let context = Context::new(Some(dir.join("cache")), None).unwrap();
        let source = Source {
            origin: Origin::Tarball(tarball),
            version: "7.3.4".to_owned(),
            sha256: "0123456789abcdef".to_owned(),
        };
        Self { root, context, source }
    }

    fn dir(&self) -> &Utf8Path {
        Utf8Path::from_path(self.root.path()).unwrap()
    }

    /// A patch file that puts `text` after the line `NAME 5` of kernel/NAME.c.
    fn patch(&self, number: u32, name: &str, text: &str) -> Patch {
        let path = self.dir().join(format!("{number:04}-{name}.patch"));
        let patch = format!(
            "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n\
             From: A U Thor <author@example.com>\n\
             Date: Mon, 23 Nov 2026 10:00:00 +0000\n\
             Subject: [PATCH {number}/9] {name}: Add a line\n\
             \n\
             For a test.\n\
             ---\n\
             diff --git a/kernel/{name}.c b/kernel/{name}.c\n\
             --- a/kernel/{name}.c\n\
             +++ b/kernel/{name}.c\n\
             @@ -4,3 +4,4 @@\n \
             {name} 4\n \
             {name} 5\n\
             +{text}\n \
             {name} 6\n\
             -- \n2.0\n\n"
        );
        fs_err::write(&path, patch).unwrap();
        Patch::read(&path).unwrap()
    }

    fn apply(&self, kernel: Kernel, patches: &[Patch]) -> Result<Tree> {
        bring_up(&self.context, &self.source, &kernel, patches, ByHand::Refuse)
    }
}

fn git(dir: &Utf8Path) -> Git {
    Git::new(&xshell::Shell::new().unwrap(), dir)
}

fn lines(name: &str) -> String {
    (1..=9).map(|number| format!("{name} {number}\n")).collect()
}

fn read(tree: &Tree, name: &str) -> String {
    fs_err::read_to_string(tree.dir.join(format!("kernel/{name}.c"))).unwrap()
}

fn modified(tree: &Tree, name: &str) -> SystemTime {
    let path = tree.dir.join(format!("kernel/{name}.c"));
    fs_err::metadata(path).unwrap().modified().unwrap()
}

fn subjects(tree: &Tree) -> Vec<String> {
    let log = git(&tree.dir).run(["log", "--reverse", "--format=%s by %an"]).unwrap();
    log.lines().map(str::to_owned).collect()
}

#[test]
fn each_kernel_has_its_own_tree() {
    let lab = Lab::new();
    let patches = [lab.patch(1, "cpu", "one"), lab.patch(2, "smp", "two")];
    let pristine = lab.apply(Kernel::Pristine, &[]).unwrap();
    let base = lab.apply(Kernel::Base, &patches[..1]).unwrap();
    let patched = lab.apply(Kernel::Patched, &patches).unwrap();

    assert_eq!(read(&pristine, "cpu"), lines("cpu"));
    assert!(pristine.dir.join("kernel/shipped.tab.c").exists());
    assert!(read(&base, "cpu").contains("cpu 5\none\ncpu 6"));
    assert_eq!(read(&base, "smp"), lines("smp"));
    assert!(read(&patched, "smp").contains("two"));
    assert_eq!(
        subjects(&patched),
        [
            "Linux 7.3.4 by cpu-bringup",
            "cpu: Add a line by A U Thor",
            "smp: Add a line by A U Thor"
        ]
    );
    assert_eq!([&pristine, &base, &patched].map(|tree| tree.patches.len()), [0, 1, 2]);
    assert_eq!((pristine.series, base.patches), (None, vec!["0001-cpu.patch".to_owned()]));
    assert_ne!(base.key, patched.key);
    assert_ne!(pristine.key, base.key);
}

#[test]
fn commits_are_the_same_in_every_cache() {
    let (one, two) = (Lab::new(), Lab::new());
    let commit = |lab: &Lab| lab.apply(Kernel::Base, &[lab.patch(1, "cpu", "one")]).unwrap().commit;
    assert_eq!(commit(&one), commit(&two));
}

#[test]
fn a_changed_patch_re_applies_itself_and_its_successors_only() {
    let lab = Lab::new();
    let first = lab.patch(1, "cpu", "one");
    let third = lab.patch(3, "fork", "three");
    let old = [first.clone(), lab.patch(2, "smp", "two"), third.clone()];
    let before = lab.apply(Kernel::Patched, &old).unwrap();
    let times = ["cpu", "smp", "fork"].map(|name| modified(&before, name));
    let commits = |tree: &Tree| {
        let log = git(&tree.dir).run(["rev-list", "--reverse", "HEAD"]).unwrap();
        log.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let old_commits = commits(&before);

    std::thread::sleep(Duration::from_millis(20));
    let new = [first, lab.patch(2, "smp", "TWO"), third];
    let after = lab.apply(Kernel::Patched, &new).unwrap();
    let new_commits = commits(&after);
    assert_eq!(new_commits[..2], old_commits[..2]);
    assert_ne!(new_commits[2], old_commits[2]);
    assert!(read(&after, "smp").contains("TWO"));
    assert!(read(&after, "fork").contains("three"));
    // Also a file of a later patch keeps its time stamp: its content is what it was.
    assert_eq!(modified(&after, "cpu"), times[0]);
    assert_ne!(modified(&after, "smp"), times[1]);
    assert_eq!(modified(&after, "fork"), times[2]);
}

#[test]
fn a_patch_that_does_not_apply_is_named_and_leaves_the_tree_as_it_was() {
    let lab = Lab::new();
    let first = lab.patch(1, "cpu", "one");
    let before = lab.apply(Kernel::Patched, std::slice::from_ref(&first)).unwrap();
    let time = modified(&before, "cpu");

    let good = lab.patch(2, "fork", "two");
    // The same again: its context is no longer there.
    let bad = lab.patch(3, "cpu", "three");
    let text = fs_err::read_to_string(&bad.path).unwrap().replace("cpu 6", "cpu six");
    fs_err::write(&bad.path, text).unwrap();
    let bad = Patch::read(&bad.path).unwrap();
    let error = lab.apply(Kernel::Patched, &[first.clone(), good.clone(), bad]).unwrap_err();

    let message = error.to_string();
    assert!(message.contains("0003-cpu.patch does not apply to Linux 7.3.4"), "{message}");
    assert!(message.contains("kernel/cpu.c: hunk 1 of 1, `@@ -4,3 +4,4 @@`"), "{message}");
    assert_eq!(error::exit_code(&error), std::process::ExitCode::from(1));
    assert_eq!(git(&before.dir).head().unwrap(), before.commit);
    assert_eq!(modified(&before, "cpu"), time);
    assert_eq!(read(&before, "fork"), lines("fork"));
    assert_eq!(git(&before.dir).run(["status", "--porcelain"]).unwrap(), "");
    assert!(!lab.context.cache.join("kernels/7.3.4-0123456789ab/scratch").exists());

    // And it is no obstacle to what comes after.
    let after = lab.apply(Kernel::Patched, &[first, good]).unwrap();
    assert!(read(&after, "fork").contains("two"));
}

#[test]
fn runs_side_by_side_do_not_collide() {
    let lab = Lab::new();
    let patches = [lab.patch(1, "cpu", "one"), lab.patch(2, "smp", "two")];
    std::thread::scope(|scope| {
        let kernels = [Kernel::Patched, Kernel::Base, Kernel::Patched, Kernel::Pristine];
        let runs = kernels.map(|kernel| {
            let patches = match kernel {
                Kernel::Patched => &patches[..],
                Kernel::Base => &patches[..1],
                _ => &[],
            };
            let context = Context::new(Some(lab.context.cache.clone()), None).unwrap();
            let source = &lab.source;
            scope.spawn(move || bring_up(&context, source, &kernel, patches, ByHand::Refuse))
        });
        for run in runs {
            let tree = run.join().unwrap().unwrap();
            assert_eq!(read(&tree, "smp").contains("two"), tree.patches.len() == 2);
        }
    });
}

#[test]
fn changes_by_hand_are_kept_until_they_are_discarded() {
    let lab = Lab::new();
    let patches = [lab.patch(1, "cpu", "one")];
    let tree = lab.apply(Kernel::Patched, &patches).unwrap();
    fs_err::write(tree.dir.join("kernel/fork.c"), "mine\n").unwrap();
    let refused = |patches: &[Patch]| {
        let error = lab.apply(Kernel::Patched, patches).unwrap_err().to_string();
        assert!(error.contains("has changed kernel/fork.c"), "{error}");
        assert!(error.contains("--discard"), "{error}");
        assert_eq!(read(&tree, "fork"), "mine\n");
    };
    refused(&patches);
    let more = [patches[0].clone(), lab.patch(2, "smp", "two")];
    refused(&more);
    bring_up(&lab.context, &lab.source, &Kernel::Patched, &more, ByHand::Discard).unwrap();
    assert_eq!(read(&tree, "fork"), lines("fork"));
    assert!(read(&tree, "smp").contains("two"));
}

#[test]
fn a_run_that_was_killed_while_it_changed_files_is_mended() {
    let lab = Lab::new();
    let first = [lab.patch(1, "cpu", "one")];
    let tree = lab.apply(Kernel::Patched, &first).unwrap();
    // What such a run leaves: the mark, git's lock, and files of the new state.
    fs_err::write(tree.dir.with_file_name("updating"), "x").unwrap();
    let git_dir = git(&tree.dir).run(["rev-parse", "--absolute-git-dir"]).unwrap();
    fs_err::write(format!("{git_dir}/index.lock"), "").unwrap();
    fs_err::write(tree.dir.join("kernel/smp.c"), "half\n").unwrap();
    let more = [first[0].clone(), lab.patch(2, "smp", "two")];
    let tree = lab.apply(Kernel::Patched, &more).unwrap();
    assert!(read(&tree, "smp").contains("smp 5\ntwo\nsmp 6"));
    lab.apply(Kernel::Patched, &more).unwrap();
}

#[test]
fn a_tree_being_built_is_not_changed_and_a_changed_one_is_not_built() {
    let lab = Lab::new();
    let patches = [lab.patch(1, "cpu", "one"), lab.patch(2, "smp", "two")];
    let old = lab.apply(Kernel::Patched, &patches[..1]).unwrap();
    let held = old.hold(&lab.context).unwrap();
    std::thread::scope(|scope| {
        let context = Context::new(Some(lab.context.cache.clone()), None).unwrap();
        let (source, patches) = (&lab.source, &patches);
        let other = scope.spawn(move || {
            bring_up(&context, source, &Kernel::Patched, patches, ByHand::Refuse).unwrap()
        });
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(read(&old, "smp"), lines("smp"));
        drop(held);
        assert!(read(&other.join().unwrap(), "smp").contains("two"));
    });
    let error = old.hold(&lab.context).unwrap_err().to_string();
    assert!(error.contains("other patches"), "{error}");
}

#[test]
fn a_tree_of_a_distribution_may_ignore_its_own_files() {
    let lab = Lab::new();
    let linux = lab.dir().join("linux-7.3.4");
    fs_err::write(linux.join(".gitignore"), "/*\n!/debian/\n").unwrap();
    fs_err::write(linux.join("Makefile"), "VERSION = 7\n").unwrap();
    let plain = Source { origin: Origin::Plain(linux.clone()), ..lab.source.clone() };
    let tree = bring_up(&lab.context, &plain, &Kernel::Path(linux), &[], ByHand::Refuse).unwrap();
    assert_eq!(read(&tree, "cpu"), lines("cpu"));
}

#[test]
fn a_users_tree_is_copied_and_never_written() {
    let lab = Lab::new();
    let linux = lab.dir().join("linux-7.3.4");
    fs_err::write(linux.join("kernel/cpu.o"), "a build product").unwrap();
    let plain = Source {
        origin: Origin::Plain(linux.clone()),
        sha256: "p".repeat(64),
        ..lab.source.clone()
    };
    let kernel = Kernel::Path(linux.clone());
    let tree = bring_up(&lab.context, &plain, &kernel, &[], ByHand::Refuse).unwrap();
    assert_eq!(read(&tree, "cpu"), lines("cpu"));
    assert!(!tree.dir.join("kernel/cpu.o").exists());
    assert!(!linux.join(".git").exists());

    let git = git(&linux);
    git.run(["init", "--quiet", "--template="]).unwrap();
    git.run(["add", "--all"]).unwrap();
    git.run(["commit", "--quiet", "--message", "mine"]).unwrap();
    fs_err::write(linux.join("kernel/cpu.c"), "not committed\n").unwrap();
    let list = |dir: &Utf8Path| {
        let output = Command::new("find").args([dir.as_str(), "-printf", "%p %T@\n"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let before = list(&linux);
    let checkout = Source { origin: Origin::Git(linux.clone()), sha256: "g".repeat(64), ..plain };
    let tree = bring_up(&lab.context, &checkout, &kernel, &[], ByHand::Refuse).unwrap();
    assert_eq!(read(&tree, "cpu"), lines("cpu"));
    assert_eq!(list(&linux), before);
}
