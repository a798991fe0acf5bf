// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Results for people: as a table and as a picture.

pub mod bench;
pub mod duration;
pub mod lab;
pub mod svg;
pub mod table;
pub mod window;
