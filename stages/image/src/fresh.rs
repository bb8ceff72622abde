//! How an image becomes visible: all of it, or nothing.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::{Error, error::At};

/// Writes a file, and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut file = fs_err::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().at("write", path.display())
}

/// Writes a file in the place of another: readers see the old bytes or the new ones.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = temporary(path);
    let mut file = fs_err::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs_err::rename(&new, path)
}

/// Removes what a killed run left of [`replace`].
pub(crate) fn clear(path: &Path) -> std::io::Result<()> {
    match fs_err::remove_file(temporary(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// A folder beside the final one, which it takes the place of when it is complete.
pub(crate) struct Fresh {
    pub(crate) path: PathBuf,
}

impl Fresh {
    pub(crate) fn new(dir: &Path) -> Result<Self, Error> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let path = dir.with_file_name(format!(".{name}.new"));
        // Left by a run that was killed.
        remove(&path)?;
        fs_err::create_dir_all(&path).at("make", path.display())?;
        Ok(Self { path })
    }

    /// Puts it in the place of `dir`.
    pub(crate) fn show(self, dir: &Path) -> Result<(), Error> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let old = dir.with_file_name(format!(".{name}.old"));
        remove(&old)?;
        if dir.exists() {
            fs_err::rename(dir, &old).at("move", dir.display())?;
        }
        fs_err::rename(&self.path, dir).at("move", dir.display())?;
        remove(&old)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // After `show` there is nothing; after an error the next run removes what cannot be removed now.
        let _ = remove(&self.path);
    }
}

fn remove(dir: &Path) -> Result<(), Error> {
    match fs_err::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", dir.display()),
        _ => Ok(()),
    }
}
