// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the host asks of the guest program, and what it answers.
