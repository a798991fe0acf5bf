// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The timeline as a picture.
