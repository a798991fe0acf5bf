// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! PID 1 of the guest.

fn main() {}
