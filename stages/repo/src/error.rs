//! What can go wrong with a repository.

use std::{io, net::SocketAddr, path::PathBuf};

use keel_artefact::{Nevra, Sha256};

/// A repository could not be made, read or served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] keel_artefact::interrupt::Interrupted),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
    /// A package is unsound, unsigned, or signed by another key.
    #[error(transparent)]
    Package(#[from] keel_rpm::Error),
    /// A key or signature is the matter.
    #[error(transparent)]
    Sign(#[from] keel_rpm::sign::Error),
    /// A file or folder of the repository cannot be read or written. (The source names it.)
    #[error("cannot {what} the repository")]
    File {
        /// `read`, `write`.
        what: &'static str,
        /// Why, with the path.
        source: io::Error,
    },
    /// Metadata of a package cannot be made.
    #[error("cannot describe `{nevra}` in metadata")]
    Describe {
        /// The package.
        nevra: Nevra,
        /// Why.
        source: Box<rpmrepo_metadata::MetadataError>,
    },
    /// Metadata cannot be written.
    #[error("cannot write the metadata of the repository")]
    Metadata(#[source] Box<rpmrepo_metadata::MetadataError>),
    /// A package in the store is damaged.
    #[error("package `{nevra}` cannot be taken from the store")]
    Unsound {
        /// The package.
        nevra: Box<Nevra>,
        /// How.
        source: keel_store::Error,
    },
    /// A package in the store is not the one that the build named.
    #[error("the package of `{stated}` in the store is `{found}`")]
    OtherPackage {
        /// As the build named it.
        stated: Box<Nevra>,
        /// As its header says.
        found: Box<Nevra>,
    },
    /// Two packages have the same identity, or the same file name.
    #[error("two packages are called `{file}` ({one} and {other}): names must not lie")]
    SameName {
        /// The file name.
        file: String,
        /// The digest of one.
        one: Sha256,
        /// The digest of the other.
        other: Sha256,
    },
    /// A folder is one part of a repository, with metadata of its own.
    #[error("`{dir}` is one part of a repository")]
    Part {
        /// The folder.
        dir: PathBuf,
    },
    /// A folder is not a repository of Keel.
    #[error("`{dir}` is not a repository of Keel: {why}")]
    NotRepository {
        /// The folder.
        dir: PathBuf,
        /// What is missing.
        why: String,
    },
    /// Metadata exists, and is damaged or forged.
    #[error("`{file}` cannot be accepted: {why}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another run is writing the same repository.
    #[error("another keel is writing the repository `{0}`")]
    Busy(PathBuf),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn read(source: io::Error) -> Self {
        Self::File { what: "read", source }
    }

    pub(crate) fn write(source: io::Error) -> Self {
        Self::File {
            what: "write",
            source,
        }
    }
}
