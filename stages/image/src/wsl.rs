//! What a distribution for the Windows Subsystem for Linux has besides its files: how it is installed and started.
//!
//! Format: <https://learn.microsoft.com/windows/wsl/build-custom-distro> (WSL 2.4.4 and later) and
//! <https://learn.microsoft.com/windows/wsl/wsl-config>. Files that packages bring stay as they are.

use std::fmt::Write as _;

use keel_artefact::{Epoch, RootPath};
use keel_config::Image;

use crate::{
    Error,
    accounts::root_path,
    finalise::Make,
    tree::{Spool, Tree},
};

/// How it is installed.
const DISTRIBUTION: &str = "/etc/wsl-distribution.conf";
/// How it is started.
const CONF: &str = "/etc/wsl.conf";
/// Where packages put units.
const SHIPPED: &str = "/usr/lib/systemd/system";
/// Where a link to /dev/null keeps systemd from starting a unit.
const MASKED: &str = "/etc/systemd/system";
/// Units that the documentation says not to start: WSL does what they do, or they undo what it did.
const UNITS: [&str; 9] = [
    "NetworkManager.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-tmpfiles-clean.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup.service",
    "tmp.mount",
];

/// The files, as a tree over that of the image.
pub fn files(tree: &Tree, image: &Image, distro: &str, clock: Epoch) -> Result<Tree, Error> {
    let wsl = &image.wsl;
    for (key, path) in [
        ("oobe-command", &wsl.oobe_command),
        ("icon", &wsl.icon),
        ("terminal-profile", &wsl.terminal_profile),
    ] {
        if let Some(path) = path
            && tree.file(path).is_none()
        {
            return Err(Error::Missing {
                image: image.name.to_string(),
                what: format!("file `{path}`"),
                hint: format!("`{key}` of `[wsl]` names it"),
            });
        }
    }
    let mut more = Tree::new(Spool::empty(), clock.0);
    let mut make = Make::new(&mut more, clock);
    make.file(&root_path(DISTRIBUTION), 0o644, distribution(image, distro));
    let systemd = image.capabilities.systemd;
    make.file(&root_path(CONF), 0o644, format!("[boot]\nsystemd = {systemd}\n"));
    for unit in UNITS.iter().filter(|_| systemd) {
        let unit_in = |folder| {
            let path = root_path(folder).join(unit);
            path.expect("the name of a unit is a part of a path")
        };
        if tree.follow(&unit_in(SHIPPED)).is_some() {
            make.link(&unit_in(MASKED), "/dev/null");
        }
    }
    Ok(more)
}

fn distribution(image: &Image, distro: &str) -> String {
    let wsl = &image.wsl;
    let name = wsl.default_name.as_deref().unwrap_or(distro);
    let mut text = "[oobe]\n".to_owned();
    let line = |text: &mut String, key: &str, path: &Option<RootPath>| {
        if let Some(path) = path {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{key} = {path}");
        }
    };
    line(&mut text, "command", &wsl.oobe_command);
    if let Some(uid) = wsl.default_uid {
        let _ = writeln!(text, "defaultUid = {uid}");
    }
    let _ = write!(text, "defaultName = {name}\n\n[shortcut]\nenabled = true\n");
    line(&mut text, "icon", &wsl.icon);
    text.push_str("\n[windowsterminal]\nenabled = true\n");
    line(&mut text, "ProfileTemplate", &wsl.terminal_profile);
    text
}
