//! The store: everything that Keel made or fetched, addressed by SHA-256.
//!
//! Input: bytes, folders and results of actions. Output: the same, verified, in this run or a later one.
//!
//! 1. An *object* is a file named by the digest of its bytes ([`Store::put_bytes`], [`Store::object`]).
//! 2. An *action result* is a small JSON value under a kind and the fingerprint of its inputs ([`Store::action`]).
//! 3. A *tree* is a folder made once under the fingerprint of its inputs ([`Store::tree`]).
//! 4. A *temporary folder* lives on the same file system, so that finishing is one rename ([`Store::temp_dir`]).
//! 5. A [`FolderLock`] lets one run at a time write a folder that is not the store's; a [`Claim`], do a piece of work.
//!
//! Invariants: nothing half-made is ever visible under its final name (temporary name, fsync, rename); what is read
//! back is checked ([`Store::read`], [`Store::verify`]); a temporary folder of a run that was killed is removed when
//! the store is next opened; two runs may share a store.
//!
//! Never: decides what is worth keeping without being asked ([`gc`]), or reads outside its folder.
//!
//! | file | owner |
//! |---|---|
//! | `format` | this module: the version of the layout |
//! | `objects/ab/cdef…` | [`object`](mod@object) |
//! | `actions/KIND/ab/cdef….json` | [`action`](mod@action) |
//! | `trees/KEY/` | [`tree`](mod@tree) |
//! | `kept/NAME/` | `kept` |
//! | `tmp/`, `tmp/*.lock` | [`temp`] |
//! | `claims/KEY/` | [`Claim`] |

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

pub mod action;
mod claim;
mod error;
mod folder_lock;
pub mod gc;
mod kept;
pub mod links;
mod merge;
pub mod object;
pub mod temp;
pub mod tree;

pub use claim::Claim;
pub use error::Error;
pub use folder_lock::FolderLock;
pub use merge::merge;
pub use temp::TempDir;

use keel_artefact::format;

/// The version of the layout on disk.
pub const FORMAT: format::Version = format::Version(1);

/// A folder of objects, action results and trees. Shared by reference between threads, and by folder between runs.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    /// Locked, shared, while anybody uses the store: what is collected is nobody's.
    in_use: Arc<std::fs::File>,
    /// What killed runs left and could not be removed.
    left: Arc<Vec<Error>>,
}

impl Store {
    /// Opens the store in `dir`, making it when it is new and removing what killed runs left in `tmp/`.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        fs_err::create_dir_all(dir)?;
        let dir = fs_err::canonicalize(dir)?;
        let in_use = fs_err::File::create(dir.join("in-use"))?.into_parts().0;
        in_use.lock_shared()?;
        let mut store = Self {
            dir,
            in_use: Arc::new(in_use),
            left: Arc::default(),
        };
        for part in ["objects", "actions", "trees", "tmp", "kept", "claims"] {
            fs_err::create_dir_all(store.dir.join(part))?;
        }
        store.check_format()?;
        // What sandboxes write there is nobody else's to see, or to run. An ordinary user's mmdebstrap has only foreign ids, and has
        // to pass.
        let mode = if rustix::process::geteuid().is_root() {
            0o700
        } else {
            0o711
        };
        let tmp = store.dir.join("tmp");
        fs_err::set_permissions(&tmp, std::fs::Permissions::from_mode(mode))?;
        store.left = Arc::new(temp::reap(&tmp)?);
        claim::reap(&store.dir)?;
        Ok(store)
    }

    /// What killed runs left in `tmp/`, could not be removed when the store was opened, and is tried again when it is next.
    pub fn left(&self) -> &[Error] {
        &self.left
    }

    /// The folder it lives in, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn check_format(&self) -> Result<(), Error> {
        let file = self.dir.join("format");
        match fs_err::read_to_string(&file) {
            Ok(text) => {
                let found = text.trim().parse().unwrap_or(0);
                let what = format!("the store in {}", self.dir.display());
                Ok(format::Version(found).check(what, FORMAT)?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write_atomically(&self.dir.join("tmp"), &file, format!("{}\n", FORMAT.0).as_bytes())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes `bytes` to `target` through a temporary name in `tmp`: readers see the old file, the new one, or none.
pub(crate) fn write_atomically(tmp: &Path, target: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::io::Write as _;
    let name = temp::unique_name("file");
    let temporary = tmp.join(name);
    let mut file = fs_err::File::create(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    let renamed = written.and_then(|()| fs_err::rename(&temporary, target));
    if renamed.is_err() {
        // The first error is the one to report; a leftover in `tmp` is reaped later.
        let _ = fs_err::remove_file(&temporary);
    }
    Ok(renamed?)
}

#[cfg(test)]
mod tests;
