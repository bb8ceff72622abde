//! Temporary folders that a killed run cannot leave for ever: each is locked while its owner lives.

use std::{
    fs::TryLockError,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
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

/// Removes the folders in `tmp` whose owners are gone, and single files older than an hour.
pub(crate) fn reap(tmp: &Path) -> Result<(), Error> {
    let _guard = guard(tmp)?;
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
                    remove_all(&folder).map_err(|source| Error::Reap { path: folder, source })?;
                    absent_is_fine(fs_err::remove_file(&path))?;
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
    Ok(())
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

/// Removes a folder and all in it, also where a build took its own write permission away. No error if it is absent.
pub fn remove_all(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path)?;
            fs_err::remove_dir_all(path)
        }
        Err(_) => fs_err::remove_dir_all(path),
    }
}

fn make_writable(folder: &Path) -> io::Result<()> {
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
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
