// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The data model of a CPU bring-up measurement.
//!
//! Data flows one way: the guest's `timeline` file, kernel log and console become [`timeline`],
//! [`dmesg`] and [`console`] values, a KVM host's trace becomes those of [`kvm`]; [`collect`] gathers
//! them, with [`stats`], into the runs of [`results`], the results file; [`bench`] and [`compare`]
//! judge many of them, with [`inference`] and [`fit`]; [`expect`] says what a [`fault`] must lead
//! to; [`render`] shows them. [`window`] simulates what is not measured. Nothing here runs a process
//! or reads a file, and no input makes it panic.

pub mod bench;
pub mod collect;
pub mod compare;
pub mod console;
pub mod copied;
pub mod dmesg;
pub mod expect;
pub mod fault;
pub mod fit;
pub mod identity;
pub mod inference;
pub mod joblog;
pub mod kvm;
pub mod profile;
pub mod published;
pub mod render;
pub mod results;
pub mod stats;
pub mod timeline;
pub mod verdict;
pub mod window;

#[cfg(test)]
mod samples;
