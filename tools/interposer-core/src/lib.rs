// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the EL2 interposer and the tool that starts it share.
//!
//! The tool writes a [`table`] into the machine's memory, which says what each CPU's firmware shall
//! do. The interposer answers the kernel's [`psci`] calls accordingly, waits as long as the
//! [`schedule`] says, and leaves [`trace`] records. [`layout`] says what lies where.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod layout;
pub mod psci;
pub mod schedule;
pub mod table;
pub mod trace;
