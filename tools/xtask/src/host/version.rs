// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Versions as tools print them.

use std::cmp::Ordering;
use std::fmt;

/// A dotted version. `1.85` and `1.85.0` are equal; what was read is what is shown.
#[derive(Debug, Clone)]
pub struct Version {
    numbers: [u64; 4],
    text: String,
}

impl Version {
    /// Reads a version that is the whole of `text`, at most four numbers.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; 4];
        let mut slots = numbers.iter_mut();
        for part in text.split('.') {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *slots.next()? = part.parse().ok()?;
        }
        Some(Self { numbers, text: text.to_owned() })
    }

    /// Finds the version in what a tool printed for `--version`: the first dotted number outside
    /// parentheses, else the plain number after the word "version".
    pub fn find(output: &str) -> Option<Self> {
        // Distributions put their own package's version in parentheses, often before the tool's.
        let mut depth = 0u32;
        let text: String = output
            .chars()
            .filter(|&c| {
                match c {
                    '(' => depth += 1,
                    ')' => {
                        depth = depth.saturating_sub(1);
                        return false;
                    }
                    _ => {}
                }
                depth == 0
            })
            .collect();
        let leading = |word: &str| {
            let word = word.strip_prefix('v').unwrap_or(word);
            let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
            Self::parse(word[..end].trim_end_matches('.'))
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        words
            .iter()
            .find_map(|word| leading(word).filter(|version| version.text.contains('.')))
            .or_else(|| {
                let after = words.iter().position(|word| *word == "version")?;
                leading(words.get(after + 1)?)
            })
    }

    /// The first number.
    pub fn major(&self) -> u64 {
        self.numbers[0]
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_tools_print_is_understood() {
        for (output, version) in [
            ("GNU Make 4.3\nBuilt for x86_64-pc-linux-gnu", "4.3"),
            ("flex 2.6.4", "2.6.4"),
            ("bison (GNU Bison) 3.8.2", "3.8.2"),
            ("cpio (GNU cpio) 2.13", "2.13"),
            ("kmod version 30\n+ZSTD +XZ", "30"),
            ("rsync  version 3.2.7  protocol version 31", "3.2.7"),
            ("xz (XZ Utils) 5.4.1\nliblzma 5.4.1", "5.4.1"),
            ("v5.36.0", "5.36.0"),
            ("git version 2.47.3", "2.47.3"),
            ("setpriv from util-linux 2.38.1", "2.38.1"),
            ("Debian clang version 19.1.7 (3~deb12u1)\nTarget: x86_64", "19.1.7"),
            ("Ubuntu clang version 18.1.3 (1ubuntu1)", "18.1.3"),
            ("clang version 20.1.8 (Fedora 20.1.8-1.fc42)", "20.1.8"),
            ("Debian LLD 19.1.7 (compatible with GNU linkers)", "19.1.7"),
            ("rustc 1.95.0 (59807616e 2026-04-14)", "1.95.0"),
            ("rustc 1.97.0-nightly (abc 2026-05-01)", "1.97.0"),
            ("rustfmt 1.8.0-stable (59807616e 2026-04-14)", "1.8.0"),
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", "7.2.22"),
            ("Version: DTC 1.6.1", "1.6.1"),
            ("GNU ld (GNU Binutils for Debian) 2.40", "2.40"),
            ("GNU ld (GNU Binutils; openSUSE Leap 15.6) 2.41", "2.41"),
            ("GNU ld version 2.41-37.fc40", "2.41"),
            ("cc (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0", "13.3.0"),
            ("gcc (GCC) 14.2.1 20240801", "14.2.1"),
            ("bindgen 0.73.2", "0.73.2"),
            ("ccache version 4.7.5", "4.7.5"),
        ] {
            let found = Version::find(output).map(|version| version.to_string());
            assert_eq!(found.as_deref(), Some(version), "in {output:?}");
        }
        for output in ["", "no number here", "version", "(1.2.3)", "version x1"] {
            assert_eq!(Version::find(output), None, "in {output:?}");
        }
    }

    #[test]
    fn order_is_by_number() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("1.9") < version("1.85.0"));
        assert!(version("17.0.1") > version("17"));
        assert_eq!(version("1.85"), version("1.85.0"));
        for wrong in ["", ".", "1.", ".1", "1..2", "1.2.3.4.5", "1a", "99999999999999999999999"] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_printed_panics(output in any::<String>()) {
            let _ = Version::find(&output);
            let _ = Version::parse(&output);
        }

        #[test]
        fn a_version_in_a_line_is_found(a in 0u64..1000, b in 0u64..1000, c in 0u64..1000) {
            let text = format!("{a}.{b}.{c}");
            let found = Version::find(&format!("tool (package {b}.{c}) {text}-suffix\nmore"));
            prop_assert_eq!(found.map(|version| version.to_string()), Some(text));
        }
    }
}
