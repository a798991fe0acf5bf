// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Which distribution the host runs, from os-release(5).

use super::system::{System, ThisMachine};

/// A distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// `ID`, e.g. `debian`.
    pub id: String,
    /// `ID_LIKE`: what it descends from.
    pub like: Vec<String>,
    /// `VERSION_CODENAME`, e.g. `bookworm`; empty where there is none.
    pub codename: String,
    /// `PRETTY_NAME`, for people.
    pub name: String,
}

impl Distribution {
    /// The distribution of `system`.
    pub(super) fn of(system: &dyn System) -> Self {
        let text = ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .find_map(|file| system.read((*file).into()))
            .unwrap_or_default();
        Self::parse(&text)
    }

    /// The distribution of the machine that we run on.
    pub fn here() -> Self {
        Self::of(&ThisMachine)
    }

    /// Reads the text of os-release.
    pub fn parse(text: &str) -> Self {
        let mut distribution =
            Self { id: "linux".to_owned(), name: "Linux".to_owned(), ..Self::default() };
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once('=') else { continue };
            let value = value.trim_matches(['"', '\'']).to_owned();
            match key {
                "ID" => distribution.id = value,
                "ID_LIKE" => {
                    distribution.like = value.split_whitespace().map(str::to_owned).collect();
                }
                "VERSION_CODENAME" => distribution.codename = value,
                "PRETTY_NAME" => distribution.name = value,
                _ => {}
            }
        }
        distribution
    }

    /// Whether it is Debian, Ubuntu or a descendant: its package manager is apt and its package
    /// names are the ones that we know.
    pub fn uses_apt(&self) -> bool {
        let ours = ["debian", "ubuntu"];
        ours.contains(&self.id.as_str()) || self.like.iter().any(|id| ours.contains(&id.as_str()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub const DEBIAN_12: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n\
        VERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";
    pub const DEBIAN_13: &str = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n\
        VERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n";
    pub const UBUNTU_24_04: &str = "PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nID=ubuntu\n\
        ID_LIKE=debian\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\n";
    pub const FEDORA: &str = "NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=42\n\
        VERSION_CODENAME=\"\"\nPRETTY_NAME=\"Fedora Linux 42\"\n";

    #[test]
    fn known_files_are_read() {
        let debian = Distribution::parse(DEBIAN_12);
        assert_eq!((debian.id.as_str(), debian.codename.as_str()), ("debian", "bookworm"));
        assert!(debian.uses_apt());
        let ubuntu = Distribution::parse(UBUNTU_24_04);
        assert_eq!((ubuntu.codename.as_str(), ubuntu.like.len()), ("noble", 1));
        assert!(ubuntu.uses_apt());
        assert!(Distribution::parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"").uses_apt());
        let fedora = Distribution::parse(FEDORA);
        assert_eq!((fedora.name.as_str(), fedora.codename.as_str()), ("Fedora Linux 42", ""));
        assert!(!fedora.uses_apt());
        assert!(!Distribution::parse("").uses_apt());
    }

    proptest! {
        #[test]
        fn no_file_panics(text in any::<String>()) {
            let _ = Distribution::parse(&text);
        }
    }
}
