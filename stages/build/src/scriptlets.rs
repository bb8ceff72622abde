//! What scriptlets of foreign packages did: the difference between the tree that a real transaction gave and the plain trees of
//! its packages.
//!
//! Owners are not compared: all files of a root belong to one user. Nor are times.
//!
//! Scriptlets wrote the tree: nothing is read, removed or even looked at through a link of theirs ([`Beneath`]). A file of theirs that
//! takes no room on the disk (sparse) may be of any size: how much is read is [bounded](bound), and the user may end it at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Metadata,
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use keel_artefact::{Epoch, Fingerprint, Interrupt, Sha256, format};
use keel_host::rpmdb;
use keel_sandbox::{Beneath, Found};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of [`Changes`] on disk.
const FORMAT: format::Version = format::Version(1);

/// Files of users. A root has stage0's, whatever packages ship; to them is added what scriptlets added.
const USERS: [&str; 2] = ["etc/passwd", "etc/group"];

/// Folders of merged /usr: `/lib` is `/usr/lib`.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Folders that the loader's and rpm's own files are in: no two runs give the same ones.
const PASSING: [&str; 2] = ["var/cache/ldconfig", "var/lib/rpm"];

/// Bytes of the largest file of users that is read.
const MOST: u64 = 16 << 20;

/// GiB of all files that a transaction leaves, by the sizes that they say: all are read. What may be written to the disk
/// ([`keel_sandbox::Limits::of_a_build`]) is a third of it.
pub(crate) const MOST_LEFT: u64 = 64;

/// Bytes that are compared at once.
const BLOCK: u64 = 64 << 10;

/// What the scriptlets and triggers of a set of packages changed. Paths are relative to the root, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Version of this format.
    pub format: format::Version,
    /// The packages that have some, and which.
    pub packages: BTreeMap<String, Vec<String>>,
    /// Files, links and folders that no package ships.
    pub added: BTreeSet<String>,
    /// What packages ship with other content, target or permissions.
    pub changed: BTreeSet<String>,
    /// What packages ship, or stage0 has, and was removed.
    pub removed: BTreeSet<String>,
    /// What rpm warned of: a `%post` that failed does not fail the transaction.
    pub warnings: Vec<String>,
}

/// What a build sees of the scriptlets of its root's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// There are none.
    Nothing,
    /// What they made has this digest.
    Made(Sha256),
    /// They have not run in this store.
    NotRun,
}

impl Changes {
    /// Compares what was installed with the layers of its packages, the first on top.
    pub(crate) fn of(
        installed: &Path,
        layers: &[PathBuf],
        packages: BTreeMap<String, Vec<String>>,
        warnings: Vec<String>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let (root, below) = (Beneath::open(installed)?, opened(layers)?);
        for folder in PASSING {
            root.remove(Path::new(folder))?;
        }
        let mut new = Self {
            format: FORMAT,
            packages,
            added: BTreeSet::new(),
            changed: BTreeSet::new(),
            removed: BTreeSet::new(),
            warnings,
        };
        walk(installed, interrupt, &mut |path, metadata| {
            let name = named(installed, path);
            // overlayfs: what was removed from the layers below (whiteout).
            if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
                new.removed.insert(name);
                return Ok(());
            }
            match shipped(&below, &name)? {
                // On the way to something, or to the database, which was taken out.
                None if metadata.is_dir() && fs_err::read_dir(path)?.next().is_some() => {}
                None if Path::new(&rpmdb::FOLDER[1..]).starts_with(&name) => {}
                None => drop(new.added.insert(name)),
                Some(before) if metadata.is_dir() && before.metadata().is_dir() => {}
                Some(before) => {
                    let now = root.find(path.strip_prefix(installed).unwrap_or(path))?;
                    if now.map_or(Ok(true), |now| differ(&now, &before, interrupt))? {
                        new.changed.insert(name);
                    }
                }
            }
            Ok(())
        })?;
        for layer in layers {
            walk(layer, interrupt, &mut |path, _| {
                let name = merged(&named(layer, path));
                if !root.has(Path::new(&name))? {
                    new.removed.insert(name);
                }
                Ok(())
            })?;
        }
        Ok(new)
    }

    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        serde_json::from_slice(&fs_err::read(file)?)
            .map_err(|error| io::Error::other(format!("{}: {error}", file.display())).into())
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        Ok(fs_err::write(file, json)?)
    }
}

/// Files of users with what scriptlets added to them: stage0's lines, then those of other names.
pub(crate) fn users(
    installed: &Path,
    fixes: &Path,
    layers: &[PathBuf],
    interrupt: &Interrupt,
) -> Result<BTreeMap<PathBuf, String>, Error> {
    let (root, layers) = (Beneath::open(installed)?, opened(layers)?);
    let mut files = BTreeMap::new();
    for name in USERS {
        let Some(found) = root.find(Path::new(name))? else {
            continue;
        };
        let is_plain = match shipped(&layers, name)? {
            Some(before) => !differ(&found, &before, interrupt)?,
            None => false,
        };
        let now = match found.metadata().is_file() && !is_plain {
            true => root.read(Path::new(name), MOST)?.unwrap_or_default(),
            false => continue,
        };
        let key = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        let mut text = fs_err::read_to_string(fixes.join(name))?;
        let known: BTreeSet<String> = text.lines().map(key).collect();
        for line in String::from_utf8_lossy(&now).lines() {
            if !known.contains(&key(line)) {
                text.push_str(&format!("{line}\n"));
            }
        }
        files.insert(name.into(), text);
    }
    Ok(files)
}

/// Fails if there is more than anybody would read. To be asked before anything else is.
pub(crate) fn bound(installed: &Path, interrupt: &Interrupt) -> Result<(), Error> {
    let (mut sum, mut largest) = (0_u64, (0, PathBuf::new()));
    walk(installed, interrupt, &mut |path, metadata| {
        if metadata.is_file() {
            sum = sum.saturating_add(metadata.len());
            if metadata.len() > largest.0 {
                largest = (metadata.len(), path.to_owned());
            }
        }
        Ok(())
    })?;
    if sum <= MOST_LEFT << 30 {
        return Ok(());
    }
    let (size, path) = largest;
    let path = named(installed, &path);
    Err(Error::TooLarge { sum, path, size })
}

/// Makes it fit to be a layer for all: no set-id bits on the host's disk, no time after `clock`.
pub(crate) fn settle(installed: &Path, clock: Epoch, interrupt: &Interrupt) -> Result<(), Error> {
    let latest = UNIX_EPOCH + Duration::from_secs(clock.0);
    walk(installed, interrupt, &mut |path, metadata| {
        if !(metadata.is_file() || metadata.is_dir()) {
            return Ok(());
        }
        if metadata.mode() & 0o6000 != 0 {
            let mode = std::fs::Permissions::from_mode(metadata.mode() & 0o1777);
            fs_err::set_permissions(path, mode)?;
        }
        if metadata.modified()? > latest {
            fs_err::File::open(path)?.file().set_modified(latest)?;
        }
        Ok(())
    })
}

/// The digest of what is in a root after a transaction, [settled](settle): the whole tree, and the users.
pub(crate) fn digest(
    installed: &Path,
    users: &BTreeMap<PathBuf, String>,
    interrupt: &Interrupt,
) -> Result<Sha256, Error> {
    let mut print = Fingerprint::new("scriptlets/2");
    walk(installed, interrupt, &mut |path, metadata| {
        let name = path.strip_prefix(installed).unwrap_or(path);
        print.add("path", name.as_os_str().as_bytes());
        // File types have bits of their own in the mode (inode(7)).
        print.add("mode", metadata.mode().to_le_bytes());
        if metadata.is_symlink() {
            print.add("target", fs_err::read_link(path)?.as_os_str().as_bytes());
            return Ok(());
        }
        // Of all else (whiteouts, FIFOs, sockets) nobody settled the time: it is that of the run.
        if metadata.is_file() || metadata.is_dir() {
            print.add("time", metadata.mtime().to_le_bytes());
        }
        if metadata.is_file() {
            print.add_digest("content", &digest_of(fs_err::File::open(path)?, interrupt)?);
        }
        Ok(())
    })?;
    for (path, text) in users {
        print.add("users", path.as_os_str().as_bytes()).add("text", text);
    }
    Ok(print.finish())
}

/// The digest of all that is read.
fn digest_of(reader: impl Read, interrupt: &Interrupt) -> Result<Sha256, Error> {
    let digest = Sha256::of_reader(Until { reader, interrupt });
    interrupt.check()?;
    Ok(digest?.0)
}

/// A reader that ends with an error when the user interrupts.
struct Until<'a, R> {
    reader: R,
    interrupt: &'a Interrupt,
}

impl<R: Read> Read for Until<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        self.reader.read(buffer)
    }
}

fn opened(layers: &[PathBuf]) -> io::Result<Vec<Beneath>> {
    layers.iter().map(|layer| Beneath::open(layer)).collect()
}

/// What a package has at this place.
fn shipped(layers: &[Beneath], name: &str) -> io::Result<Option<Found>> {
    let unmerged = name.strip_prefix("usr/").filter(|rest| {
        let first = rest.split('/').next().unwrap_or_default();
        MERGED.contains(&first)
    });
    for layer in layers {
        for name in [Some(name), unmerged].into_iter().flatten() {
            if let Some(found) = layer.find(Path::new(name))? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// The place of a package's file in a root with a merged /usr.
fn merged(name: &str) -> String {
    let first = name.split('/').next().unwrap_or_default();
    match MERGED.contains(&first) {
        true => format!("usr/{name}"),
        false => name.to_owned(),
    }
}

fn differ(one: &Found, other: &Found, interrupt: &Interrupt) -> Result<bool, Error> {
    let (is, was) = (one.metadata(), other.metadata());
    if is.is_symlink() && was.is_symlink() {
        return Ok(one.target()? != other.target()?);
    }
    // As packages are unpacked.
    let mode = |metadata: &Metadata| metadata.mode() & 0o777 | 0o600;
    if is.file_type() != was.file_type() || mode(is) != mode(was) || is.len() != was.len() {
        return Ok(true);
    }
    Ok(is.is_file() && !same(one.open()?, other.open()?, interrupt)?)
}

/// Have they the same content?
fn same(mut one: impl Read, mut other: impl Read, interrupt: &Interrupt) -> Result<bool, Error> {
    let (mut is, mut was) = (Vec::new(), Vec::new());
    loop {
        interrupt.check()?;
        for (reader, block) in [(&mut one as &mut dyn Read, &mut is), (&mut other, &mut was)] {
            block.clear();
            reader.take(BLOCK).read_to_end(block)?;
        }
        if is != was || is.is_empty() {
            return Ok(is == was);
        }
    }
}

fn named(base: &Path, path: &Path) -> String {
    let name = path.strip_prefix(base).unwrap_or(path);
    name.to_string_lossy().into_owned()
}

/// Visits all that is in a folder; of a folder in it, what it holds first. Ends when the user interrupts.
fn walk(
    folder: &Path,
    interrupt: &Interrupt,
    visit: &mut dyn FnMut(&Path, &Metadata) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut entries = fs_err::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        interrupt.check()?;
        let metadata = fs_err::symlink_metadata(entry.path())?;
        if metadata.is_dir() {
            walk(&entry.path(), interrupt, visit)?;
        }
        visit(&entry.path(), &metadata)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
