// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One file per verb. A verb parses nothing and computes nothing itself: it calls stages and
//! renders what they return.

pub mod apply;
pub mod bench;
pub mod boot;
pub mod build;
pub mod ci;
pub mod clean;
pub mod collect;
pub mod compare;
pub mod demo;
pub mod doctor;
pub mod faults;
pub mod fetch;
pub mod firmware;
pub mod kvm_lab;
pub mod report;
pub mod series;
pub mod setup;
pub mod soak;
pub mod test;
