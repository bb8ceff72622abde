//! Rules about all packages of a repository together.

use std::collections::BTreeSet;

use keel_artefact::{Dependency, RootPath};
use keel_rpm::{FileInfo, FileKind};

use super::{Check, Report, Rule, Severity::*};
use crate::{Kind, Package, World};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "unmet-requirement",
        severity: Error,
        what: "a package requires what no package of the repository provides",
        why: "It cannot be installed.",
        remedy: "Build what provides it, or find why the requirement is there (`rpm -qp --requires`, a script's first line, a pkg-config file).",
        check: Check::Repository(unmet),
    },
    Rule {
        id: "file-conflict",
        severity: Error,
        what: "two packages have the same path, with different content, mode or owner",
        why: "rpm refuses to install both; an image would have one or the other.",
        remedy: "Move the file into a package that both require, rename one, or say `Conflicts:`.",
        check: Check::Repository(conflict),
    },
    Rule {
        id: "folder-differs",
        severity: Warning,
        what: "two packages have the same folder with different modes or owners",
        why: "Which one counts depends on the order in which they are installed.",
        remedy: "Let one package own it, and the others require that one; else say the same `%attr` in all.",
        check: Check::Repository(folder),
    },
    Rule {
        id: "unowned-folder",
        severity: Warning,
        what: "a file lies in a folder that neither its package owns, nor one that it requires",
        why: "Such a folder is made with whatever mode rpm finds fit, and stays when the package goes. (Those of `filesystem`, which comes \
              first on every machine, count always.)",
        remedy: "Own it with `%dir`, or require the package that does.",
        check: Check::Repository(unowned),
    },
    Rule {
        id: "dangling-symlink",
        severity: Warning,
        what: "a symbolic link leads to what neither its package has, nor one that it requires",
        why: "It leads nowhere on a machine that has no more than what was asked for.",
        remedy: "Require the package with the target, move the link there, or mend the target. Links into `/etc`, `/var`, `/run`, `/dev`, \
                 `/proc` and `/sys` are made for what comes later.",
        check: Check::Repository(dangling),
    },
];

fn unmet(world: &World<'_>, report: &mut Report<'_>) {
    for package in &world.packages {
        let mut told = BTreeSet::new();
        for need in &package.info().requires {
            if !world.is_met(need) && told.insert(need.to_string()) {
                report.package(package, format!("no package provides `{need}`"));
            }
        }
    }
}

/// What differs between two files of one path, if something does.
fn difference(one: &FileInfo, other: &FileInfo) -> Option<&'static str> {
    if one.kind != other.kind {
        return Some("kind");
    }
    if one.digest != other.digest
        || one.link != other.link
        || (one.size != other.size && one.kind == FileKind::Regular)
    {
        return Some("content");
    }
    // The mode of a link means nothing.
    if one.mode != other.mode && one.kind != FileKind::Symlink {
        return Some("mode");
    }
    ((&one.user, &one.group, &one.caps) != (&other.user, &other.group, &other.caps)).then_some("owner")
}

/// Does one say that it cannot be installed beside the other, or takes its place?
fn exclude_each_other(one: &Package, other: &Package) -> bool {
    let says = |this: &Package, that: &Package| {
        let against = |need: &Dependency| {
            that.info()
                .provides
                .iter()
                .any(|provide| need.is_satisfied_by(provide))
        };
        let info = this.info();
        info.conflicts.iter().chain(&info.obsoletes).any(against)
    };
    one.name() == other.name() || says(one, other) || says(other, one)
}

/// Calls `tell` for each two packages that have one path differently, and are meant for one machine.
fn different(world: &World<'_>, folders: bool, tell: &mut dyn FnMut(&Package, &Package, &FileInfo, &str)) {
    for (_, owners) in world.shared_paths() {
        let is_meant =
            |file: &FileInfo| (file.kind == FileKind::Directory) == folders && !file.flags.is_ghost();
        // What many have alike is compared once: those that have it alike, by the first file.
        let mut alike: Vec<(&FileInfo, Vec<usize>)> = Vec::new();
        for (second, other) in owners.iter().filter(|(_, file)| is_meant(file)) {
            let mut own = None;
            for (at, (one, members)) in alike.iter().enumerate() {
                let Some(what) = difference(one, other) else {
                    own = Some(at);
                    continue;
                };
                let second = world.packages[*second];
                let mut firsts = members.iter().map(|first| world.packages[*first]);
                if let Some(first) = firsts.find(|first| !exclude_each_other(first, second)) {
                    tell(second, first, other, what);
                }
            }
            match own {
                Some(at) => alike[at].1.push(*second),
                None => alike.push((other, vec![*second])),
            }
        }
    }
}

fn conflict(world: &World<'_>, report: &mut Report<'_>) {
    different(world, false, &mut |package, other, file, what| {
        report.file(
            package,
            &file.path,
            format!("`{}` has it with another {what}", other.name()),
        );
    });
}

fn folder(world: &World<'_>, report: &mut Report<'_>) {
    different(world, true, &mut |package, other, file, what| {
        report.file(
            package,
            &file.path,
            format!("`{}` has it with another {what}", other.name()),
        );
    });
}

fn unowned(world: &World<'_>, report: &mut Report<'_>) {
    for (index, package) in world.packages.iter().enumerate() {
        if package.facts.kind() != Kind::Binary {
            continue;
        }
        let mut folders: BTreeSet<RootPath> = BTreeSet::new();
        for file in package.info().files.iter().filter(|file| !file.flags.is_ghost()) {
            let mut folder = file.path.parent();
            while let Some(path) = folder.filter(|path| path.as_str() != "/") {
                folder = path.parent();
                if !folders.insert(path) {
                    break;
                }
            }
        }
        let is_own = |path: &RootPath| {
            world
                .owners(path.as_str())
                .iter()
                .any(|(owner, _)| *owner == index)
        };
        folders.retain(|path| !is_own(path));
        if folders.is_empty() {
            continue;
        }
        let closure = world.closure(index);
        for path in &folders {
            let owners = world.owners(path.as_str());
            if owners.iter().any(|(owner, _)| closure.contains(owner)) {
                continue;
            }
            let message = match owners.first() {
                Some((owner, _)) => format!(
                    "`{}` owns it, which is not required",
                    world.packages[*owner].name()
                ),
                None => "no package owns it".to_owned(),
            };
            report.file(package, path, message);
        }
    }
}

fn dangling(world: &World<'_>, report: &mut Report<'_>) {
    const LATER: [&str; 6] = ["/etc/", "/var/", "/run/", "/dev/", "/proc/", "/sys/"];
    for (index, package) in world.packages.iter().enumerate() {
        if package.facts.kind() != Kind::Binary {
            continue;
        }
        let mut closure = None;
        for file in &package.info().files {
            let (Some(target), Some(folder)) = (&file.link, file.path.parent()) else {
                continue;
            };
            let path = match target.starts_with('/') {
                true => target.clone(),
                false => plain(&format!("{folder}/{target}")),
            };
            if LATER.iter().any(|folder| format!("{path}/").starts_with(folder)) {
                continue;
            }
            let closure = closure.get_or_insert_with(|| world.closure(index));
            if !world.is_there(&path, closure) {
                report.file(
                    package,
                    &file.path,
                    format!("it leads to `{target}`, which is not there"),
                );
            }
        }
    }
}

/// A path without `.` and `..`.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
