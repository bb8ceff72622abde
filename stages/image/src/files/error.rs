//! What can be wrong with an image whose files are asked for.

use std::{io, path::PathBuf};

use keel_artefact::interrupt::Interrupted;

/// An image, or a file of it, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image is damaged, or more than is read.
    #[error("cannot read `{}`", file.display())]
    Read {
        /// The image.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// What rpm's database holds is not all that is installed.
    #[error("the rpm database of `{}` has changes that are not merged into it yet, in `{log}`", file.display())]
    Unmerged {
        /// The image.
        file: PathBuf,
        /// SQLite's write-ahead log, in the image.
        log: String,
    },
    /// It cannot be written.
    #[error("cannot write `{what}`")]
    Write {
        /// File or folder.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A partition is to be chosen.
    #[error("`{}` {why}; it has {}", file.display(), list(there))]
    Partition {
        /// The image.
        file: PathBuf,
        /// What is asked for.
        why: String,
        /// The partitions.
        there: Vec<String>,
    },
    /// No such file.
    #[error("there is no `{path}` in the image")]
    Missing {
        /// As it was asked for.
        path: String,
        /// The most similar name in the folder that it would be in.
        nearest: Option<String>,
    },
    /// The file is of another kind.
    #[error("`{path}` is {what}")]
    NoFile {
        /// As it was asked for.
        path: String,
        /// `a folder`.
        what: &'static str,
    },
    /// Links lead nowhere.
    #[error("`{path}` runs through symbolic links that go round")]
    Loop {
        /// As it was asked for.
        path: String,
    },
    /// Something is there.
    #[error("`{}` is there already", folder.display())]
    Exists {
        /// Where the files should go.
        folder: PathBuf,
    },
    /// The user stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A container, or a manifest, is not what it should be.
    #[error(transparent)]
    Image(#[from] Box<crate::Error>),
}

fn list(there: &[String]) -> String {
    match there.is_empty() {
        true => "none".to_owned(),
        false => there.join(", "),
    }
}

/// The image is not what it should be.
pub(super) fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The image is more than this reads.
pub(super) fn unsupported(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what.into())
}
