//! Trees: folders made once, then only read. A build root mounts them.

use std::path::{Path, PathBuf};

use keel_artefact::Sha256;

use crate::{Error, Store, action::touch, temp};

impl Store {
    /// The tree of this key, if it has been made.
    pub fn existing_tree(&self, key: &Sha256) -> Option<PathBuf> {
        let place = self.tree_place(key);
        place.is_dir().then_some(place)
    }

    /// The tree of this key; `make` fills an empty folder when it is not there yet. When `make` fails, or the run
    /// is killed, nothing is left under the final name. Two runs that make the same tree at once are both right.
    pub fn tree<E: From<Error>>(
        &self,
        key: &Sha256,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let place = self.tree_place(key);
        if place.is_dir() {
            touch(&place)?;
            return Ok(place);
        }
        let temporary = self.temp_dir("tree")?;
        let content = temporary.path().join("content");
        fs_err::create_dir(&content).map_err(Error::from)?;
        make(&content)?;
        sync(&content)?;
        match fs_err::rename(&content, &place) {
            Ok(()) => Ok(place),
            // Another run was first.
            Err(_) if place.is_dir() => Ok(place),
            Err(error) => Err(Error::from(error).into()),
        }
    }

    /// Removes a tree that turned out to be wrong.
    pub fn remove_tree(&self, key: &Sha256) -> Result<(), Error> {
        let place = self.tree_place(key);
        if !place.exists() {
            return Ok(());
        }
        // Out of sight first: whoever is killed while removing leaves no half tree.
        let doomed = self.temp_dir("doomed")?;
        fs_err::rename(&place, doomed.path().join("content"))?;
        Ok(temp::remove_all(doomed.path())?)
    }

    fn tree_place(&self, key: &Sha256) -> PathBuf {
        self.dir().join("trees").join(key.to_hex())
    }
}

/// Writes everything of the file system that holds `folder` to the disk: one call instead of one per file.
fn sync(folder: &Path) -> Result<(), Error> {
    let file = fs_err::File::open(folder)?;
    rustix::fs::syncfs(file.file()).map_err(|errno| Error::Io(errno.into()))
}
