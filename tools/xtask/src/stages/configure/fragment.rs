// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Kconfig fragments: what is asked for, line by line, and whether the result has it.

use std::collections::BTreeMap;

use crate::error::Failure;

/// One line of a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The option without `CONFIG_`.
    pub symbol: String,
    /// `y`, `m`, `n`, a number or a string in quotes.
    pub value: String,
    /// The fragment's file name.
    pub fragment: String,
    /// The line in it, from 1.
    pub line: usize,
}

impl Request {
    /// Where it stands, for people.
    pub fn place(&self) -> String {
        format!("{}:{}", self.fragment, self.line)
    }
}

/// A line of a fragment or of a `.config` that sets an option: its name and its value.
fn setting(line: &str) -> Option<(&str, &str)> {
    if let Some(rest) = line.strip_prefix("# CONFIG_") {
        return rest.strip_suffix(" is not set").map(|symbol| (symbol, "n"));
    }
    let (symbol, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
    let is_symbol = symbol.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_symbol && is_value(value)).then_some((symbol, value))
}

fn is_value(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let hexadecimal = value.strip_prefix("0x").unwrap_or_default();
    matches!(value, "y" | "m" | "n")
        || (value.len() >= 2 && value.starts_with('"') && value.ends_with('"'))
        || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        || (!hexadecimal.is_empty() && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The requests in `text`, the content of the fragment `name`.
pub fn parse(name: &str, text: &str) -> Result<Vec<Request>, Failure> {
    let mut requests = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if let Some((symbol, value)) = setting(line) {
            requests.push(Request {
                symbol: symbol.to_owned(),
                value: value.to_owned(),
                fragment: name.to_owned(),
                line: index + 1,
            });
        } else if !line.is_empty() && !line.starts_with('#') {
            return Err(Failure::Usage(format!(
                "{name}:{}: `{line}` is neither CONFIG_NAME=VALUE, `# CONFIG_NAME is not set` nor \
                 a comment on a line of its own",
                index + 1
            )));
        }
    }
    Ok(requests)
}

/// All requests of a preset as one: an option asked for twice must be asked for alike.
pub fn merge(fragments: Vec<Vec<Request>>) -> Result<Vec<Request>, Failure> {
    let mut merged: BTreeMap<String, Request> = BTreeMap::new();
    for request in fragments.into_iter().flatten() {
        match merged.get(&request.symbol) {
            Some(first) if first.value != request.value => {
                return Err(Failure::Usage(format!(
                    "CONFIG_{} is {} by {} and {} by {}; take one of the fragments out of the \
                     preset or one of the lines out of its fragment",
                    request.symbol,
                    first.value,
                    first.place(),
                    request.value,
                    request.place()
                )));
            }
            Some(_) => {}
            None => {
                merged.insert(request.symbol.clone(), request);
            }
        }
    }
    Ok(merged.into_values().collect())
}

/// Leaves of the requests for each of `options` only those of the last fragment that has some.
pub fn override_first(fragments: &mut [Vec<Request>], options: &[String]) {
    for option in options {
        let is_about = |request: &Request| request.symbol == *option;
        let Some(last) = fragments.iter().rposition(|requests| requests.iter().any(is_about))
        else {
            continue;
        };
        for requests in &mut fragments[..last] {
            requests.retain(|request| !is_about(request));
        }
    }
}

/// The requests as a file for `KCONFIG_ALLCONFIG`.
pub fn render(requests: &[Request]) -> String {
    requests
        .iter()
        .map(|request| format!("CONFIG_{}={}\n", request.symbol, request.value))
        .collect()
}

/// The options that a `.config` sets; one that it does not mention is off.
pub fn parse_config(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(setting)
        .map(|(symbol, value)| (symbol.to_owned(), value.to_owned()))
        .collect()
}

/// The value of `symbol` in `config`.
pub fn value_in<'a>(config: &'a BTreeMap<String, String>, symbol: &str) -> &'a str {
    config.get(symbol).map_or("n", String::as_str)
}

/// Those of `requests` that `config` does not have as asked.
pub fn lost<'a>(requests: &'a [Request], config: &BTreeMap<String, String>) -> Vec<&'a Request> {
    requests
        .iter()
        .filter(|request| normal(&request.value) != normal(value_in(config, &request.symbol)))
        .collect()
}

/// Hexadecimal numbers have many spellings.
fn normal(value: &str) -> String {
    match value.strip_prefix("0x") {
        Some(digits) => {
            format!("0x{}", digits.trim_start_matches('0').to_ascii_lowercase())
        }
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_read() {
        let text = "# why\n\nCONFIG_SMP=y\nCONFIG_NR_CPUS=512\n# CONFIG_PCI is not set\n\
                    CONFIG_X=\"a b\"\nCONFIG_BASE=0xffff0000\nCONFIG_SHIFT=-1\n";
        let requests = parse("base.config", text).unwrap();
        let values: Vec<_> =
            requests.iter().map(|request| (&*request.symbol, &*request.value)).collect();
        assert_eq!(
            values,
            [
                ("SMP", "y"),
                ("NR_CPUS", "512"),
                ("PCI", "n"),
                ("X", "\"a b\""),
                ("BASE", "0xffff0000"),
                ("SHIFT", "-1"),
            ]
        );
        assert_eq!(requests[2].place(), "base.config:5");
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        for line in ["SMP=y", "CONFIG_SMP", "CONFIG_SMP=yes", "CONFIG_SMP=y # why", "CONFIG_A B=y"]
        {
            let error = parse("base.config", &format!("# c\n{line}\n")).unwrap_err();
            assert_eq!(error.code(), 2);
            assert!(error.to_string().starts_with("base.config:2: "), "{error}");
        }
    }

    #[test]
    fn fragments_that_contradict_each_other_are_refused() {
        let one = parse("one.config", "CONFIG_A=y\nCONFIG_B=y\n").unwrap();
        let same = parse("two.config", "CONFIG_A=y\n").unwrap();
        assert_eq!(merge(vec![one.clone(), same]).unwrap().len(), 2);
        let other = parse("two.config", "CONFIG_C=y\n# CONFIG_A is not set\n").unwrap();
        let error = merge(vec![one, other]).unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(
            error.to_string().contains("CONFIG_A is y by one.config:1 and n by two.config:2"),
            "{error}"
        );
    }

    #[test]
    fn only_what_is_listed_is_overridden() {
        let parse = |name: &str, text: &str| parse(name, text).unwrap();
        let mut fragments =
            vec![parse("one", "CONFIG_A=y\nCONFIG_B=1\n"), parse("two", "CONFIG_B=2\n")];
        merge(fragments.clone()).unwrap_err();
        override_first(&mut fragments, &["B".to_owned(), "C".to_owned()]);
        assert_eq!(render(&merge(fragments).unwrap()), "CONFIG_A=y\nCONFIG_B=2\n");
    }

    #[test]
    fn every_lost_line_is_found() {
        let text = "CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\n# CONFIG_D is not set\nCONFIG_E=4\n\
                    CONFIG_F=\"x\"\nCONFIG_G=0x0FF\n";
        let requests = parse("f", text).unwrap();
        let kept = "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_E=4\nCONFIG_F=\"x\"\n\
                    CONFIG_G=0xff\n";
        assert_eq!(lost(&requests, &parse_config(kept)), Vec::<&Request>::new());
        let changed = "CONFIG_A=m\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_D=y\nCONFIG_E=5\n\
                       CONFIG_F=\"y\"\nCONFIG_G=0xfe\n";
        assert_eq!(lost(&requests, &parse_config(changed)).len(), 7);
        assert_eq!(lost(&requests, &BTreeMap::new()).len(), 5);
    }

    #[test]
    fn what_is_rendered_is_read_again() {
        let requests = parse("f", "CONFIG_A=y\nCONFIG_B=\"x\"\n").unwrap();
        assert_eq!(parse("f", &render(&requests)).unwrap(), requests);
    }
}
