// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 5: a guest in QEMU, from its start to its verdict.
//!
//! [`plan`], [`accel`], [`check`], [`command`], [`device_tree`], [`initramfs`], [`kexec`],
//! [`trace`], [`verdict`] are pure; [`guest`] builds the guest program and writes its job, [`interposer`]
//! prepares the machine for slow or broken firmware, [`run`] runs QEMU.

pub mod accel;
pub mod check;
pub mod command;
mod device_tree;
pub mod firmware;
pub mod guest;
pub mod initramfs;
pub mod interposer;
pub mod kexec;
pub mod plan;
mod program;
mod run;
mod skew;
mod trace;
pub mod verdict;

pub use plan::BootRequest;
pub use run::{BootOutcome, check_image, run, run_held};
