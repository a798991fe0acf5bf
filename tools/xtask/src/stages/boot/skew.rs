// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Host priorities that differ from one emulated CPU to the next, so that with a thread per CPU
//! some fall far behind others.

use std::collections::BTreeSet;

use camino::Utf8Path;
use fastrand::Rng;
use rustix::process::{Pid, setpriority_process};

/// Gives each thread of a CPU its priority, once.
pub struct Skew {
    rng: Rng,
    done: BTreeSet<i32>,
}

impl Skew {
    /// Priorities that follow from `seed`.
    pub fn new(seed: u32) -> Self {
        Self { rng: Rng::with_seed(seed.into()), done: BTreeSet::new() }
    }

    /// Looks for threads of CPUs in the QEMU whose number is in the file `pid`. What has gone
    /// meanwhile, or is not there yet, is no error.
    pub fn apply(&mut self, pid: &Utf8Path) {
        let Ok(number) = std::fs::read_to_string(pid) else { return };
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", number.trim())) else { return };
        let mut threads: Vec<i32> =
            tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect();
        threads.sort_unstable();
        for thread in threads {
            let name = std::fs::read_to_string(format!("/proc/{thread}/comm")).unwrap_or_default();
            if is_cpu(&name) && self.done.insert(thread) {
                // To lower one's own priority is always allowed.
                let nice = if self.rng.bool() { self.rng.i32(1..=19) } else { 0 };
                let _ = setpriority_process(Pid::from_raw(thread), nice);
            }
        }
    }
}

/// Whether QEMU calls a thread of an emulated CPU so: `CPU 3/TCG`, or `ALL CPUs/TCG` for one thread
/// of all.
fn is_cpu(name: &str) -> bool {
    name.trim_end().ends_with("/TCG")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_cpus_are_told_from_others() {
        assert!(is_cpu("CPU 12/TCG\n"));
        assert!(is_cpu("ALL CPUs/TCG\n"));
        assert!(!is_cpu("qemu-system-aar\n"));
    }
}
