//! Folders that somebody asked to keep: the place of a build that failed, say. One a name; the next replaces it.

use std::path::PathBuf;

use crate::{Error, Store, TempDir, temp};

impl Store {
    /// Keeps a temporary folder under a name, instead of what was kept under it before. Gives where it is now.
    pub fn keep_folder(&self, folder: TempDir, name: &str) -> Result<PathBuf, Error> {
        let kept = self.dir().join("kept").join(name);
        temp::remove_all(&kept)?;
        fs_err::create_dir_all(self.dir().join("kept"))?;
        fs_err::rename(folder.path(), &kept)?;
        Ok(kept)
    }

    /// What is kept under a name, if anything.
    pub fn kept(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir().join("kept").join(name)).filter(|kept| kept.is_dir())
    }

    /// Keeps it no longer.
    pub fn drop_kept(&self, name: &str) -> Result<(), Error> {
        Ok(temp::remove_all(&self.dir().join("kept").join(name))?)
    }
}
