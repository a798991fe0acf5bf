// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Is the simulated rule of the kick window the kernel's? The kernel's `cpu_window.h`, taken out of
//! the patch that adds it, is compiled for the host and given the same operations.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use bringup_model::window::Auto;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

const OPERATIONS: usize = 100_000;

/// Reads operations, prints the state after each.
const HARNESS: &str = r#"
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
typedef unsigned long long u64;
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
static u64 div64_u64(u64 a, u64 b) { return a / b; }
#include "cpu_window.h"
int main(void)
{
	struct cpuhp_window w;
	u64 a, b, c;
	char what;

	while (scanf(" %c %llu %llu %llu", &what, &a, &b, &c) == 4) {
		switch (what) {
		case 'i': cpuhp_window_init(&w, a); break;
		case 'k': cpuhp_window_kicked(&w, a); break;
		case 'r': cpuhp_window_released(&w, a); break;
		case 'w': cpuhp_window_waiting(&w, a, b); break;
		case 'a': cpuhp_window_alive(&w, a, b, c); break;
		}
		printf("%u %u %u %u %llu %llu\n", w.ahead, w.max, w.spare, w.round_end,
		       w.kick, w.release);
	}
	return 0;
}
"#;

/// `cpu_window.h` as the series adds it; no other patch may touch it.
fn header() -> String {
    const FILE: &str = "+++ b/kernel/cpu_window.h\n";
    let patches = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../patches");
    let mut found = Vec::new();
    for folder in fs::read_dir(patches).unwrap().map(|entry| entry.unwrap().path()) {
        for patch in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let text = String::from_utf8_lossy(&fs::read(patch).unwrap()).into_owned();
            if let Some((_, hunk)) = text.split_once(FILE) {
                let added = hunk.lines().skip(1).map_while(|line| line.strip_prefix('+'));
                found.push(added.fold(String::new(), |text, line| text + line + "\n"));
            }
        }
    }
    assert_eq!(found.len(), 1, "patches that add or change cpu_window.h");
    found.remove(0)
}

/// What the compiled `header` prints for `operations`.
fn compiled(header: &str, operations: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("cpu_window.h"), header).unwrap();
    fs::write(path("harness.c"), HARNESS).unwrap();
    fs::write(path("operations"), operations).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-o"]).arg(path("harness")).arg(path("harness.c"));
    assert!(compiler.status().unwrap().success(), "cc cannot compile cpu_window.h");
    let input = Stdio::from(fs::File::open(path("operations")).unwrap());
    let output = Command::new(path("harness")).stdin(input).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Random operations, and the states of [`Auto`] after each.
fn transcribed() -> (String, String) {
    let mut random = Pcg64::seed_from_u64(1);
    let (mut operations, mut states) = (String::new(), String::new());
    let mut auto = Auto::new(0);
    let mut turn = 0;
    for index in 0..OPERATIONS {
        // Times of all magnitudes, from nothing to more than a minute.
        let bits = random.random_range(0..37);
        let ns = random.random_range(0..=1_u64 << bits);
        let choice = if index == 0 { 0 } else { random.random_range(0..100) };
        let (what, a, b, c) = match choice {
            0..2 => {
                let max = random.random_range(0..5000);
                auto = Auto::new(max);
                turn = 0;
                ('i', u64::from(max), 0, 0)
            }
            2..20 => {
                auto.kicked(ns);
                ('k', ns, 0, 0)
            }
            20..28 => {
                auto.released(ns);
                ('r', ns, 0, 0)
            }
            28..65 => {
                let later = random.random();
                auto.waiting(ns, later);
                ('w', ns, u64::from(later), 0)
            }
            _ => {
                let kicked = turn + 1 + random.random_range(0..20);
                let bits = random.random_range(1..8);
                let spare = random.random_range(0..1 << bits);
                auto.alive(turn, kicked, spare);
                turn += 1;
                ('a', u64::from(turn - 1), u64::from(kicked), u64::from(spare))
            }
        };
        writeln!(operations, "{what} {a} {b} {c}").unwrap();
        let Auto { ahead, max, spare, round_end, kick, release } = auto;
        writeln!(states, "{ahead} {max} {spare} {round_end} {kick} {release}").unwrap();
    }
    (operations, states)
}

#[test]
fn the_simulated_rule_is_the_kernels() {
    let (header, (operations, states)) = (header(), transcribed());
    let kernel = compiled(&header, &operations);
    assert_eq!(kernel.lines().count(), OPERATIONS);
    for ((operation, ours), theirs) in operations.lines().zip(states.lines()).zip(kernel.lines()) {
        assert_eq!(ours, theirs, "after {operation}");
    }
    // Another constant does not go unnoticed.
    for (constant, other) in [
        ("400000ULL", "500000ULL"),
        ("10000000ULL", "11000000ULL"),
        ("_MIN_ROUND\t\t8U", "_MIN_ROUND\t\t9U"),
        ("slot / 8", "slot / 9"),
    ] {
        let changed = header.replacen(constant, other, 1);
        assert_ne!(changed, header, "{constant} is not in cpu_window.h");
        assert!(compiled(&changed, &operations) != states, "{constant} as {other} is not seen");
    }
}
