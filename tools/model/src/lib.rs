// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The data model of a CPU bring-up measurement.
