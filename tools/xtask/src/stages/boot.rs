// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 5: a guest in QEMU, from its start to its verdict.
