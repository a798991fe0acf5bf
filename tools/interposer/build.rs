// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tells the linker to make a flat image that runs at any address.

fn main() {
    println!("cargo::rerun-if-changed=image.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    // Position independent: the base is where the machine's memory, as the kernel knows it, ends.
    for argument in ["-pie", "--no-dynamic-linker", "-znotext", "--oformat=binary"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-T{folder}/image.ld");
}
