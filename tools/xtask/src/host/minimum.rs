// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The minimum versions that the kernel asks for.

use camino::Utf8Path;

use super::system::System;
use super::version::Version;

/// For when no kernel source is at hand; those of Linux 7.3.4 for arm64.
const BUILT_IN: [(&str, &str); 5] = [
    ("binutils", "2.30.0"),
    ("gcc", "8.1.0"),
    ("llvm", "17.0.1"),
    ("rustc", "1.85.0"),
    ("bindgen", "0.71.1"),
];

/// The kernel's minimum versions, and where they come from.
pub struct Minimums {
    script: Option<Vec<(String, Version)>>,
    origin: String,
}

impl Minimums {
    /// Those that the kernel's own script tells, or the built-in ones without a script. The script
    /// is run rather than read: it tells architectures apart.
    pub fn new(system: &dyn System, script: Option<(&Utf8Path, String)>) -> Self {
        if let Some((script, origin)) = script {
            let ask = |tool: &str| {
                let arguments = ["ARCH=arm64", "SRCARCH=arm64", "sh", script.as_str(), tool];
                let text = system.output("env", &arguments)?;
                Some((tool.to_owned(), Version::parse(text.trim())?))
            };
            let told: Vec<_> = BUILT_IN.iter().filter_map(|(tool, _)| ask(tool)).collect();
            if !told.is_empty() {
                return Self { script: Some(told), origin };
            }
        }
        Self { script: None, origin: "built in, from Linux 7.3.4".to_owned() }
    }

    /// The minimum version of `tool` and where it comes from.
    pub fn of(&self, tool: &str) -> Option<(Version, String)> {
        if let Some(told) = &self.script {
            let (_, version) = told.iter().find(|(name, _)| name == tool)?;
            return Some((version.clone(), self.origin.clone()));
        }
        let (_, version) = BUILT_IN.iter().find(|(name, _)| *name == tool)?;
        Some((Version::parse(version)?, self.origin.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::system::{MadeUp, ThisMachine};
    use super::*;

    #[test]
    fn the_script_goes_before_the_built_in_values() {
        let script = "case \"$1\" in\nllvm) if [ \"$SRCARCH\" = arm64 ]; then echo 18.0.0; \
                      else echo 1.0; fi ;;\nrustc) echo 1.88.0 ;;\n*) exit 1 ;;\nesac\n";
        let dir = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(dir.path()).unwrap().join("min-tool-version.sh");
        fs_err::write(&file, script).unwrap();
        let minimums = Minimums::new(&ThisMachine, Some((&file, "the script".to_owned())));
        let (version, origin) = minimums.of("llvm").unwrap();
        assert_eq!((version.to_string().as_str(), origin.as_str()), ("18.0.0", "the script"));
        assert!(minimums.of("gcc").is_none());
    }

    #[test]
    fn without_a_usable_script_the_values_are_built_in() {
        let script = Utf8Path::new("/no/such/script");
        for script in [None, Some((script, String::new()))] {
            let minimums = Minimums::new(&MadeUp::default(), script);
            for (tool, version) in BUILT_IN {
                let (minimum, origin) = minimums.of(tool).unwrap();
                assert_eq!(minimum.to_string(), version);
                assert!(origin.starts_with("built in"));
            }
            assert!(minimums.of("make").is_none());
        }
    }
}
