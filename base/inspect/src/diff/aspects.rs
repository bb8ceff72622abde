//! What differs of files that are in both builds, and of what the headers say.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{Dependency, Evr};
use keel_rpm::{FileInfo, FileKind, PackageInfo};
use serde::Serialize;

use super::{Change, change};

/// One thing that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aspect {
    /// What it is: `content`, `mode`, `licence`.
    pub what: &'static str,
    /// In the old one; nothing if it had none.
    pub was: String,
    /// In the new one.
    pub is: String,
}

/// A file of both builds that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Where it is.
    pub path: String,
    /// What differs.
    pub aspects: Vec<Aspect>,
}

/// Files of both builds that differ, in the order of their paths.
pub(super) fn files(old: &PackageInfo, new: &PackageInfo) -> Vec<FileChange> {
    let before: BTreeMap<&str, &FileInfo> = old.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut changes: Vec<FileChange> = (new.files.iter())
        .filter_map(|file| {
            let aspects = of_file(before.get(file.path.as_str())?, file);
            let path = file.path.to_string();
            (!aspects.is_empty()).then_some(FileChange { path, aspects })
        })
        .collect();
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
}

fn of_file(old: &FileInfo, new: &FileInfo) -> Vec<Aspect> {
    let maybe = |text: Option<String>| text.unwrap_or_default();
    let texts = |file: &FileInfo| {
        [
            ("kind", kind(file.kind).to_owned()),
            ("content", maybe(file.digest.map(|digest| digest.to_string()))),
            ("size", file.size.to_string()),
            ("mode", format!("{:04o}", file.mode)),
            ("owner", format!("{}:{}", file.user, file.group)),
            ("target", maybe(file.link.clone())),
            (
                "hard link to",
                maybe(file.same_as.as_ref().map(ToString::to_string)),
            ),
            ("capabilities", maybe(file.caps.clone())),
            (
                "device",
                maybe(file.device.map(|(major, minor)| format!("{major}:{minor}"))),
            ),
            ("flags", format!("{:#x}", file.flags.0)),
            ("modified", file.mtime.to_string()),
        ]
    };
    aspects(texts(old), texts(new))
}

/// What the headers say that is no dependency and no file. Name, version and release are told elsewhere.
pub(super) fn header(old: &PackageInfo, new: &PackageInfo) -> Vec<Aspect> {
    let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
    let texts = |info: &PackageInfo| {
        [
            ("architecture", info.nevra.arch.to_string()),
            ("licence", info.licence.clone()),
            ("summary", info.summary.clone()),
            ("description", info.description.clone()),
            ("url", maybe(&info.url)),
            ("vendor", maybe(&info.vendor)),
            ("built", info.build_time.0.to_string()),
            ("build host", maybe(&info.build_host)),
            ("compressor", info.payload_compressor.clone()),
            (
                "text of scripts",
                info.scripts_digest
                    .map(|digest| digest.to_string())
                    .unwrap_or_default(),
            ),
        ]
    };
    aspects(texts(old), texts(new))
}

fn aspects<const N: usize>(
    old: [(&'static str, String); N],
    new: [(&'static str, String); N],
) -> Vec<Aspect> {
    let pairs = old.into_iter().zip(new);
    let differing = pairs.filter(|((_, was), (_, is))| was != is);
    differing
        .map(|((what, was), (_, is))| Aspect { what, was, is })
        .collect()
}

/// Requirements of other kinds that differ, by kind. The package's own version changes each time, and says nothing.
pub(super) fn relations(old: &PackageInfo, new: &PackageInfo) -> BTreeMap<&'static str, Change> {
    let lists = |info: &PackageInfo| {
        let of = |list: &[Dependency]| texts(list, &info.nevra.evr);
        [
            ("conflicts", of(&info.conflicts)),
            ("obsoletes", of(&info.obsoletes)),
            ("recommends", of(&info.recommends)),
            ("suggests", of(&info.suggests)),
            ("supplements", of(&info.supplements)),
            ("enhances", of(&info.enhances)),
        ]
    };
    let pairs = lists(old).into_iter().zip(lists(new));
    pairs
        .map(|((what, was), (_, is))| (what, change(was, is)))
        .filter(|(_, change)| !change.is_empty())
        .collect()
}

/// As text; those with the package's own version without it.
pub(super) fn texts(list: &[Dependency], own: &Evr) -> BTreeSet<String> {
    let text = |need: &Dependency| match &need.version {
        Some((_, evr)) if evr == own => need.name.clone(),
        _ => need.to_string(),
    };
    list.iter().map(text).collect()
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Regular => "file",
        FileKind::Directory => "folder",
        FileKind::Symlink => "link",
        FileKind::Fifo => "pipe",
        FileKind::Socket => "socket",
        FileKind::CharDevice => "character device",
        FileKind::BlockDevice => "block device",
    }
}
