// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line of ours that makes a boot again. Pure.

use camino::Utf8Path;

use super::BootRequest;
use super::accel::AccelRequest;

/// The command for `request`, whose kernel was built with `preset`. Its steps, if it has any, are
/// in the file `steps`.
pub fn boot(request: &BootRequest, preset: &str, steps: &Utf8Path) -> String {
    let cpus = request.cpus.to_string();
    let mut words = vec!["cargo", "xtask", "boot", "--kernel", &request.label];
    words.extend(["--preset", preset, "--cpus", &cpus]);
    words.extend(match request.parallel {
        None => [].as_slice(),
        Some(false) => &["--parallel", "0"],
        Some(true) => &["--parallel", "1"],
    });
    let window = request.window.map(|window| window.to_string());
    if let Some(window) = &window {
        words.extend(["--window", window]);
    }
    let memory = request.memory_mib.map(|mib| mib.to_string());
    if let Some(memory) = &memory {
        words.extend(["--memory", memory]);
    }
    let topology = request.topology.map(|topology| topology.to_string());
    if let Some(topology) = &topology {
        words.extend(["--topology", topology]);
    }
    words.extend(match request.accel {
        _ if request.icount => ["--icount"].as_slice(),
        AccelRequest::Kvm => &["--accel", "kvm"],
        AccelRequest::Tcg => &["--accel", "tcg"],
        AccelRequest::Auto => &[],
    });
    if let Some(profile) = &request.firmware {
        words.extend(["--firmware", &profile.name]);
    }
    let faults: Vec<String> = request.faults.iter().map(ToString::to_string).collect();
    words.extend(faults.iter().flat_map(|fault| ["--fault", fault]));
    if !request.append.is_empty() {
        words.extend(["--append", &request.append]);
    }
    if !request.steps.is_empty() {
        words.extend(["--steps", steps.as_str()]);
    }
    // None of ours holds the NUL that cannot be quoted.
    shlex::try_join(words).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bringup_model::profile::Profile;
    use guest_protocol::Action;

    use super::*;

    #[test]
    fn the_command_makes_the_same_boot() {
        let mut request = BootRequest::new("patched", "/k/Image", 4);
        request.parallel = Some(true);
        request.icount = true;
        request.append = "maxcpus=2 quiet".into();
        request.steps = vec![Action::Offline { cpu: 1 }.into()];
        request.firmware = Some(Profile::none());
        request.faults = vec!["cpu=1,kind=late,arg=5".parse().unwrap()];
        insta::assert_snapshot!(
            boot(&request, "guest", "/o/x.json".into()),
            @"cargo xtask boot --kernel patched --preset guest --cpus 4 --parallel 1 --icount --firmware none --fault 'cpu=1,kind=late,arg=5' --append 'maxcpus=2 quiet' --steps /o/x.json"
        );
    }
}
