// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Results for people: as a table, as a picture and as a report.

pub mod bench;
pub mod ci;
pub mod duration;
pub mod lab;
pub mod report;
pub mod svg;
pub mod table;
pub mod window;
