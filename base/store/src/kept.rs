//! Folders that somebody asked to keep: the place of a build that failed, say. One a name; the next replaces it, unless somebody
//! is in it, who holds its [`FolderLock`].

use std::{path::PathBuf, time::SystemTime};

use crate::{Error, FolderLock, Store, TempDir, temp};

impl Store {
    /// Where a folder of this name is kept.
    pub fn kept_path(&self, name: &str) -> PathBuf {
        self.dir().join("kept").join(name)
    }

    /// Keeps a temporary folder under a name, instead of what was kept under it before. False if somebody is in that.
    pub fn keep_folder(&self, folder: TempDir, name: &str) -> Result<bool, Error> {
        let kept = self.kept_path(name);
        fs_err::create_dir_all(self.dir().join("kept"))?;
        if kept.exists() && !self.put_away(name)? {
            return Ok(false);
        }
        fs_err::rename(folder.path(), &kept)?;
        Ok(true)
    }

    /// What is kept under a name, if anything, for as long as the lock is held. It counts as used.
    pub fn kept(&self, name: &str) -> Result<Option<(PathBuf, FolderLock)>, Error> {
        let kept = self.kept_path(name);
        if !kept.is_dir() {
            return Ok(None);
        }
        let Some(lock) = FolderLock::try_take(&kept)? else {
            return Err(Error::Kept(kept));
        };
        // One of another user's is not ours to touch, but to look at.
        let _ = std::fs::File::open(&kept).and_then(|folder| folder.set_modified(SystemTime::now()));
        Ok(Some((kept, lock)))
    }

    /// Keeps it no longer, unless somebody is in it. What cannot be removed stays: nothing depends on it.
    pub fn drop_kept(&self, name: &str) {
        if self.kept_path(name).exists() {
            let _ = self.put_away(name);
        }
    }

    /// Renames it out of the way and removes it; false if somebody is in it.
    fn put_away(&self, name: &str) -> Result<bool, Error> {
        let kept = self.kept_path(name);
        let Some(_lock) = FolderLock::try_take(&kept)? else {
            return Ok(false);
        };
        let away = self.temp_dir("kept")?;
        fs_err::rename(&kept, away.path().join("old"))?;
        // The temporary folder goes with all that is in it, now or when the store is next opened.
        temp::remove_all(&away.path().join("old"))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_a_kept_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let keep = |text: &str| {
            let folder = store.temp_dir("x").unwrap();
            fs_err::write(folder.path().join("file"), text).unwrap();
            store.keep_folder(folder, "a").unwrap()
        };
        assert!(store.kept("a").unwrap().is_none());
        assert!(keep("one") && keep("two"));
        let (folder, lock) = store.kept("a").unwrap().unwrap();
        assert!(!keep("three"));
        store.drop_kept("a");
        assert_eq!(fs_err::read_to_string(folder.join("file")).unwrap(), "two");
        assert!(matches!(store.kept("a"), Err(Error::Kept(_))));
        drop(lock);
        assert!(keep("four"));
        store.drop_kept("a");
        assert!(!folder.exists());
        assert_eq!(
            fs_err::read_dir(dir.path().join("tmp"))
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().path().is_dir())
                .count(),
            0
        );
    }
}
