//! Rules about who may do what with files.

use keel_rpm::FileKind;

use super::{Check, Report, Rule, Severity::*};
use crate::{Package, Policy};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "world-writable",
        severity: Error,
        what: "everybody may write a file, or a folder that has no sticky bit",
        why: "Any user of the machine could put there what others run or read.",
        remedy: "Set the mode in `%install` or with `%attr`; a folder for everybody has the mode 1777.",
        check: Check::Package(world_writable),
    },
    Rule {
        id: "setuid-file",
        severity: Error,
        what: "a file runs as its owner or group, whoever starts it (set-user-id, set-group-id)",
        why: "A mistake in it is a way to become root. The list of such files is short, and each is there for a reason that somebody \
              wrote down.",
        remedy: "Take the bit off (a service with a socket, or file capabilities, often do); else make an exception with the reason.",
        check: Check::Package(setuid),
    },
    Rule {
        id: "file-capabilities",
        severity: Error,
        what: "a file has capabilities that it gives to whoever starts it",
        why: "Capabilities are parts of what root may do; a mistake in the file gives them to everybody.",
        remedy: "Give them to a service in its unit; else make an exception with the reason.",
        check: Check::Package(capabilities),
    },
    Rule {
        id: "device-node",
        severity: Error,
        what: "a package ships a device node, socket or named pipe",
        why: "The kernel and services make them; one in a package is there before anybody guards it.",
        remedy: "Let devtmpfs, udev, tmpfiles.d or a socket unit make it.",
        check: Check::Package(device),
    },
    Rule {
        id: "unreadable-file",
        severity: Warning,
        what: "a file in `/usr` cannot be read by everybody",
        why: "Everybody can read the package: a mode does not hide what is in it, and programs of ordinary users fail. A set-user-id \
              program that nobody may read is an exception.",
        remedy: "Give the mode 0644 or 0755. What is secret is made on the machine, and lies in `/etc` or `/var`.",
        check: Check::Package(unreadable),
    },
    Rule {
        id: "absolute-symlink",
        severity: Warning,
        what: "a symbolic link inside of `/usr` names its target from the root",
        why: "In a tree that lies elsewhere (an image while it is made, a container's file system) it leads to the host's file.",
        remedy: "Make it relative: `ln -sr` in `%install`.",
        check: Check::Package(absolute),
    },
];

fn world_writable(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        let is_sticky_folder = file.kind == FileKind::Directory && file.mode & 0o1000 != 0;
        if file.mode & 0o2 != 0 && file.kind != FileKind::Symlink && !is_sticky_folder {
            report.file(package, &file.path, format!("its mode is {:04o}", file.mode));
        }
    }
}

fn setuid(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        if file.kind == FileKind::Regular && file.mode & 0o6000 != 0 {
            let text = format!("mode {:04o}, {}:{}", file.mode, file.user, file.group);
            report.file(package, &file.path, text);
        }
    }
}

fn capabilities(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        if let Some(caps) = file.caps.as_deref().filter(|caps| !matches!(*caps, "" | "=")) {
            report.file(package, &file.path, caps);
        }
    }
}

fn device(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        let what = match file.kind {
            FileKind::CharDevice | FileKind::BlockDevice => "a device node",
            FileKind::Socket => "a socket",
            FileKind::Fifo => "a named pipe",
            _ => continue,
        };
        report.file(package, &file.path, format!("it is {what}"));
    }
}

fn unreadable(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        let needed = match file.kind {
            FileKind::Regular => 0o444,
            FileKind::Directory => 0o555,
            _ => continue,
        };
        if file.path.as_str().starts_with("/usr/") && file.mode & needed != needed && !file.flags.is_ghost() {
            report.file(package, &file.path, format!("its mode is {:04o}", file.mode));
        }
    }
}

fn absolute(package: &Package, _: &Policy, report: &mut Report<'_>) {
    // What the running kernel has is there in no tree.
    const LIVE: [&str; 4] = ["/dev/", "/proc/", "/run/", "/sys/"];
    for file in &package.info().files {
        if let Some(target) = &file.link
            && target.starts_with('/')
            && file.path.as_str().starts_with("/usr/")
            && !LIVE.iter().any(|folder| target.starts_with(folder))
        {
            report.file(package, &file.path, format!("it points to `{target}`"));
        }
    }
}
