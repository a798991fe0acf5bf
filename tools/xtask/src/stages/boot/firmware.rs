// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Firmware profiles: those that come with the tools, and those of the user's.

use anyhow::Result;
use bringup_model::profile::Profile;
use camino::Utf8Path;

use crate::context::Context;
use crate::error::Failure;

/// Where the profiles lie that come with the tools, below the repository.
const FOLDER: &str = "tools/firmware-profiles";
const EXTENSION: &str = "toml";

/// The profile of that name, or in that file: a path has a slash or ends in `.toml`.
///
/// # Errors
///
/// There is none, or it is not as profiles are: bad usage.
pub fn find(context: &Context, name: &str) -> Result<Profile> {
    let path = Utf8Path::new(name);
    if name.contains('/') || path.extension() == Some(EXTENSION) {
        let text = fs_err::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("--firmware: {error}")))?;
        let name = path.file_stem().unwrap_or(name);
        return Profile::parse(name, &text).map_err(|error| Failure::Usage(error).into());
    }
    let all = all(context)?;
    let names: Vec<&str> = all.iter().map(|profile| profile.name.as_str()).collect();
    let text = format!(
        "there is no firmware profile `{name}`; there are {}; or give a file of your own, as \
         ./{name}.toml",
        names.join(", ")
    );
    let found = all.into_iter().find(|profile| profile.name == name);
    Ok(found.ok_or(Failure::Usage(text))?)
}

/// The profiles that come with the tools, by name.
pub fn all(context: &Context) -> Result<Vec<Profile>> {
    let mut profiles = Vec::new();
    for entry in context.repo.join(FOLDER).read_dir_utf8()? {
        let entry = entry?;
        if entry.path().extension() == Some(EXTENSION) {
            let text = fs_err::read_to_string(entry.path())?;
            let name = entry.path().file_stem().unwrap_or_default();
            profiles.push(Profile::parse(name, &text).map_err(Failure::Usage)?);
        }
    }
    profiles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(profiles)
}
