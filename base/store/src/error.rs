//! What can go wrong in the store.

use std::{io, path::PathBuf};

use keel_artefact::{Sha256, format};

/// An error of the store. The path is in the text of the I/O errors (`fs-err`).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store was written by another version of Keel.
    #[error("{0}; choose another --cache-dir, or remove this one")]
    Format(#[from] format::Mismatch),
    /// An object was asked for that the store does not have.
    #[error("the store has no object {0}")]
    Missing(Sha256),
    /// An object's bytes are not those of its name: the disk or somebody else changed it.
    #[error(
        "object {expected} in the store is damaged: its bytes have the digest {found}; it was removed, and the same command makes or fetches it again"
    )]
    Damaged {
        /// The digest that names it.
        expected: Sha256,
        /// The digest of its bytes.
        found: Sha256,
    },
    /// A result cannot be written as JSON.
    #[error("cannot record the result of `{kind}` {key}")]
    Encode {
        /// Kind of action.
        kind: String,
        /// Its fingerprint.
        key: Sha256,
        /// Why.
        source: serde_json::Error,
    },
    /// What would be removed may be in use.
    #[error("another keel uses the store in {0}; nothing was removed")]
    InUse(PathBuf),
    /// Somebody is in a folder that is kept.
    #[error("another keel has {0} open")]
    Kept(PathBuf),
    /// `tmp/` holds something that is not ours to remove.
    #[error("cannot remove {path} that a killed run left")]
    Reap {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
