//! Putting a section on disk such that a client that looks at any moment sees a whole repository: packages first, then
//! the metadata in one exchange, then what nothing names any more goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Permissions,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use keel_artefact::{Epoch, Sha256};
use keel_store::{FolderLock, Store};
use rustix::fs::{CWD, RenameFlags, Timespec, Timestamps};

use crate::Error;

/// Ends the name of everything unfinished.
const PART: &str = ".part";

/// One run at a time writes a repository; the lock goes with the process.
pub(crate) struct Lock {
    _folder: FolderLock,
}

impl Lock {
    /// Makes the folder if need be, and locks it.
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        make_dir(dir)?;
        match FolderLock::try_take(dir).map_err(Error::write)? {
            Some(lock) => Ok(Self { _folder: lock }),
            None => Err(Error::Busy(dir.to_owned())),
        }
    }
}

/// A package to be put at a place.
pub(crate) struct Placed {
    /// Relative to the section.
    pub(crate) location: String,
    pub(crate) digest: Sha256,
    pub(crate) built: Epoch,
}

/// Copies a package from the store to its place, unless it is there already. Every byte is checked on its way. It is on the disk
/// afterwards, unless what is made `is_passing`.
pub(crate) fn put(store: &Store, section: &Path, package: &Placed, is_passing: bool) -> Result<(), Error> {
    let target = section.join(&package.location);
    if let Some(folder) = target.parent() {
        make_dir(folder)?;
    }
    let is_file = target.symlink_metadata().is_ok_and(|meta| meta.is_file());
    if !is_file || Sha256::of_file(&target).map_err(Error::read)?.0 != package.digest {
        let part = PathBuf::from(format!("{}{PART}", target.display()));
        remove(&part)?;
        fs_err::copy(store.object(&package.digest)?, &part).map_err(Error::write)?;
        if Sha256::of_file(&part).map_err(Error::read)?.0 != package.digest {
            remove(&part)?;
            store.verify(&package.digest)?;
            return Err(Error::Damaged {
                file: part,
                why: "it changed while it was copied".to_owned(),
            });
        }
        if target.is_dir() {
            remove(&target)?;
        }
        if !is_passing {
            sync(&part)?;
        }
        fs_err::set_permissions(&part, Permissions::from_mode(0o644)).map_err(Error::write)?;
        fs_err::rename(&part, &target).map_err(Error::write)?;
    }
    let time = Timespec {
        tv_sec: package.built.0 as i64,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, &target, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| Error::write(io::Error::from(errno)))
}

/// Waits until the names of the packages are on the disk, as their contents are.
pub(crate) fn settle(section: &Path, locations: &BTreeSet<&str>) -> Result<(), Error> {
    let folders: BTreeSet<_> = locations
        .iter()
        .filter_map(|location| Path::new(location).parent())
        .collect();
    folders
        .into_iter()
        .try_for_each(|folder| sync(&section.join(folder)))
}

/// Writes the files of `repodata` beside the old ones, and exchanges the two.
pub(crate) fn swap(section: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
    let (current, new) = (section.join("repodata"), section.join(format!("repodata{PART}")));
    if holds(&current, files) {
        return remove(&new);
    }
    remove(&new)?;
    make_dir(&new)?;
    for (name, bytes) in files {
        let path = new.join(name);
        let mut file = fs_err::File::create(&path).map_err(Error::write)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(Error::write)?;
        fs_err::set_permissions(&path, Permissions::from_mode(0o644)).map_err(Error::write)?;
    }
    sync(&new)?;
    let exchanged = current.exists()
        && match rustix::fs::renameat_with(CWD, &new, CWD, &current, RenameFlags::EXCHANGE) {
            Ok(()) => true,
            // A file system that cannot: there is a moment without metadata, in which clients retry.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                remove(&current)?;
                false
            }
            Err(errno) => return Err(Error::write(errno.into())),
        };
    if !exchanged {
        fs_err::rename(&new, &current).map_err(Error::write)?;
    }
    sync(section)?;
    remove(&new)
}

/// Are exactly these files in the folder?
fn holds(dir: &Path, files: &BTreeMap<String, Vec<u8>>) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return false;
    };
    let names: BTreeSet<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.len() == files.len()
        && (files.iter())
            .all(|(name, bytes)| std::fs::read(dir.join(name)).is_ok_and(|found| found == *bytes))
}

/// Removes what is under `Packages` and not among `locations`.
pub(crate) fn clear_stale(section: &Path, locations: &BTreeSet<&str>) -> Result<(), Error> {
    let packages = section.join("Packages");
    if !packages.exists() {
        return make_dir(&packages);
    }
    for folder in list(&packages)? {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_dir = folder.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        let wanted = is_dir
            && locations
                .iter()
                .any(|location| location.starts_with(&format!("Packages/{name}/")));
        if !wanted {
            remove(&folder)?;
            continue;
        }
        for file in list(&folder)? {
            let file_name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !locations.contains(format!("Packages/{name}/{file_name}").as_str()) {
                remove(&file)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(dir).map_err(Error::read)? {
        paths.push(entry.map_err(Error::read)?.path());
    }
    paths.sort();
    Ok(paths)
}

pub(crate) fn make_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    fs_err::create_dir_all(dir).map_err(Error::write)?;
    fs_err::set_permissions(dir, Permissions::from_mode(0o755)).map_err(Error::write)
}

/// Waits until a file or folder is on the disk: nothing is named before that.
fn sync(path: &Path) -> Result<(), Error> {
    fs_err::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(Error::write)
}

/// Removes a file or folder that may not be there.
fn remove(path: &Path) -> Result<(), Error> {
    let result = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs_err::remove_dir_all(path),
        Ok(_) => fs_err::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    result.map_err(Error::write)
}
