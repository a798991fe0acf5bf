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
#define min3(a, b, c) min(min(a, b), c)
static u64 div64_u64(u64 a, u64 b) { return a / b; }
#define div_u64 div64_u64
#include "cpu_window.h"
int main(void)
{
	struct cpuhp_window w;
	u64 a, b, c, d, e, f;
	char what;

	while (scanf(" %c %llu %llu %llu %llu %llu %llu", &what, &a, &b, &c, &d, &e, &f) == 7) {
		switch (what) {
		case 'i': cpuhp_window_init(&w, a); break;
		case 'k': cpuhp_window_kicked(&w, a); break;
		case 'o': cpuhp_window_online(&w, a, b, c, d, e, f); break;
		case 'w': cpuhp_window_waiting(&w, a, b); break;
		case 't': cpuhp_window_turn(&w, a, b, c); break;
		case 'f': cpuhp_window_failed(&w, a); break;
		}
		printf("%u %u %llu %llu %llu %u %u %u %u %u %u %u %llu %llu %llu %llu\n", w.ahead,
		       w.max, w.kick, w.release, w.period, w.kicked, w.base, w.spare, w.round_end,
		       w.trial_base, w.trial_start, w.trial_left, w.trial_sum, w.trial_max,
		       w.in_vain, w.pause);
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
    // Of the kernel there is nothing but this file.
    let alone = header.replace("#include <linux/", "// <");
    fs::write(path("cpu_window.h"), alone).unwrap();
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
    let (mut turn, mut kicked) = (0, 0);
    for index in 0..OPERATIONS {
        // Times of all magnitudes, from nothing to more than a minute.
        let bits = random.random_range(0..37);
        let ns = random.random_range(0..=1_u64 << bits);
        let choice = if index == 0 { 0 } else { random.random_range(0..100) };
        kicked = kicked.max(turn + 1 + random.random_range(0..20));
        let places = [turn, kicked].map(u64::from);
        let (what, arguments) = match choice {
            0..1 => {
                let max = random.random_range(0..5000);
                auto = Auto::new(max);
                (turn, kicked) = (0, 0);
                ('i', [u64::from(max), 0, 0, 0, 0, 0])
            }
            1..15 => {
                auto.kicked(ns);
                ('k', [ns, 0, 0, 0, 0, 0])
            }
            15..35 => {
                let later = random.random();
                auto.waiting(ns, later);
                ('w', [ns, u64::from(later), 0, 0, 0, 0])
            }
            35..50 => {
                auto.turn(turn, kicked, ns);
                ('t', [places[0], places[1], ns, 0, 0, 0])
            }
            50..51 => {
                auto.failed(kicked);
                ('f', [places[1], 0, 0, 0, 0, 0])
            }
            _ => {
                let waited = random.random();
                let release = random.random_range(0..=ns);
                // Mostly of a size, so that some trials succeed
                let period = random.random_range(500_000..1_000_000) >> random.random_range(0..4);
                auto.online([turn, kicked], [ns, release, period], waited);
                turn += 1;
                ('o', [places[0], places[1], u64::from(waited), ns, release, period])
            }
        };
        let [a, b, c, d, e, f] = arguments;
        writeln!(operations, "{what} {a} {b} {c} {d} {e} {f}").unwrap();
        let Auto { ahead, max, kick, release, period, kicked: seen, base, .. } = auto;
        let Auto { spare, round_end, trial_base, trial_start, trial_left, .. } = auto;
        let Auto { trial_sum, trial_max, in_vain, pause, .. } = auto;
        writeln!(
            states,
            "{ahead} {max} {kick} {release} {period} {seen} {base} {spare} {round_end} \
             {trial_base} {trial_start} {trial_left} {trial_sum} {trial_max} {in_vain} {pause}"
        )
        .unwrap();
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
        ("_START_NS, w->kick", "_START_NS, 2 * w->kick"),
        ("_TRIAL\t\t6U", "_TRIAL\t\t5U"),
        ("_PAUSE\t\t8U", "_PAUSE\t\t9U"),
        ("2000000ULL", "3000000ULL"),
        ("period / 16", "period / 15"),
        ("period / 2 <=", "period / 3 <="),
        ("2 * usual", "3 * usual"),
        ("in_vain / 8", "in_vain / 9"),
        ("10000000ULL", "11000000ULL"),
        ("_MIN_ROUND\t\t8U", "_MIN_ROUND\t\t9U"),
        ("slot / 8", "slot / 9"),
    ] {
        let changed = header.replacen(constant, other, 1);
        assert_ne!(changed, header, "{constant} is not in cpu_window.h");
        assert!(compiled(&changed, &operations) != states, "{constant} as {other} is not seen");
    }
}
