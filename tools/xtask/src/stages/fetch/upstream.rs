// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The tarball from kernel.org.

use anyhow::{Context as _, Result, bail};

use super::download::{Client, Wanted};
use super::tarball::{Cached, sha256_of};
use super::{Source, Sources};

/// Downloads the tarball, checks its SHA-256 and puts it into the cache.
pub fn fetch(sources: &Sources, cached: &Cached) -> Result<Source> {
    let upstream = &sources.upstream;
    let client = Client::new();
    let sha256 = match &upstream.sha256 {
        Some(pin) => pin.clone(),
        None => {
            let sums = client.text(&upstream.checksums)?;
            find_sum(&sums, &cached.file_name()).with_context(|| {
                format!("{} has no line for {}", upstream.checksums, cached.file_name())
            })?
        }
    };
    let part = cached.part();
    let wanted = Wanted { url: &upstream.tarball, file: &part };
    // What was left of an earlier run may be of another file: then a fresh start helps.
    for resumed in [part.exists(), false] {
        client.file(&wanted)?;
        let found = sha256_of(&part)?;
        if found == sha256 {
            return cached.accept(&upstream.tarball);
        }
        eprintln!("{part}: its SHA-256 is {found} instead of {sha256}; removing it");
        fs_err::remove_file(&part)?;
        if !resumed {
            break;
        }
    }
    bail!("{} does not have the SHA-256 {sha256} that is published for it", upstream.tarball)
}

/// The SHA-256 of `name` in the text of kernel.org's sha256sums.asc.
fn find_sum(text: &str, name: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.trim_end().split_once(char::is_whitespace))
        // A star before the name means that the file was read as binary.
        .find(|(_, file)| file.trim_start().trim_start_matches('*') == name)
        .map(|(sum, _)| sum.to_ascii_lowercase())
        .filter(|sum| is_sha256(sum))
}

/// Whether `text` is a SHA-256 in lower-case hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_line_for_our_file_is_found() {
        let (one, two) = ("1".repeat(64), "ab".repeat(32));
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{one}  linux-7.3.40.tar.xz\n\
             {two}  linux-7.3.4.tar.xz\r\nshort  linux-7.3.5.tar.xz\n{one} *linux-7.3.6.tar.xz\n\
             -----BEGIN PGP SIGNATURE-----\n"
        );
        assert_eq!(find_sum(&text, "linux-7.3.4.tar.xz"), Some(two));
        assert_eq!(find_sum(&text, "linux-7.3.6.tar.xz"), Some(one));
        assert_eq!(find_sum(&text, "linux-7.3.5.tar.xz"), None);
        assert_eq!(find_sum(&text, "linux-7.3.tar.xz"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), name in any::<String>()) {
            let _ = find_sum(&text, &name);
        }
    }
}
