// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A folder that passes for a Linux tree: enough to be taken for one, too little for any patch or
//! configuration to fit.

use anyhow::Result;
use camino::Utf8Path;

/// Its make answers to allnoconfig with a configuration that has nothing in it.
const MAKEFILE: &str = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n\
    allnoconfig:\n\t@mkdir -p $(O)\n\t@: >$(O)/.config\n";

/// Makes it in `dir`.
pub fn make(dir: &Utf8Path) -> Result<()> {
    fs_err::create_dir_all(dir.join("arch/arm64"))?;
    fs_err::write(dir.join("arch/arm64/Kconfig"), "")?;
    fs_err::write(dir.join("Makefile"), MAKEFILE)?;
    fs_err::write(dir.join("Kconfig"), "config SMP\n\tbool \"SMP\"\n")?;
    Ok(())
}
