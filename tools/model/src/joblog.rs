// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Files in the log of a job that ran on somebody's board.
//!
//! All that such a job gives back is what came over its serial line, among the kernel's own lines,
//! with whatever the engine puts before each of them. So the job prints files as base64, each line
//! with a mark before it, and at the end how many bytes there were: see [`SEND`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::copied::{Input, Unusable};

/// What stands before each line of a file; then come its name, a colon and the line.
pub const MARK: &str = "cpu-bringup-file:";

/// A command for the shell of a board that prints the timeline, if there is one, and the kernel log.
/// The log comes first into a file, so that it does not grow by its own printing.
pub const SEND: &str = "cd /tmp && dmesg > dmesg; cat /sys/kernel/debug/cpu_bringup/timeline > timeline 2> /dev/null || rm -f timeline; \
for file in timeline dmesg; do if [ -e $file ]; then \
base64 $file | while read line; do echo cpu-bringup-file:$file:$line; done; \
echo cpu-bringup-file:$file:end $(wc -c < $file); fi; done";

/// What was found in a job's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The module's timeline.
    pub timeline: Option<Vec<u8>>,
    /// The kernel log.
    pub log: Option<Vec<u8>>,
}

/// Finds the files in the log of a job.
///
/// # Errors
///
/// There is none, or one is damaged, cut off, or there twice.
pub fn files(log: &str) -> Result<Files, Unusable> {
    let wrong = |line, what: String| Unusable { input: Input::Job, line, what };
    let mut files = Files::default();
    let mut open: [(&str, String, usize); 2] =
        [("timeline", String::new(), 0), ("dmesg", String::new(), 0)];
    for (text, line) in log.lines().zip(1..) {
        let text = strip_ansi_escapes::strip_str(text);
        let Some((before, rest)) = text.rsplit_once(MARK) else { continue };
        // The command itself, echoed by the shell or by the engine.
        if before.ends_with("echo ") || rest.starts_with('$') {
            continue;
        }
        let Some((name, rest)) = rest.split_once(':') else { continue };
        let Some((_, content, begin)) = open.iter_mut().find(|(known, ..)| *known == name) else {
            continue;
        };
        let rest = rest.trim().trim_end_matches(['"', '\'', '}']).trim_end();
        if *begin == 0 {
            *begin = line;
        }
        let Some(length) = rest.strip_prefix("end ") else {
            content.push_str(rest);
            continue;
        };
        let bytes = STANDARD.decode(content.as_bytes()).map_err(|error| {
            wrong(line, format!("the file {name} of lines {begin} to {line} is damaged: {error}"))
        })?;
        if length.parse() != Ok(bytes.len()) {
            let what = format!(
                "the file {name} of lines {begin} to {line} has {} bytes, and should have {length}",
                bytes.len()
            );
            return Err(wrong(line, what));
        }
        let place = if name == "timeline" { &mut files.timeline } else { &mut files.log };
        if place.replace(bytes).is_some() {
            return Err(wrong(
                line,
                format!("the file {name} is there twice; give the log of one boot"),
            ));
        }
        content.clear();
        *begin = 0;
    }
    if let Some((name, _, begin)) = open.iter().find(|(.., begin)| *begin > 0) {
        return Err(wrong(
            *begin,
            format!("the file {name} begins here and has no end: the log is cut off"),
        ));
    }
    if files == Files::default() {
        let what = format!(
            "there is no file in this log, as no line has `{MARK}`; is it from a job that `ci render` made?"
        );
        return Err(wrong(1, what));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn sent(name: &str, content: &[u8]) -> String {
        let text = STANDARD.encode(content);
        let lines = text
            .as_bytes()
            .chunks(76)
            .map(|line| format!("{MARK}{name}:{}\n", String::from_utf8_lossy(line)));
        lines.collect::<String>() + &format!("{MARK}{name}:end {}\n", content.len())
    }

    #[test]
    fn files_are_found_among_other_lines() {
        let dmesg = "[    0.1] smp: Bringing up\n".repeat(20);
        let log = format!(
            "+ {SEND}\n{}{}",
            sent("timeline", b"# cpu\n"),
            sent("dmesg", dmesg.as_bytes())
        );
        let expected =
            Files { timeline: Some(b"# cpu\n".to_vec()), log: Some(dmesg.clone().into_bytes()) };
        assert_eq!(files(&log).unwrap(), expected);
        // As LAVA has it, and with lines of the kernel in between.
        let lines =
            log.lines().map(|line| format!("2026-11-23T12:00:00 {line}\r\n[   12.5] random: x\n"));
        assert_eq!(files(&lines.collect::<String>()).unwrap(), expected);
        let quoted =
            log.lines().map(|line| format!("{{\"lvl\": \"target\", \"msg\": \"{line}\"}}\n"));
        assert_eq!(files(&quoted.collect::<String>()).unwrap(), expected);
    }

    #[test]
    fn the_command_does_what_is_read_here() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        // The same command, with a folder of its own and a log that anybody may read.
        let command = SEND
            .replace("/tmp", &path.to_string())
            .replace("dmesg > dmesg", "seq 1000 > dmesg")
            .replace("/sys/kernel/debug/cpu_bringup/timeline", &format!("{path}/source"));
        let run = || Command::new("sh").args(["-c", &command]).output().unwrap();
        let log: String = (1..=1000).map(|number| format!("{number}\n")).collect();
        let found = files(&String::from_utf8(run().stdout).unwrap()).unwrap();
        assert_eq!(found, Files { timeline: None, log: Some(log.clone().into_bytes()) });
        std::fs::write(folder.path().join("source"), "# cpu_bringup\n\t-\n").unwrap();
        let found = files(&String::from_utf8(run().stdout).unwrap()).unwrap();
        assert_eq!(found.timeline, Some(b"# cpu_bringup\n\t-\n".to_vec()));
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let good = sent("dmesg", &[b'x'; 200]);
        let error = |log: &str| files(log).unwrap_err().to_string();
        assert!(error("nothing\n").contains("there is no file in this log"));
        assert!(
            error(&good.replace("end 200", "end 201"))
                .contains("has 200 bytes, and should have 201")
        );
        assert!(
            error(&good.replacen("eHh4", "e!h4", 1))
                .starts_with("job log, line 5: the file dmesg of lines 1 to 5 is damaged")
        );
        let cut = good.split("end").next().unwrap_or_default();
        assert!(error(cut).starts_with("job log, line 1: "), "{}", error(cut));
        assert!(error(&format!("{good}{good}")).contains("twice"));
    }

    proptest! {
        #[test]
        fn any_log_can_be_read(log in any::<String>(), rest in "[a-zA-Z0-9+/=: ]{0,20}", name in "timeline|dmesg|x") {
            let _ = files(&log);
            let _ = files(&format!("{log}\n{MARK}{name}:{rest}\n{MARK}{name}:end {rest}"));
        }

        #[test]
        fn what_is_sent_is_found(content in any::<Vec<u8>>()) {
            prop_assert_eq!(files(&sent("dmesg", &content)).unwrap().log, Some(content));
        }
    }
}
