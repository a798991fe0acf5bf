// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A small program at EL2 between Linux at EL1 and the firmware: it makes CPUs arrive late, wrongly
//! or never, as the table in its memory says. `docs/interposer.md` describes it.
//!
//! [`boot`] has the code before Rust: first instructions, exception vectors. [`cpu`] gets a CPU from
//! its reset to EL1, [`calls`] answers what comes from there, [`wait`] lets time pass at no cost.
//! No CPU writes to what another one reads but through [`state`].

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod calls;
#[cfg(target_os = "none")]
mod cpu;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod semihosting;
#[cfg(target_os = "none")]
mod stage2;
#[cfg(target_os = "none")]
mod state;
#[cfg(target_os = "none")]
mod wait;

/// Builds of the whole workspace get here.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("error: the interposer runs at EL2; `cargo xtask boot --firmware` starts it");
    std::process::exit(2);
}
