//! How an image becomes visible: all of it, or nothing.

use std::{
    fs::Permissions,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
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
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path, "new");
    // Left by a run that was killed; or somebody's link, which is not followed.
    if let Err(error) = fs_err::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = fs_err::File::create_new(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs_err::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs_err::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Removes what a killed run left of [`replace`].
pub(crate) fn clear(path: &Path) -> Result<(), Error> {
    remove(&beside(path, "new"))
}

/// Removes what a killed run left of [`Fresh`] beside a folder that is as it should be.
pub(crate) fn clear_beside(dir: &Path) -> Result<(), Error> {
    remove(&beside(dir, "new"))?;
    remove(&beside(dir, "old"))
}

/// A folder beside the final one, which it takes the place of when it is complete.
pub(crate) struct Fresh {
    pub(crate) path: PathBuf,
}

impl Fresh {
    pub(crate) fn new(dir: &Path) -> Result<Self, Error> {
        let path = beside(dir, "new");
        // Left by a run that was killed.
        remove(&path)?;
        fs_err::create_dir_all(&path).at("make", path.display())?;
        Ok(Self { path })
    }

    /// Puts it in the place of `dir`, which goes once that is done.
    pub(crate) fn show(self, dir: &Path) -> Result<(), Error> {
        let old = beside(dir, "old");
        remove(&old)?;
        let is_there = fs_err::symlink_metadata(dir).is_ok();
        if is_there {
            fs_err::rename(dir, &old).at("move", dir.display())?;
        }
        let shown = fs_err::rename(&self.path, dir).at("move", dir.display());
        if shown.is_err() && is_there {
            // The first error is told; after another one here, what was there has the other name.
            let _ = fs_err::rename(&old, dir);
        }
        shown?;
        remove(&old)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // After `show` there is nothing; after an error the next run removes what cannot be removed now.
        let _ = remove(&self.path);
    }
}

/// `.NAME.END` beside a path.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{end}"))
}

/// Removes a file or folder, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = match path.is_dir() {
        true => match fs_err::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                open_folders(path).and_then(|()| fs_err::remove_dir_all(path))
            }
            removed => removed,
        },
        false => fs_err::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", path.display()),
        _ => Ok(()),
    }
}

/// Lets their owner into folders that are closed to him, as those of an image can be. Links are not followed.
fn open_folders(path: &Path) -> io::Result<()> {
    fs_err::set_permissions(path, Permissions::from_mode(0o700))?;
    for entry in fs_err::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_the_place_of_the_old_one_or_leaves_it() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("image.oci");
        let listed = || {
            let mut names: Vec<String> = fs_err::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let make = |text: &str| {
            let fresh = Fresh::new(&to).unwrap();
            fs_err::write(fresh.path.join("text"), text).unwrap();
            fresh
        };
        make("one").show(&to).unwrap();
        drop(make("two"));
        assert_eq!(fs_err::read_to_string(to.join("text")).unwrap(), "one");
        assert_eq!(listed(), ["image.oci"]);
        // A killed run left folders that are closed to their owner.
        let closed = dir.path().join(".image.oci.new/closed");
        fs_err::create_dir_all(closed.join("below")).unwrap();
        fs_err::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
        make("three").show(&to).unwrap();
        assert_eq!(fs_err::read_to_string(to.join("text")).unwrap(), "three");
        assert_eq!(listed(), ["image.oci"]);
    }
}
