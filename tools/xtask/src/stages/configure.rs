// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stage 3: a kernel configuration from a preset of fragments, with every line accounted for.
//!
//! `make allnoconfig` starts from nothing and takes the fragments' lines on top, resolving
//! dependencies: those that cannot be met it drops without a word. So every requested line is
//! compared with the result.

mod fragment;
mod kconfig;
mod presets;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use self::fragment::Request;
use self::kconfig::Kconfig;
use self::presets::Presets;
use super::Kernel;
use super::apply::Tree;
use super::fetch::sha256_of;
use super::kbuild::{self, Kbuild};
use crate::context::Context;
use crate::error::Failure;

/// Configuring takes seconds; the first time it compiles Kconfig.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// A configured build folder.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The tree that it is a build folder of.
    pub tree: Tree,
    /// The folder of this build: objects, module, logs.
    pub home: Utf8PathBuf,
    /// The build folder for make (`O=`).
    pub objects: Utf8PathBuf,
    /// The preset's name.
    pub preset: String,
    /// Variables for make that the preset asks for.
    make: BTreeMap<String, String>,
    /// SHA-256 of the final `.config`.
    pub config_sha256: String,
}

impl Configured {
    /// The final `.config`.
    pub fn config(&self) -> Utf8PathBuf {
        self.objects.join(".config")
    }

    /// The kernel's make for this build.
    pub fn kbuild(&self, context: &Context) -> Result<Kbuild> {
        Kbuild::new(&with_variables(context, &self.make))
    }

    /// The lock that two runs of this build wait for each other with.
    pub fn lock_name(&self) -> String {
        lock_name(&self.tree, &self.preset)
    }
}

/// The presets there are, for people.
pub fn list(context: &Context) -> Result<String> {
    Ok(load_presets(context)?.list())
}

/// An error if there is no such preset.
pub fn require(context: &Context, preset: &str) -> Result<()> {
    load_presets(context)?.get(preset)?;
    Ok(())
}

/// Configures `tree` by `preset`. A requested line that the result lacks is an error.
pub fn run(context: &Context, tree: &Tree, preset: &str) -> Result<Configured> {
    let presets = load_presets(context)?;
    let requests = requests(context, tree, preset)?;
    let variables = presets.get(preset)?.make.clone();
    let kbuild = Kbuild::new(&with_variables(context, &variables))?;
    let home = match &kbuild.output {
        Some(output) => output.join(format!("{}-{preset}", tree.name())),
        None => tree.home().join(preset),
    };
    let objects = home.join("objects");
    let config = objects.join(".config");
    fs_err::create_dir_all(&objects)?;
    let _lock = context.lock(&lock_name(tree, preset))?;
    let _tree = tree.hold(context)?;

    let requested = home.join("requested.config");
    let text = fragment::render(&requests);
    // What the configuration came from and what it was; not there while it is being made.
    let stamp_file = home.join("configured");
    let stamp = |config_sha256: &str| {
        format!("{config_sha256}\n{}\n{}{text}", tree.key, kbuild.fingerprint())
    };
    let old = fs_err::read_to_string(&stamp_file).unwrap_or_default();
    let current = sha256_of(&config).unwrap_or_default();
    if old != stamp(&current) {
        let _ = fs_err::remove_file(&stamp_file);
        fs_err::write(&requested, &text)?;
        let mut make = kbuild.make(tree, &objects);
        make.arg("allnoconfig").env("KCONFIG_ALLCONFIG", &requested);
        let what = format!("configuring {} with {preset}", tree.kernel);
        kbuild::run(make, &what, &home.join("configure.log"), LIMIT)?;
        account_for(tree, &requests, &config)?;
        fs_err::write(&stamp_file, stamp(&sha256_of(&config)?))?;
    }
    Ok(Configured {
        tree: tree.clone(),
        home,
        objects,
        preset: preset.to_owned(),
        make: variables,
        config_sha256: sha256_of(&config)?,
    })
}

/// The same context with make variables of a preset, which those of the user go over.
fn with_variables(context: &Context, variables: &BTreeMap<String, String>) -> Context {
    let mut context = context.clone();
    let own = std::mem::take(&mut context.make_variables);
    let of_preset = variables.iter().map(|(key, value)| (key.clone(), value.clone()));
    context.make_variables = of_preset.chain(own).collect();
    context
}

fn lock_name(tree: &Tree, preset: &str) -> String {
    format!("build-{}-{preset}", tree.name())
}

fn load_presets(context: &Context) -> Result<Presets> {
    let file = context.repo.join("kconfig-fragments/presets.toml");
    Ok(Presets::parse(&fs_err::read_to_string(file)?)?)
}

/// All lines that `preset` asks of `tree`.
fn requests(context: &Context, tree: &Tree, preset: &str) -> Result<Vec<Request>> {
    let presets = load_presets(context)?;
    let mut fragments = Vec::new();
    let mut options: Option<Kconfig> = None;
    let preset_name = preset;
    let preset = presets.get(preset)?;
    for name in &preset.fragments {
        if let Some(fragment) = presets.fragments.get(name) {
            // With our series on it the tree must have the option: its absence is an error then.
            let has = match tree.kernel {
                Kernel::Patched => true,
                Kernel::Base if !fragment.not_in_base => true,
                _ => options.get_or_insert_with(|| read_options(&tree.dir)).has(&fragment.needs),
            };
            if !has {
                continue;
            }
        }
        let file = format!("{name}.config");
        let path = context.repo.join("kconfig-fragments").join(&file);
        let text = fs_err::read_to_string(&path).map_err(|error| {
            Failure::Usage(format!("the preset {preset_name} names the fragment {name}: {error}"))
        })?;
        fragments.push(fragment::parse(&file, &text)?);
    }
    fragment::override_first(&mut fragments, &preset.overrides);
    Ok(fragment::merge(fragments)?)
}

/// Whether the tree knows the option `symbol`, which is given without `CONFIG_`.
pub fn has_option(tree: &Tree, symbol: &str) -> bool {
    read_options(&tree.dir).has(symbol)
}

fn read_options(tree: &Utf8Path) -> Kconfig {
    // Some few files there are not UTF-8.
    let mut read = |path: &str| {
        Some(String::from_utf8_lossy(&fs_err::read(tree.join(path)).ok()?).into_owned())
    };
    Kconfig::parse("Kconfig", &mut read)
}

/// An error unless the file `config` has all of `requests`.
fn account_for(tree: &Tree, requests: &[Request], config: &Utf8Path) -> Result<()> {
    let values: BTreeMap<String, String> = fragment::parse_config(&fs_err::read_to_string(config)?);
    let lost = fragment::lost(requests, &values);
    if lost.is_empty() {
        return Ok(());
    }
    let options = read_options(&tree.dir);
    let mut text = String::from("the configuration lacks what was asked for:");
    for request in lost {
        let Request { symbol, value, .. } = request;
        text += &format!(
            "\n  {}: CONFIG_{symbol}={value} came out as {}: {}",
            request.place(),
            fragment::value_in(&values, symbol),
            options.explain(symbol, value, &values)
        );
        if symbol == "RUST" {
            text += "\n    (`cargo xtask doctor` says what the host lacks for Rust in the kernel)";
        }
    }
    bail!(Failure::Check(text))
}
