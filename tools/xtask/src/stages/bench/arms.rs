// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What `--arms` names: kernels and how they are told to bring CPUs up. Pure.

use std::str::FromStr;

use camino::Utf8PathBuf;

use crate::stages::Kernel;
use crate::stages::boot::BootRequest;
use crate::stages::boot::plan::Window;

/// One of the things that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    /// As it was written, without a path.
    pub name: String,
    /// Its kernel.
    pub kernel: Kernel,
    /// Its configuration, if it is not the command's.
    pub preset: Option<String>,
    /// `cpuhp.parallel=`, if to be given at all.
    pub parallel: Option<bool>,
    /// `cpuhp.window=`, if to be given at all.
    pub window: Option<Window>,
}

impl FromStr for Arm {
    type Err = String;

    /// `base`, `p1`, `window=4`, `NAME=PATH[:MODE]`, each with an optional `@PRESET`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (text, preset) = match text.rsplit_once('@') {
            // A path may have one in the middle.
            Some((front, preset)) if !preset.contains('/') => {
                if preset.is_empty() {
                    return Err(format!("`{text}` names no preset after the @"));
                }
                (front, Some(preset.to_owned()))
            }
            _ => (text, None),
        };
        let (mut parallel, mut window) = (None, None);
        let (name, kernel) = match text.split_once('=') {
            Some(("window", _)) => {
                (parallel, window) = mode_of(text)?;
                (text, Kernel::Patched)
            }
            Some((name, path)) if is_name(name) && !path.is_empty() => {
                let (path, mode) = match path.rsplit_once(':') {
                    Some((front, mode)) if !mode.contains('/') => (front, mode),
                    _ => (path, ""),
                };
                if path.is_empty() {
                    return Err(format!("`{text}` names no path before the colon"));
                }
                (parallel, window) = mode_of(mode)?;
                (name, Kernel::Path(Utf8PathBuf::from(path)))
            }
            Some(_) => {
                return Err(format!("`{text}` is neither window=W nor NAME=PATH"));
            }
            None => {
                let kernel = match text {
                    "p0" | "p1" => {
                        (parallel, window) = mode_of(text)?;
                        Kernel::Patched
                    }
                    "base" => Kernel::Base,
                    "pristine" => Kernel::Pristine,
                    "patched" => Kernel::Patched,
                    other => {
                        return Err(format!(
                            "`{other}` is none of pristine, base, patched, p0, p1, window=W and \
                             NAME=PATH"
                        ));
                    }
                };
                (text, kernel)
            }
        };
        let name = match &preset {
            Some(preset) => format!("{name}@{preset}"),
            None => name.to_owned(),
        };
        Ok(Self { name, kernel, preset, parallel, window })
    }
}

/// What `cpuhp.parallel=` and `cpuhp.window=` are to be for `p0`, `p1`, `window=W`, or nothing.
fn mode_of(text: &str) -> Result<(Option<bool>, Option<Window>), String> {
    match text {
        "" => Ok((None, None)),
        "p0" => Ok((Some(false), None)),
        "p1" => Ok((Some(true), None)),
        _ => match text.strip_prefix("window=") {
            Some(window) => Ok((Some(true), Some(window.parse()?))),
            None => Err(format!("`{text}` after a path is none of p0, p1 and window=W")),
        },
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

impl Arm {
    /// Tells `request` how CPUs are to be brought up.
    pub fn apply(&self, request: &mut BootRequest) {
        (request.parallel, request.window) = (self.parallel, self.window);
    }

    /// What it adds to the kernel's command line, for the record.
    pub fn parameters(&self) -> String {
        let parallel = self.parallel.map(|on| format!("cpuhp.parallel={}", u8::from(on)));
        let window = self.window.map(|window| format!("cpuhp.window={window}"));
        Vec::from_iter(parallel.into_iter().chain(window)).join(" ")
    }
}

/// The first name that two arms share.
pub fn first_duplicate(arms: &[Arm]) -> Option<&str> {
    let names = arms.iter().map(|arm| arm.name.as_str()).enumerate();
    names
        .filter(|(index, name)| arms[..*index].iter().any(|arm| arm.name == *name))
        .map(|(_, name)| name)
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<Arm>() {
            Ok(arm) => {
                let preset = arm.preset.as_deref().unwrap_or("-");
                format!("{}: {} {preset} [{}]", arm.name, arm.kernel, arm.parameters())
            }
            Err(error) => error,
        }
    }

    #[test]
    fn arms_are_kernels_and_modes() {
        let texts = [
            "base",
            "p0",
            "p1",
            "patched",
            "pristine@guest-minimal",
            "window=4",
            "window=all@guest-lockdep",
            "p1@guest-lockdep",
            "mine=../linux",
            "old=/boot/a@b/Image",
            "old=/src/linux@guest",
            "serial=../linux:p0",
            "wide=/k/Image:window=all",
            "four=../linux:window=4@guest",
            "window=0",
            "wide=/k/Image:window=0",
            "x=/k:2/Image",
            "x=:p1",
            "p2",
            "p1@",
            "=x",
            "x=",
            "a b=/x",
        ];
        insta::assert_snapshot!(texts.map(shown).join("\n"), @r"
        base: base - []
        p0: patched - [cpuhp.parallel=0]
        p1: patched - [cpuhp.parallel=1]
        patched: patched - []
        pristine@guest-minimal: pristine guest-minimal []
        window=4: patched - [cpuhp.parallel=1 cpuhp.window=4]
        window=all@guest-lockdep: patched guest-lockdep [cpuhp.parallel=1 cpuhp.window=all]
        p1@guest-lockdep: patched guest-lockdep [cpuhp.parallel=1]
        mine: ../linux - []
        old: /boot/a@b/Image - []
        old@guest: /src/linux guest []
        serial: ../linux - [cpuhp.parallel=0]
        wide: /k/Image - [cpuhp.parallel=1 cpuhp.window=all]
        four@guest: ../linux guest [cpuhp.parallel=1 cpuhp.window=4]
        `0` is neither auto, all nor a number from 1 to 4294967295
        `0` is neither auto, all nor a number from 1 to 4294967295
        x: /k:2/Image - []
        `x=:p1` names no path before the colon
        `p2` is none of pristine, base, patched, p0, p1, window=W and NAME=PATH
        `p1@` names no preset after the @
        `=x` is neither window=W nor NAME=PATH
        `x=` is neither window=W nor NAME=PATH
        `a b=/x` is neither window=W nor NAME=PATH
        ");
    }

    #[test]
    fn names_are_not_given_twice() {
        let arms = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let unique: Vec<Arm> = arms(&["p0", "p1", "p1@guest-lockdep"]);
        assert_eq!(first_duplicate(&unique), None);
        let twice: Vec<Arm> = arms(&["p0", "p1", "p0"]);
        assert_eq!(first_duplicate(&twice), Some("p0"));
    }
}
