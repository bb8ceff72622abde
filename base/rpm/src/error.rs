//! What can be wrong with a package, and what can fail around it.

use std::{io, path::PathBuf};

use keel_artefact::RootPath;

/// A package could not be read, unpacked, signed or verified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read the package `{package}`")]
    Read {
        /// The package file.
        package: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The package is damaged, or means harm.
    #[error("`{package}` is not a sound RPM package")]
    Unsound {
        /// The package file.
        package: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: Fault,
    },
    /// A file of the package cannot be written.
    #[error("cannot unpack `{path}` of `{package}`")]
    Write {
        /// The package file.
        package: PathBuf,
        /// The path inside the package.
        path: RootPath,
        /// Why.
        source: io::Error,
    },
    /// The folder to unpack into, or the file to write, cannot be made.
    #[error("cannot write `{path}`")]
    Output {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or a signature is the matter.
    #[error(transparent)]
    Sign(#[from] crate::sign::Error),
}

/// What is wrong with a package.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file ends early, or cannot be read.
    #[error("the file ends early or cannot be read")]
    Io(#[from] io::Error),
    /// No RPM lead at its beginning.
    #[error("it does not begin with an RPM lead")]
    NoLead,
    /// The frame of a header is broken: sizes, offsets, types.
    #[error("its {header} is broken: {why}")]
    Frame {
        /// `signature header` or `header`.
        header: &'static str,
        /// What does not fit.
        why: String,
    },
    /// The RPM library refuses it.
    #[error("the header cannot be read")]
    Library(#[source] Box<rpm::Error>),
    /// A tag is missing or has the wrong type or number of items.
    #[error("tag {tag}: {why}")]
    Tag {
        /// rpm's name of the tag.
        tag: &'static str,
        /// What does not fit.
        why: String,
    },
    /// A value that becomes an identity is not one.
    #[error("its {what} `{text}` cannot be accepted")]
    Identity {
        /// `name`, `version`, `architecture`.
        what: &'static str,
        /// The text found.
        text: String,
        /// Why not.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The path of a file leaves the root, or is not normal.
    #[error("it holds a path that is not one inside a root")]
    Path(#[from] keel_artefact::path::ParseError),
    /// The header names a path twice.
    #[error("its header names `{0}` twice")]
    PathTwice(RootPath),
    /// A limit is exceeded.
    #[error("it has {found} {what}, more than the {limit} allowed")]
    Limit {
        /// `files`, `bytes`.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The payload is compressed with something unknown.
    #[error("its payload is compressed with `{0}`, which Keel cannot read")]
    Compression(String),
    /// The payload is not the archive it should be.
    #[error("its payload is broken: {0}")]
    Archive(String),
    /// The payload has a file that the header does not name, or names as a ghost.
    #[error("its payload holds `{0}`, which its header does not name (or says is not there)")]
    Unexpected(String),
    /// The payload has a file twice.
    #[error("its payload holds `{0}` twice")]
    Twice(RootPath),
    /// The payload lacks a file that the header names.
    #[error("its payload lacks `{0}`")]
    Absent(RootPath),
    /// A file's size in the payload differs from the header.
    #[error("`{path}` has {found} bytes in the payload, {stated} in the header")]
    Size {
        /// The file.
        path: RootPath,
        /// Bytes in the payload.
        found: u64,
        /// Bytes stated in the header.
        stated: u64,
    },
    /// A file's content or link target differs from the header.
    #[error("the content of `{0}` in the payload differs from what its header says")]
    Content(RootPath),
    /// A path leads through a symbolic link of the same package.
    #[error("`{0}` leads through a symbolic link or a file that is already there")]
    ThroughLink(RootPath),
    /// A device node or socket, which [`crate::unpack()`] does not make.
    #[error("`{0}` is a device node or socket; those are made by images only")]
    Special(RootPath),
    /// The payload differs from the digest in the header.
    #[error("its payload has the digest {found}, its header says {stated}")]
    PayloadDigest {
        /// As computed.
        found: String,
        /// As stated.
        stated: String,
    },
    /// The header differs from the digest in the signature header.
    #[error("its header differs from the digest in its signature header")]
    HeaderDigest,
}

impl From<rpm::Error> for Fault {
    fn from(error: rpm::Error) -> Self {
        Self::Library(Box::new(error))
    }
}
