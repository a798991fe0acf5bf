// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 5: a guest in QEMU, from its start to its verdict.
//!
//! [`plan`], [`accel`], [`initramfs`], [`verdict`] are pure; [`guest`] builds the guest program and
//! writes its job, [`run`] runs QEMU.

pub mod accel;
pub mod guest;
pub mod initramfs;
pub mod plan;
mod run;
mod skew;
pub mod verdict;

pub use plan::BootRequest;
pub use run::{BootOutcome, run, run_held};
