// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line: what users type, and which verb it becomes.

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

use crate::context::Context;
use crate::error::Failure;
use crate::process;
use crate::verbs;

/// Fetch, patch, build, boot and measure arm64 CPU bring-up.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
#[command(
    after_help = "KEY=VAL anywhere on the command line, such as LLVM=-19, is passed to every make."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Args)]
struct Common {
    /// Start from this Linux tree (git checkout or plain); it is never modified
    #[arg(long, global = true, value_name = "DIR")]
    tree: Option<Utf8PathBuf>,
    /// Keep sources, work trees and builds here instead of in the user's cache folder
    #[arg(long, global = true, value_name = "DIR", env = "BRINGUP_CACHE")]
    cache: Option<Utf8PathBuf>,
    /// Write results here instead of target/results
    #[arg(long, global = true, value_name = "DIR")]
    output_dir: Option<Utf8PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Demo(verbs::demo::Demo),
    Test(verbs::test::Test),
    Setup(verbs::setup::Setup),
    Doctor(verbs::doctor::Doctor),
    Fetch(verbs::fetch::Fetch),
    Apply(verbs::apply::Apply),
    Build(verbs::build::Build),
    Boot(Box<verbs::boot::Boot>),
    Bench(Box<verbs::bench::Bench>),
    Compare(verbs::compare::Compare),
    Report(verbs::report::Report),
    Collect(verbs::collect::Collect),
    Ci(verbs::ci::Ci),
    Faults(verbs::faults::Faults),
    Firmware(verbs::firmware::Firmware),
    KvmLab(Box<verbs::kvm_lab::KvmLab>),
    Series(verbs::series::SeriesVerb),
    Soak(verbs::soak::Soak),
    Clean(verbs::clean::Clean),
}

/// Takes the `KEY=VAL` make variables out of `arguments`, wherever they stand before a `--`.
/// A key is an upper-case identifier, so that `--output=FILE` and file names stay arguments.
fn split_make_variables(
    arguments: impl IntoIterator<Item = String>,
) -> (Vec<String>, Vec<(String, String)>) {
    let mut rest: Vec<String> = Vec::new();
    let mut variables = Vec::new();
    let mut after_option = false;
    let mut arguments = arguments.into_iter();
    for argument in arguments.by_ref() {
        if argument == "--" {
            rest.push(argument);
            break;
        }
        match argument.split_once('=') {
            Some((key, value)) if !after_option && is_make_key(key) => {
                variables.push((key.to_owned(), value.to_owned()));
            }
            _ => {
                after_option = takes_key_value(&argument);
                rest.push(argument);
                continue;
            }
        }
        after_option = false;
    }
    rest.extend(arguments);
    (rest, variables)
}

fn is_make_key(key: &str) -> bool {
    let mut characters = key.chars();
    characters.next().is_some_and(|first| first.is_ascii_uppercase())
        && characters.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Options whose value may itself look like a make variable.
fn takes_key_value(argument: &str) -> bool {
    matches!(argument, "--append" | "--arms" | "--meta" | "--module" | "--only")
}

/// The longest time limit, in minutes: a year.
pub const YEAR: u64 = 525_600;

/// Parses the command line and runs its verb.
pub fn run() -> Result<()> {
    let arguments = std::env::args_os().map(|argument| {
        let wrong = |argument| Failure::Usage(format!("the argument {argument:?} is not UTF-8"));
        argument.into_string().map_err(wrong)
    });
    let arguments: Vec<String> = arguments.collect::<Result<_, Failure>>()?;
    let (arguments, make_variables) = split_make_variables(arguments);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // Exits with 0 for --help and --version, with 2 for bad usage.
        Err(error) => error.exit(),
    };
    process::install_signal_handler()?;

    let mut context = Context::new(cli.common.cache, cli.common.output_dir)?;
    context.make_variables = make_variables;
    if context.make_variables.iter().any(|(key, _)| key == "KDIR") {
        eprintln!(
            "note: KDIR is left to `make -C rust-module`; here the module is built for the kernel \
             that is built"
        );
    }
    if let Some(tree) = cli.common.tree {
        let tree = tree.canonicalize_utf8().map_err(|error| {
            Failure::Usage(format!("--tree {tree}: {error}; give the folder of a Linux tree"))
        })?;
        context.tree = Some(tree);
    }
    match cli.verb {
        Verb::Demo(verb) => verb.run(&context),
        Verb::Test(verb) => verb.run(&context),
        Verb::Setup(verb) => verb.run(&context),
        Verb::Doctor(verb) => verb.run(&context),
        Verb::Fetch(verb) => verb.run(&context),
        Verb::Apply(verb) => verb.run(&context),
        Verb::Build(verb) => verb.run(&context),
        Verb::Boot(verb) => verb.run(&context),
        Verb::Bench(verb) => verb.run(&context),
        Verb::Compare(verb) => verb.run(&context),
        Verb::Report(verb) => verb.run(&context),
        Verb::Collect(verb) => verb.run(&context),
        Verb::Ci(verb) => verb.run(&context),
        Verb::Faults(verb) => verb.run(&context),
        Verb::Firmware(verb) => verb.run(&context),
        Verb::KvmLab(verb) => verb.run(&context),
        Verb::Series(verb) => verb.run(&context),
        Verb::Soak(verb) => verb.run(&context),
        Verb::Clean(verb) => verb.run(&context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn make_variables_are_told_from_options() {
        let words = ["xtask", "boot", "LLVM=-19", "--append", "FOO=1", "--json=x", "a=b", "V=1"];
        let (rest, variables) = split_make_variables(words.map(String::from));
        assert_eq!(rest, ["xtask", "boot", "--append", "FOO=1", "--json=x", "a=b"]);
        assert_eq!(
            variables,
            [("LLVM".to_owned(), "-19".to_owned()), ("V".to_owned(), "1".to_owned())]
        );
    }
}
