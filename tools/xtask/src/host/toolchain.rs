// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a kernel build is given: make variables, environment, and versions for the manifest.

use std::collections::BTreeMap;

use anyhow::Result;

use super::requirement::{Probe, REQUIREMENTS};
use super::{Finding, Host, lacks};
use crate::context::Context;
use crate::error::Failure;
use crate::host::system::ThisMachine;

/// The toolchain for kernel builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// Variables for every make call; those that the user gave as `KEY=VAL` are not repeated.
    pub make_variables: Vec<(String, String)>,
    /// Environment variables for every make call.
    pub environment: Vec<(String, String)>,
    /// Tool name to version, for the manifest.
    pub versions: BTreeMap<String, String>,
}

/// The toolchain to build with. Fails with exit 3 and the mends if a part of it is missing.
pub fn toolchain(context: &Context) -> Result<Toolchain> {
    Ok(of(&Host::new(&ThisMachine, context))?)
}

/// What the manifest names and builds cannot do without.
const TOOLS: [&str; 10] =
    ["make", "clang", "lld", "llvm", "libclang", "rustc", "cargo", "rust-src", "bindgen", "qemu"];

/// What builds cannot do without besides.
const ALSO: [&str; 8] = ["flex", "bison", "bc", "cpio", "libelf", "openssl", "perl", "gcc"];

fn of(host: &Host<'_>) -> Result<Toolchain, Failure> {
    let of =
        |names: &'static [&str]| REQUIREMENTS.iter().filter(|entry| names.contains(&entry.name));
    let entries = of(&TOOLS).chain(of(&ALSO));
    let findings: Vec<Finding> = entries.map(|entry| host.check(entry)).collect();
    if let Some(failure) = lacks(&findings) {
        return Err(Failure::Host(format!("{failure}\nall at once: cargo xtask setup")));
    }

    let versions = findings
        .iter()
        .filter(|finding| TOOLS.contains(&finding.check.name))
        .filter(|finding| !matches!(finding.requirement.probe, Probe::Libclang | Probe::RustSource))
        .filter(|finding| !matches!(finding.check.name, "llvm" | "cargo"))
        .filter_map(|finding| {
            let name = if finding.check.name == "lld" { "ld.lld" } else { finding.check.name };
            Some((name.to_owned(), finding.check.found.clone()?))
        })
        .collect();

    let given = |key: &str| host.make_variables.iter().any(|(name, _)| name == key);
    let mut make_variables = Vec::new();
    if !given("LLVM") {
        make_variables.push(("LLVM".to_owned(), host.llvm.make_value.clone()));
    }
    if !given("BINDGEN") {
        make_variables.push(("BINDGEN".to_owned(), host.bindgen()));
    }

    // Our bindgen is first in PATH, too: the kernel is not the only one that looks for it there.
    let path = host.system.variable("PATH").unwrap_or_default();
    let path = format!("{}:{path}", host.bindgen_root().join("bin"));
    let mut environment = vec![("PATH".to_owned(), path)];
    if let Some(folder) = host.libclang() {
        environment.push(("LIBCLANG_PATH".to_owned(), folder.into_string()));
    }
    if let Some(source) = host.setting("RUST_LIB_SRC") {
        environment.push(("RUST_LIB_SRC".to_owned(), source));
    }
    Ok(Toolchain { make_variables, environment, versions })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{debian_with_all, host};
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_build_gets_llvm_bindgen_and_libclang() {
        let machine =
            debian_with_all().set("RUST_LIB_SRC", "/src").file("/src/core/src/lib.rs", "");
        let toolchain = of(&host(&machine)).unwrap();
        let bindgen = "/cache/tools/bindgen-0.73.2/bin";
        assert_eq!(
            toolchain.make_variables,
            [pair("LLVM", "-19"), pair("BINDGEN", &format!("{bindgen}/bindgen"))]
        );
        assert_eq!(
            toolchain.environment,
            [
                pair("PATH", &format!("{bindgen}:/usr/bin")),
                pair("LIBCLANG_PATH", "/usr/lib/llvm-19/lib"),
                pair("RUST_LIB_SRC", "/src"),
            ]
        );
        let names: Vec<_> = toolchain.versions.keys().map(String::as_str).collect();
        assert_eq!(names, ["bindgen", "clang", "ld.lld", "make", "qemu", "rustc"]);
        assert_eq!(toolchain.versions["clang"], "19.1.7");
    }

    #[test]
    fn what_the_user_gave_is_not_repeated() {
        let machine = debian_with_all();
        let mut host = host(&machine);
        host.make_variables = vec![pair("LLVM", "-19")];
        let toolchain = of(&host).unwrap();
        assert!(toolchain.make_variables.iter().all(|(key, _)| key != "LLVM"));
    }

    #[test]
    fn a_missing_part_is_the_hosts_fault() {
        let machine = debian_with_all().without("ld.lld-19");
        let failure = of(&host(&machine)).unwrap_err();
        assert_eq!(failure.code(), 3);
        assert!(failure.to_string().contains("lld"));
        assert!(failure.to_string().contains("cargo xtask setup"));
    }
}
