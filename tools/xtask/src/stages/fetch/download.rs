// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Downloads over HTTP, resumed where an earlier try stopped.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use fs_err::{File, OpenOptions};
use ureq::Agent;
use ureq::http::Response;
#[cfg(feature = "tls")]
use ureq::tls::{RootCerts, TlsConfig};

use crate::progress::Progress;

/// Short, as there is another way to the source: an unreachable server must not hold us up.
const CONNECT: Duration = Duration::from_secs(10);
/// For the body in one try. A stalled transfer ends by it, a slow one is resumed after it.
const BODY: Duration = Duration::from_secs(300);
/// So many tries in a row may bring nothing new.
const TRIES: u32 = 3;

/// What to download and where to. An existing file is taken as its beginning.
pub struct Wanted<'a> {
    /// From where.
    pub url: &'a str,
    /// Into which file.
    pub file: &'a Utf8Path,
}

/// A client with our time limits.
pub struct Client {
    agent: Agent,
}

impl Client {
    /// A new one; it has not connected to anything yet.
    pub fn new() -> Self {
        let config = Agent::config_builder()
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(CONNECT * 3))
            .timeout_recv_body(Some(BODY))
            .http_status_as_error(false);
        // The system's certificates rather than a list of the library's: where a company's proxy
        // stands in the way, its certificate is known there.
        #[cfg(feature = "tls")]
        let config =
            config.tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build());
        Self { agent: config.build().into() }
    }

    /// A small text.
    pub fn text(&self, url: &str) -> Result<String> {
        let get = || {
            let mut response = self.agent.get(url).call()?;
            if response.status() != 200 {
                bail!("the server says {}", response.status());
            }
            Ok(response.body_mut().read_to_string()?)
        };
        get().with_context(|| format!("cannot fetch {url}"))
    }

    /// A whole file. When this fails, what has come so far is kept for the next try.
    pub fn file(&self, wanted: &Wanted<'_>) -> Result<()> {
        let mut failures = 0;
        loop {
            let before = length(wanted.file);
            let error = match self.try_file(wanted) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            failures = if length(wanted.file) > before { 0 } else { failures + 1 };
            if failures == TRIES || error.is::<Final>() {
                return Err(error).with_context(|| format!("cannot fetch {}", wanted.url));
            }
            eprintln!("{}: {error:#}; trying again", wanted.url);
        }
    }

    fn try_file(&self, wanted: &Wanted<'_>) -> Result<()> {
        let start = length(wanted.file);
        let mut request = self.agent.get(wanted.url);
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let response = request.call()?;
        let start = match response.status().as_u16() {
            206 if range_start(&response) == Some(start) => start,
            // The server sends the whole file whatever we ask for.
            200 => 0,
            // There is nothing after what we have: it is complete, or not what it should be.
            416 if start > 0 && range_total(&response) == Some(start) => return Ok(()),
            206 | 416 if start > 0 => {
                fs_err::remove_file(wanted.file)?;
                bail!("the server cannot continue at byte {start}; starting over");
            }
            status @ 400..=499 => return Err(Final(status).into()),
            status => bail!("the server says {status}"),
        };
        let total = header(&response, "content-length")
            .and_then(|text| text.parse::<u64>().ok())
            .map(|rest| rest.saturating_add(start));

        let mut file = match start {
            0 => File::create(wanted.file)?,
            _ => OpenOptions::new().append(true).open(wanted.file)?,
        };
        let name = wanted.file.file_stem().unwrap_or_default();
        let progress = Progress::bytes(format!("Downloading {name}"), total);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut position = start;
        loop {
            progress.set(position);
            let count = body.read(&mut buffer).context("the transfer broke off")?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count])?;
            position += count as u64;
        }
        if let Some(total) = total.filter(|total| *total != position) {
            bail!("the transfer ended at byte {position} of {total}");
        }
        progress.done("done");
        Ok(())
    }
}

/// The server has said that it will not give us the file: no use in trying again.
#[derive(Debug)]
struct Final(u16);

impl std::fmt::Display for Final {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server says {}", self.0)
    }
}

impl std::error::Error for Final {}

fn length(file: &Utf8Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

fn header<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Where the part begins that the server sends: `Content-Range: bytes START-END/TOTAL`.
fn range_start<T>(response: &Response<T>) -> Option<u64> {
    let (start, _) = header(response, "content-range")?.strip_prefix("bytes ")?.split_once('-')?;
    start.parse().ok()
}

/// The whole file's size: `Content-Range: bytes */TOTAL`.
fn range_total<T>(response: &Response<T>) -> Option<u64> {
    header(response, "content-range")?.strip_prefix("bytes */")?.parse().ok()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use camino::Utf8PathBuf;
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    /// How the server of a test behaves.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Manner {
        Plain,
        Ranges,
        /// Breaks off in the middle of the first answer.
        TornOnce,
        /// Breaks off always, before anything has come.
        TornAlways,
        NotFound,
    }

    const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

    /// Serves `content` on the loopback device; returns the address and the list of the ranges that
    /// were asked for.
    pub fn serve(manner: Manner, content: Vec<u8>) -> (String, Arc<Mutex<Vec<Option<usize>>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut range = None;
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap().to_ascii_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(text) = line.strip_prefix("range: bytes=") {
                        range = text.trim_end_matches('-').parse().ok();
                    }
                }
                let first = {
                    let mut log = log.lock().unwrap();
                    log.push(range);
                    log.len() == 1
                };
                let start = if manner == Manner::Plain { 0 } else { range.unwrap_or(0) };
                let total = content.len();
                let close = "Connection: close\r\n\r\n";
                let head = match manner {
                    Manner::NotFound => format!("404 Not Found\r\nContent-Length: 0\r\n{close}"),
                    _ if start >= total => format!(
                        "416 Range\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n{close}"
                    ),
                    _ => {
                        let status = match range {
                            Some(_) if manner != Manner::Plain => format!(
                                "206 Part\r\nContent-Range: bytes {start}-{}/{total}",
                                total - 1
                            ),
                            _ => "200 OK".to_owned(),
                        };
                        format!("{status}\r\nContent-Length: {}\r\n{close}", total - start)
                    }
                };
                let body = match manner {
                    Manner::NotFound | Manner::TornAlways => &[],
                    Manner::TornOnce if first => &content[start..start + 10],
                    _ => content.get(start..).unwrap_or_default(),
                };
                // The client may have gone already.
                let _ = stream.write_all(format!("HTTP/1.1 {head}").as_bytes());
                let _ = stream.write_all(body);
            }
        });
        (url, asked)
    }

    struct Place {
        _guard: tempfile::TempDir,
        file: Utf8PathBuf,
    }

    fn place(beginning: &[u8]) -> Place {
        let guard = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(guard.path()).unwrap().join("file.part");
        if !beginning.is_empty() {
            fs_err::write(&file, beginning).unwrap();
        }
        Place { _guard: guard, file }
    }

    /// Downloads after `beginning` was there; returns the file and the ranges asked for.
    fn download(manner: Manner, beginning: &[u8]) -> (Result<Vec<u8>>, Vec<Option<usize>>) {
        let (url, asked) = serve(manner, CONTENT.to_vec());
        let place = place(beginning);
        let result = Client::new().file(&Wanted { url: &url, file: &place.file });
        let asked = asked.lock().unwrap().clone();
        (result.map(|()| fs_err::read(&place.file).unwrap()), asked)
    }

    #[test]
    fn a_whole_file() {
        let (content, asked) = download(Manner::Plain, b"");
        assert_eq!((content.unwrap().as_slice(), asked), (CONTENT, vec![None]));
    }

    #[test]
    fn a_beginning_is_gone_on_with() {
        let (content, asked) = download(Manner::Ranges, &CONTENT[..7]);
        assert_eq!((content.unwrap().as_slice(), asked), (CONTENT, vec![Some(7)]));
    }

    #[test]
    fn a_server_without_ranges_means_starting_anew() {
        let (content, asked) = download(Manner::Plain, b"something else");
        assert_eq!((content.unwrap().as_slice(), asked), (CONTENT, vec![Some(14)]));
    }

    #[test]
    fn a_complete_beginning_is_all() {
        let (content, _) = download(Manner::Ranges, CONTENT);
        assert_eq!(content.unwrap(), CONTENT);
    }

    #[test]
    fn a_beginning_that_is_too_long_is_thrown_away() {
        let (content, asked) = download(Manner::Ranges, &[b'x'; 100]);
        assert_eq!((content.unwrap().as_slice(), asked), (CONTENT, vec![Some(100), None]));
    }

    #[test]
    fn a_torn_transfer_is_resumed() {
        let (content, asked) = download(Manner::TornOnce, b"");
        assert_eq!((content.unwrap().as_slice(), asked), (CONTENT, vec![None, Some(10)]));
    }

    #[test]
    fn a_server_that_only_tears_is_given_up() {
        let (content, asked) = download(Manner::TornAlways, b"");
        assert!(format!("{:#}", content.unwrap_err()).starts_with("cannot fetch http://127.0.0.1"));
        assert_eq!(asked.len(), 3);
    }

    #[test]
    fn a_missing_file_is_not_asked_for_twice() {
        let (content, asked) = download(Manner::NotFound, b"");
        assert!(format!("{:#}", content.unwrap_err()).ends_with("the server says 404"));
        assert_eq!(asked.len(), 1);
        let (url, _) = serve(Manner::NotFound, CONTENT.to_vec());
        assert!(Client::new().text(&url).is_err());
        let (url, _) = serve(Manner::Plain, CONTENT.to_vec());
        assert_eq!(Client::new().text(&url).unwrap().as_bytes(), CONTENT);
    }

    #[test]
    fn nobody_listening_is_an_error_at_once() {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}/file");
        assert!(Client::new().text(&url).is_err());
    }
}
