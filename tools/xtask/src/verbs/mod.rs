// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One file per verb. A verb parses nothing and computes nothing itself: it calls stages and
//! renders what they return.

pub mod apply;
pub mod boot;
pub mod build;
pub mod clean;
pub mod demo;
pub mod doctor;
pub mod fetch;
pub mod kvm_lab;
pub mod series;
pub mod setup;
pub mod soak;
pub mod test;
