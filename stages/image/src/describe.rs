//! What is to be said of a finished image on a page of its own: facts of its files, and what its last test found.
//!
//! All of it is read from what was built, not from what was asked for.

use std::path::Path;

use keel_artefact::{Arch, ImageName, Interrupt};
use keel_config::Image;
use serde::Serialize;

use crate::{
    Built,
    boot::{self, TestReport},
    caps,
    files::{self, Error, Files, Kind, diff},
    live, manifest,
};

/// The largest list of users that is read.
const LARGEST: u64 = 4 << 20;
/// Formats whose files are looked into, the cheapest first.
const FORMATS: [&str; 13] = [
    "squashfs",
    "erofs",
    "oci",
    "oci-archive",
    "tar",
    "wsl",
    "cpio",
    "raw",
    "vhd",
    "qcow2",
    "vhdx",
    "iso",
    "pxe",
];

/// Facts of an image.
#[derive(Debug, Serialize)]
pub struct Page {
    /// Its name.
    pub image: ImageName,
    /// The distribution's version.
    pub version: String,
    /// What it runs on.
    pub arch: Arch,
    /// What it is for, in one line.
    pub description: String,
    /// What it is for, in paragraphs of Markdown.
    pub purpose: Option<String>,
    /// Its files.
    pub files: Vec<manifest::File>,
    /// Its packages.
    pub packages: Vec<Package>,
    /// Bytes of all its files, each content once.
    pub installed: u64,
    /// Programs that run with more than their user has.
    pub privileged: Vec<Privileged>,
    /// Users with a shell, and a password or a key.
    pub logins: Vec<Login>,
    /// Units that are enabled.
    pub enabled: Vec<String>,
    /// The kernel's command line.
    pub cmdline: Option<String>,
    /// What something may come in by, as the last test found; none: it was not tested, or cannot tell.
    pub listening: Option<Vec<String>>,
    /// The last tests of just this image.
    pub tests: Vec<TestReport>,
}

/// A package of an image.
#[derive(Debug, Serialize)]
pub struct Package {
    /// Name, version, release and architecture.
    pub nevra: String,
    /// Bytes of its files; none: the image has no database that says so.
    pub size: Option<u64>,
}

/// A program that runs with more than its user has.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Privileged {
    /// Where it is.
    pub path: String,
    /// `set-user-ID`, `set-group-ID`, `cap_net_raw`.
    pub what: Vec<String>,
}

/// A user who can log in.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Login {
    /// The name.
    pub user: String,
    /// `password`, `no password`, `key`.
    pub with: Vec<&'static str>,
}

/// Reads what is to be said.
pub fn describe(image: &Image, built: &Built, scratch: &Path, interrupt: &Interrupt) -> Result<Page, Error> {
    // Of what the network gives, the initial RAM disk has the root.
    let is_read = |file: &&manifest::File| file.format != "pxe" || file.name.ends_with(".initrd");
    let of_format = |format: &&str| (built.files.iter().filter(is_read)).find(|file| file.format == **format);
    let Some(file) = FORMATS.iter().find_map(of_format) else {
        let source = std::io::Error::new(
            std::io::ErrorKind::Unsupported,
            "it has no format whose files are read",
        );
        let file = built.dir.clone();
        return Err(Error::Read { file, source });
    };
    let options = files::Options {
        partition: None,
        arch: built.arch,
        scratch,
    };
    let mut files = files::open(&built.dir.join(&file.name), &options, interrupt)?;
    if matches!(file.format.as_str(), "iso" | "pxe") {
        let root = scratch.join("root.img");
        let (id, size) = files.file(live::ROOT)?;
        let write = |source| Error::Write {
            what: root.display().to_string(),
            source,
        };
        let mut out = std::fs::File::create(&root).map_err(write)?;
        files.copy(id, size, &mut out)?;
        files = files::open(&root, &options, interrupt)?;
    }
    let sizes = diff::sizes(&mut files)?;
    let package = |package: &manifest::Package| {
        let nevra = &package.nevra;
        let size = sizes.get(&format!("{}.{}", nevra.name, nevra.arch)).copied();
        let nevra = nevra.to_string();
        Package { nevra, size }
    };
    let tests = boot::reports(built).map_err(Box::new)?;
    Ok(Page {
        image: built.image.clone(),
        version: built.version.clone(),
        arch: built.arch,
        description: image.description.clone(),
        purpose: image.purpose.clone(),
        files: built.files.clone(),
        packages: built.packages.iter().map(package).collect(),
        installed: installed(&files),
        privileged: privileged(&files),
        logins: logins(&mut files)?,
        enabled: enabled(&files),
        cmdline: built.boot.as_ref().map(|boot| boot.cmdline.clone()),
        listening: tests.iter().find_map(|test| test.listening.clone()),
        tests,
    })
}

fn installed(files: &Files) -> u64 {
    let mut seen = std::collections::BTreeMap::new();
    for entry in files.entries().values() {
        if let Kind::File { id, size } = entry.kind {
            seen.insert(id, size);
        }
    }
    seen.values().sum()
}

fn privileged(files: &Files) -> Vec<Privileged> {
    let mut all = Vec::new();
    for (path, entry) in files.entries() {
        if !matches!(entry.kind, Kind::File { .. }) {
            continue;
        }
        let mut what = Vec::new();
        for (bit, name) in [(0o4000, "set-user-ID"), (0o2000, "set-group-ID")] {
            if entry.mode & bit != 0 {
                what.push(name.to_owned());
            }
        }
        if let Some(value) = entry.xattrs.get("security.capability") {
            what.extend(
                caps::told(value).unwrap_or_else(|| vec!["capabilities of an unknown form".to_owned()]),
            );
        }
        if !what.is_empty() {
            let path = path.to_string();
            all.push(Privileged { path, what });
        }
    }
    all
}

fn text(files: &mut Files, path: &str) -> Result<String, Error> {
    let Ok((id, size)) = files.file(path) else {
        return Ok(String::new());
    };
    let bytes = files.whole(id, size, LARGEST)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// By passwd(5) and shadow(5).
fn logins(files: &mut Files) -> Result<Vec<Login>, Error> {
    let (passwd, shadow) = (text(files, "/etc/passwd")?, text(files, "/etc/shadow")?);
    let mut all = Vec::new();
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [user, password, _, _, _, home, shell] = fields[..] else {
            continue;
        };
        if shell.ends_with("/nologin") || shell.ends_with("/false") {
            continue;
        }
        let in_shadow = || {
            let line = shadow
                .lines()
                .find_map(|line| line.strip_prefix(user)?.strip_prefix(':'));
            line.and_then(|line| line.split(':').next()).unwrap_or("*")
        };
        let mut with = Vec::new();
        match if password == "x" { in_shadow() } else { password } {
            "" => with.push("no password"),
            locked if locked.starts_with(['!', '*']) => {}
            _ => with.push("password"),
        }
        if files.file(&format!("{home}/.ssh/authorized_keys")).is_ok() {
            with.push("key");
        }
        if !with.is_empty() {
            let user = user.to_owned();
            all.push(Login { user, with });
        }
    }
    Ok(all)
}

/// Links of folders that say what a unit wants, below /etc: those of /usr are what packages always have.
fn enabled(files: &Files) -> Vec<String> {
    let is_wish = |folder: &str| folder.ends_with(".wants") || folder.ends_with(".requires");
    let mut all = Vec::new();
    for (path, entry) in files.entries() {
        let unit = path
            .as_str()
            .strip_prefix("/etc/systemd/system/")
            .and_then(|rest| rest.split_once('/'));
        if let (Some((folder, unit)), Kind::Symlink(_)) = (unit, &entry.kind)
            && is_wish(folder)
        {
            all.push(unit.to_owned());
        }
    }
    all.sort();
    all.dedup();
    all
}
