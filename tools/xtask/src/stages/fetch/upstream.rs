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
    use super::super::download::tests::{Manner, serve};
    use super::super::tarball::tests::{folder, small};
    use super::super::{Origin, Package, Upstream};
    use super::*;
    use proptest::prelude::*;

    /// Fetches a small kernel from a server of ours on top of what a broken-off run has left.
    /// `sum` is what is published; the right one by default.
    fn fetch_small(manner: Manner, left: &[u8], sum: Option<&str>) -> Result<Source> {
        let (_guard, dir) = folder();
        let cached = small(&dir, "7.3.4");
        let content = fs_err::read(cached.part()).unwrap();
        let right = sha256_of(&cached.part()).unwrap();
        let sums = format!("{}  linux-7.3.4.tar.xz\n", sum.unwrap_or(&right));
        match left {
            b"half" => fs_err::write(cached.part(), &content[..content.len() / 2]).unwrap(),
            b"" => fs_err::remove_file(cached.part()).unwrap(),
            other => fs_err::write(cached.part(), other).unwrap(),
        }
        let (checksums, _) = serve(Manner::Plain, sums.into_bytes());
        let (tarball, _) = serve(manner, content);
        let sources = Sources {
            version: "7.3.4".to_owned(),
            upstream: Upstream { tarball: tarball.clone(), checksums, sha256: None },
            package: Package {
                name: String::new(),
                tarball: String::new(),
                suites: Default::default(),
            },
            others: Default::default(),
        };
        let source = fetch(&sources, &cached)?;
        assert_eq!(source.sha256, right);
        assert_eq!(source.origin, Origin::Tarball(cached.file()));
        assert_eq!(cached.origin(), Some(tarball));
        assert!(cached.check(Some(&right))?.is_some());
        Ok(source)
    }

    #[test]
    fn the_tarball_is_fetched_checked_and_resumed() {
        fetch_small(Manner::Plain, b"", None).unwrap();
        fetch_small(Manner::Ranges, b"", None).unwrap();
        fetch_small(Manner::Ranges, b"half", None).unwrap();
        fetch_small(Manner::TornOnce, b"", None).unwrap();
        // The rest of another file: found by its sum, then fetched anew.
        fetch_small(Manner::Ranges, b"something else", None).unwrap();
    }

    #[test]
    fn a_tarball_with_another_sum_is_refused() {
        let published = "0".repeat(64);
        let error = fetch_small(Manner::Ranges, b"", Some(&published)).unwrap_err();
        assert!(error.to_string().contains("does not have the SHA-256 0000"), "{error}");
        let error = fetch_small(Manner::Ranges, b"", Some("no sum")).unwrap_err();
        assert!(error.to_string().contains("has no line for linux-7.3.4.tar.xz"), "{error}");
    }

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
