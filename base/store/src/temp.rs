//! Temporary folders that a killed run cannot leave for ever: each is locked while its owner lives.

use std::{
    ffi::{CString, OsStr},
    fs::TryLockError,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags},
    io::Errno,
};

use crate::{Error, Store};

const HOUR: Duration = Duration::from_secs(3600);

/// A folder in the store's `tmp/`, removed with all that is in it when dropped.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: std::fs::File,
}

impl TempDir {
    /// The folder, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What cannot be removed now (a file of another user, say) is tried again when the store is next opened.
        if remove_all(&self.path).is_ok() {
            let _ = fs_err::remove_file(&self.lock_path);
        }
    }
}

impl Store {
    /// A new, empty folder on the store's file system, with mode 0755.
    pub fn temp_dir(&self, purpose: &str) -> Result<TempDir, Error> {
        let tmp = self.dir().join("tmp");
        let _guard = guard(&tmp)?;
        let name = unique_name(purpose);
        let (path, lock_path) = (tmp.join(&name), tmp.join(format!("{name}.lock")));
        let lock = fs_err::File::create(&lock_path)?.into_parts().0;
        lock.lock()?;
        fs_err::create_dir(&path)?;
        Ok(TempDir {
            path,
            lock_path,
            _lock: lock,
        })
    }
}

/// Removes the folders in `tmp` whose owners are gone, and single files older than an hour. Gives the folders that could not be
/// removed, and why: they are in nobody's way.
pub(crate) fn reap(tmp: &Path) -> Result<Vec<Error>, Error> {
    let _guard = guard(tmp)?;
    let mut left = Vec::new();
    for entry in fs_err::read_dir(tmp)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            // Its owner may remove it at any moment.
            let lock = match fs_err::File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                lock => lock?.into_parts().0,
            };
            match lock.try_lock() {
                Ok(()) => {
                    let folder = path.with_extension("");
                    match remove_all(&folder) {
                        Ok(()) => absent_is_fine(fs_err::remove_file(&path))?,
                        Err(source) => left.push(Error::Reap { path: folder, source }),
                    }
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        } else if path.is_file() && is_old(&path, HOUR) {
            absent_is_fine(fs_err::remove_file(&path))?;
        }
    }
    // Downloads that nobody took up again.
    let partial = tmp.join("partial");
    if partial.is_dir() {
        for entry in fs_err::read_dir(partial)? {
            let path = entry?.path();
            if path.is_file() && is_old(&path, 24 * 30 * HOUR) {
                absent_is_fine(fs_err::remove_file(&path))?;
            }
        }
    }
    Ok(left)
}

fn absent_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A name that no other thread or run uses.
pub(crate) fn unique_name(purpose: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let started = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_nanos());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{purpose}-{}-{started:x}-{number}", std::process::id())
}

/// Removes a folder and all in it, also where a build took its own write permission away, and however deep it is. No error if it is
/// absent.
///
/// Folders that are not empty move to the top one before their turn: two are open at a time, and no path is longer than
/// the system allows.
pub fn remove_all(path: &Path) -> io::Result<()> {
    let metadata = match fs_err::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_dir() {
        return absent_is_fine(fs_err::remove_file(path));
    }
    if metadata.mode() & 0o700 != 0o700 {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    empty(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    absent_is_fine(fs_err::remove_dir(path))
}

/// Removes all that is in a folder.
fn empty(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |at: BorrowedFd<'_>, name: &OsStr| rustix::fs::openat(at, name, flags, Mode::empty());
    let top = open(CWD, path.as_os_str())?;
    let mut waiting = remove_in(&top, &top)?;
    while let Some(name) = waiting.pop() {
        let name = OsStr::new(&name);
        waiting.extend(remove_in(&top, &open(top.as_fd(), name)?)?);
        gone(rustix::fs::unlinkat(&top, name, AtFlags::REMOVEDIR))?;
    }
    Ok(())
}

/// Removes what is in `folder` but folders that are not empty: they move to `top`, under the names that this gives.
fn remove_in(top: &OwnedFd, folder: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let names: Vec<(CString, bool)> = Dir::read_from(folder)?
        .map(|entry| entry.map(|entry| (entry.file_name().to_owned(), entry.file_type().is_dir())))
        .collect::<Result<_, _>>()?;
    let mut moved = Vec::new();
    for (name, is_folder) in names {
        if [c".", c".."].contains(&name.as_c_str()) {
            continue;
        }
        if !is_folder {
            match rustix::fs::unlinkat(folder, &name, AtFlags::empty()) {
                // The file system does not tell what its entries are.
                Err(Errno::ISDIR) => {}
                removed => {
                    gone(removed)?;
                    continue;
                }
            }
        }
        match rustix::fs::unlinkat(folder, &name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                rustix::fs::chmodat(folder, &name, Mode::RWXU, AtFlags::empty())?;
                let place = unique_name("doomed");
                rustix::fs::renameat(folder, &name, top, &place)?;
                moved.push(place);
            }
            removed => gone(removed)?,
        }
    }
    Ok(moved)
}

fn gone(removed: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

/// Held while a folder and its lock are made or reaped, so that nobody reaps one between the two.
fn guard(tmp: &Path) -> Result<std::fs::File, Error> {
    let file = fs_err::File::create(tmp.join("guard"))?.into_parts().0;
    file.lock()?;
    Ok(file)
}

fn is_old(path: &Path, limit: Duration) -> bool {
    path.file_name().is_some_and(|name| name != "guard")
        && fs_err::metadata(path)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > limit))
}
