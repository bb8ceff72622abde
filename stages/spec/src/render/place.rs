//! Where rendered SPECs lie: `FOLDER/<first letter>/<name>/`, replaced at once or not at all. Rules R80 to R86.

use std::{
    collections::BTreeMap,
    io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use keel_artefact::{Fingerprint, Sha256};
use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};
use serde::Serialize;

use super::Error;

/// What lies in the folder of a component that could not be rendered.
pub const MARKER: &str = "RENDER_FAILED";
/// What is in it: nothing that differs from run to run.
pub const MARKER_TEXT: &str = "Rendering failed. See azldev logs for details.\n";

/// Folders in folders, at most.
const DEEPEST: usize = 64;

/// A file that is not as it was rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// Its path in the component's folder.
    pub file: String,
    /// How it differs.
    pub how: How,
}

/// See [`Difference`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It is new.
    Added,
    /// It is no more.
    Removed,
    /// It is another one.
    Changed,
}

/// The folder of a component, relative to that of all; an error for a name that is no name.
pub fn of(name: &str) -> Result<PathBuf, Error> {
    let first = name.chars().next().filter(|c| c.is_ascii());
    let plain = !name.contains(['/', '\\', '\0']) && !matches!(name, "." | "..");
    match first.filter(|_| plain) {
        Some(first) => Ok(Path::new(&first.to_ascii_lowercase().to_string()).join(name)),
        None => Err(Error::Name {
            name: name.to_owned(),
        }),
    }
}

/// The name that a link beside a component's folder has, for those who ask for it as an address writes it; none where that
/// is the name itself.
pub fn alias(name: &str) -> Option<String> {
    let mut alias = String::new();
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => {
                alias.push(char::from(byte))
            }
            b' ' => alias.push('+'),
            _ => alias.push_str(&format!("%{byte:02X}")),
        }
    }
    (alias != name).then_some(alias)
}

/// How what lies at `old` differs from `new`. A folder that is not there has no files.
pub fn differences(old: &Path, new: &Path) -> io::Result<Vec<Difference>> {
    let (before, after) = (content(old)?, content(new)?);
    let mut differences = Vec::new();
    let mut add = |file: &String, how| {
        differences.push(Difference {
            file: file.clone(),
            how,
        });
    };
    for (file, what) in &after {
        match before.get(file) {
            None => add(file, How::Added),
            Some(other) if other != what => add(file, How::Changed),
            Some(_) => {}
        }
    }
    for file in before.keys().filter(|file| !after.contains_key(*file)) {
        add(file, How::Removed);
    }
    differences.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(differences)
}

/// The digest of all files and links in a folder, as [`differences`] compares them. A folder that is not there has none.
pub fn digest(folder: &Path) -> io::Result<Sha256> {
    let mut print = Fingerprint::new("folder/1");
    for (file, what) in content(folder)? {
        print.add("file", file);
        match what {
            Content::File(digest) => print.add_digest("bytes", &digest),
            Content::Link(target) => print.add("link", target.as_os_str().as_bytes()),
            Content::Other => print.add("other", ""),
        };
    }
    Ok(print.finish())
}

#[derive(PartialEq, Eq)]
enum Content {
    File(Sha256),
    Link(PathBuf),
    Other,
}

fn content(folder: &Path) -> io::Result<BTreeMap<String, Content>> {
    let mut found = BTreeMap::new();
    if folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        walk(folder, "", 0, &mut found)?;
    }
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, depth: usize, out: &mut BTreeMap<String, Content>) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < DEEPEST {
            walk(&entry.path(), &format!("{path}/"), depth + 1, out)?;
            continue;
        }
        let content = if kind.is_file() {
            Content::File(Sha256::of_file(&entry.path())?.0)
        } else if kind.is_symlink() {
            Content::Link(fs_err::read_link(entry.path())?)
        } else {
            Content::Other
        };
        out.insert(path, content);
    }
    Ok(())
}

/// Puts the folder `new` where `name` belongs below `specs`, in one step, and makes the link beside it. `new` is gone
/// afterwards.
pub fn put(specs: &Path, name: &str, new: &Path) -> Result<(), Error> {
    let at = specs.join(of(name)?);
    let above = at.parent().unwrap_or(specs);
    fs_err::create_dir_all(above)?;
    let beside = above.join(format!(".{name}.keel-new-{}", std::process::id()));
    remove(&beside)?;
    if fs_err::rename(new, &beside).is_err() {
        copy(new, &beside)?;
        remove(new)?;
    }
    match rustix::fs::renameat_with(CWD, &beside, CWD, &at, RenameFlags::EXCHANGE) {
        Ok(()) => remove(&beside)?,
        Err(Errno::NOENT) => fs_err::rename(&beside, &at)?,
        // Not every file system can exchange two folders.
        Err(_) => {
            let old = above.join(format!(".{name}.keel-old-{}", std::process::id()));
            remove(&old)?;
            fs_err::rename(&at, &old)?;
            fs_err::rename(&beside, &at)?;
            remove(&old)?;
        }
    }
    link(specs, name)
}

/// Makes the link beside a component's folder, if it should have one and has none.
pub fn link(specs: &Path, name: &str) -> Result<(), Error> {
    let Some(alias) = alias(name) else { return Ok(()) };
    let path = specs.join(of(name)?).with_file_name(alias);
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_symlink() => return Err(Error::Occupied { path }),
        Ok(_) if fs_err::read_link(&path)? == Path::new(name) => return Ok(()),
        Ok(_) => fs_err::remove_file(&path)?,
        Err(_) => {}
    }
    Ok(fs_err::os::unix::fs::symlink(name, path)?)
}

/// Makes `name`'s folder say that it could not be rendered, and nothing else. Whether it did not say so before comes back;
/// with `check`, nothing is written.
pub fn fail(specs: &Path, name: &str, check: bool) -> Result<bool, Error> {
    let at = specs.join(of(name)?);
    let alone = says_failed(&at)?;
    if !alone && !check {
        let new = at.with_file_name(format!(".{name}.keel-failed-{}", std::process::id()));
        remove(&new)?;
        fs_err::create_dir_all(&new)?;
        fs_err::write(new.join(MARKER), MARKER_TEXT)?;
        put(specs, name, &new)?;
    }
    Ok(!alone)
}

/// Does a folder say that its component could not be rendered, and nothing else?
pub(super) fn says_failed(folder: &Path) -> io::Result<bool> {
    let marked = fs_err::read(folder.join(MARKER)).is_ok_and(|text| text == MARKER_TEXT.as_bytes());
    Ok(marked && fs_err::read_dir(folder)?.count() == 1)
}

/// Copies a folder: files with their permissions, links that stay inside it; nothing of git's.
pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    copy_folder(from, to, 0)?;
    match keel_store::links::first_outside(to)? {
        None => Ok(()),
        Some(link) => Err(Error::Link {
            path: from.join(link),
        }),
    }
}

fn copy_folder(from: &Path, to: &Path, depth: usize) -> Result<(), Error> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let target = to.join(&name);
        if name == ".git" {
            continue;
        }
        if depth > DEEPEST {
            return Err(Error::Deep { path: entry.path() });
        }
        if kind.is_dir() {
            copy_folder(&entry.path(), &target, depth + 1)?;
        } else if kind.is_symlink() {
            fs_err::os::unix::fs::symlink(fs_err::read_link(entry.path())?, target)?;
        } else if kind.is_file() {
            fs_err::copy(entry.path(), &target)?;
            let mode = entry.metadata()?.permissions().mode() & 0o777;
            fs_err::set_permissions(&target, std::fs::Permissions::from_mode(mode | 0o200))?;
        } else {
            return Err(Error::Link { path: entry.path() });
        }
    }
    Ok(())
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(metadata) if metadata.is_dir() => fs_err::remove_dir_all(path),
        _ => fs_err::remove_file(path),
    }
}
