//! What can go wrong with sources, told so that the user can mend it.

mod told;

use std::{fmt, io, path::PathBuf};

use keel_artefact::{ComponentName, Sha256, Sha512, interrupt::Interrupted};
use keel_config::{Diagnostic, Excerpt, Location};

use crate::{
    Answer,
    debian::{deb822, openpgp, release},
    http::CertificateError,
    lock, wanted,
};

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A SPEC names a file that is neither beside it nor pinned.
    #[error("`{component}` has no source `{name}`")]
    Unpinned {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// The SPEC, and its line.
        location: Box<Location>,
        /// That line.
        excerpt: Option<Box<Excerpt>>,
        /// A pinned name that it may stand for.
        near: Option<String>,
    },
    /// A SPEC names a file in a way that no build may.
    #[error("`{component}` names a source that is no file name")]
    FileName {
        /// The component.
        component: ComponentName,
        /// The SPEC, and its line.
        location: Box<Location>,
        /// What is wrong with it.
        source: wanted::FileNameError,
    },
    /// A file lies beside the SPEC, and other bytes are pinned under its name.
    #[error("`{component}` has `{name}` twice: beside its SPEC ({local}) and pinned ({pinned})")]
    Twice {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// The SPEC, and its line.
        location: Box<Location>,
        /// Digest of the file beside the SPEC.
        local: Sha256,
        /// Digest that is pinned.
        pinned: Sha256,
    },
    /// Configuration and lock pin different bytes.
    #[error(
        "the {what} of `{name}` differs between the configuration ({configured}) and the lock ({locked})"
    )]
    Disagree {
        /// `SHA-256`, `size`, `origin`.
        what: &'static str,
        /// The file.
        name: String,
        /// Where the configuration says so.
        location: Box<Location>,
        /// What it says.
        configured: String,
        /// What the lock says.
        locked: String,
    },
    /// What came has not the SHA-512 that the configuration says.
    #[error("`{name}` has not the SHA-512 that is configured: {configured} is wanted, {found} came")]
    OtherBytes {
        /// The file.
        name: String,
        /// Where the configuration says so.
        location: Box<Location>,
        /// What it says.
        configured: Sha512,
        /// Of what came.
        found: Sha512,
    },
    /// The `sources` of a SPEC's folder.
    #[error("the `sources` of `{component}` cannot be used")]
    Listed {
        /// The component.
        component: ComponentName,
        /// Why.
        source: keel_spec::render::sources_file::Error,
    },
    /// `sources` knows a file by a digest that proves nothing.
    #[error(
        "`sources` of `{component}` knows `{name}` by no SHA-512 or SHA-256 that could be checked: {algorithm}"
    )]
    Weak {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// What there is.
        algorithm: String,
    },
    /// `sources` lists a file, and nothing says where its distribution keeps files.
    #[error("nothing says where `{distro}` keeps `{name}`, a source of `{component}`")]
    NoLookaside {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// The distribution.
        distro: String,
    },
    /// A file beside a SPEC cannot be read, or is not inside the project.
    #[error("`{component}` has a local source that cannot be used: {path}")]
    Local {
        /// The component.
        component: ComponentName,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No origin gave the pinned bytes.
    #[error("no origin gives `{name}`, a source of `{component}`")]
    Unavailable {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// The digest that is pinned, and the size in bytes.
        pinned: Option<(Sha256, Option<u64>)>,
        /// Where it is pinned.
        location: Option<Box<Location>>,
        /// Who was asked, and what they answered.
        asked: Vec<Asked>,
    },
    /// A file is to be locked, and nothing says where it could be had.
    #[error("nothing says where `{name}`, a source of `{component}`, could be had")]
    NoOrigin {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// The SPEC, and its line.
        location: Box<Location>,
    },
    /// Debian's index has neither the file nor another of its series.
    #[error("Debian's `{suite}` has no file `{name}` of `{package}`, nor one of the same series")]
    NotInArchive {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// The source or binary package.
        package: String,
        /// The suite.
        suite: String,
        /// Where the file is asked for.
        location: Option<Box<Location>>,
        /// The versions that the archive has.
        versions: Box<[String]>,
    },
    /// The SPEC cannot be moved to the version that replaces a file that is gone.
    #[error(
        "`{name}`, a source of `{component}`, is gone, and its successor `{successor}` does not tell a version for the SPEC"
    )]
    NoVersion {
        /// The component.
        component: ComponentName,
        /// The file that is gone.
        name: String,
        /// The file that takes its place.
        successor: String,
    },
    /// No origin says which version is the newest.
    #[error("no origin tells whether there is a newer `{name}`, a source of `{component}`")]
    NotTold {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// Where it is pinned.
        location: Option<Box<Location>>,
        /// Who was asked, and what they answered.
        asked: Vec<Asked>,
    },
    /// A file of the configuration cannot be given a newer version.
    #[error("cannot write the newer version of `{name}`, a source of `{component}`")]
    Edit {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// Where it is pinned.
        location: Box<Location>,
        /// Why.
        source: io::Error,
    },
    /// The upstream's signature of a file is not good.
    #[error("`{name}`, a source of `{component}`, has not the signature that is asked for")]
    Signature {
        /// The component.
        component: ComponentName,
        /// The file.
        name: String,
        /// Where the signature is asked for.
        location: Box<Location>,
        /// The fingerprints of the keys that may sign.
        pinned: Vec<String>,
        /// Why.
        source: SignatureProblem,
    },
    /// A suite's signed index cannot be had.
    #[error("the index of Debian's `{suite}` cannot be had")]
    Archive {
        /// The suite.
        suite: String,
        /// Who was asked, and what they answered.
        asked: Vec<Asked>,
    },
    /// A suite's signed index is not trusted.
    #[error("the index of Debian's `{suite}` from {place} is not trusted")]
    Release {
        /// The suite.
        suite: String,
        /// The URL.
        place: String,
        /// Why.
        source: Box<release::Error>,
    },
    /// A suite's list of packages cannot be read.
    #[error("`{index}` of Debian's `{suite}` cannot be read")]
    Index {
        /// The suite.
        suite: String,
        /// The index.
        index: String,
        /// Why.
        source: deb822::ParseError,
    },
    /// A suite has no list of source packages.
    #[error("the signed index of Debian's `{suite}` names no `{index}`")]
    NoIndex {
        /// The suite.
        suite: String,
        /// The index.
        index: String,
    },
    /// A keyring cannot be used.
    #[error("cannot use the keyring {path}")]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyringProblem,
    },
    /// No keyring was given.
    #[error("no keyring of Debian's archive was given")]
    NoKeyring,
    /// Overlays are about an archive that the SPEC does not name.
    #[error("`{component}` has overlays of `{name}`, which its SPEC does not name")]
    NotNamed {
        /// The component.
        component: ComponentName,
        /// Where the first of them is written.
        location: Box<Location>,
        /// The archive.
        name: String,
    },
    /// An overlay of an archive does not apply.
    #[error(transparent)]
    Overlay(Box<keel_spec::overlay::Error>),
    /// Overlays made something else of an archive than the configuration says.
    #[error("overlays of `{component}` made `{name}` something else than its `hash` says")]
    BecameOther {
        /// The component.
        component: ComponentName,
        /// The archive.
        name: String,
        /// Where the digest is written.
        location: Box<Location>,
        /// What the configuration says, in hexadecimal.
        stated: String,
        /// What it became.
        computed: String,
    },
    /// The lock.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// The store.
    #[error("the store failed")]
    Store(#[from] keel_store::Error),
    /// The certificates.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The user.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Why a keyring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringProblem {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is none.
    #[error(transparent)]
    OpenPgp(#[from] openpgp::Error),
}

/// Why a signature is not good.
#[derive(Debug, thiserror::Error)]
pub enum SignatureProblem {
    /// The keys cannot be used.
    #[error("the keys in {path} cannot be used")]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<KeyringProblem>,
    },
    /// The signature cannot be had.
    #[error("the signature cannot be had from {place}: {answer}")]
    Absent {
        /// URL or path.
        place: String,
        /// What was answered.
        answer: Box<Answer>,
    },
    /// The archive cannot be unpacked.
    #[error("what was compressed in it cannot be read")]
    Archive(#[source] io::Error),
    /// It is not good.
    #[error(transparent)]
    OpenPgp(#[from] openpgp::Error),
}

/// One origin that was asked.
#[derive(Debug)]
pub struct Asked {
    /// The origin, as the lock writes it.
    pub origin: String,
    /// The exact place, if it got so far.
    pub place: Option<String>,
    /// What it answered.
    pub answer: Answer,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(place) = &self.place
            && *place != self.origin
        {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}", self.answer)
    }
}

impl Error {
    /// Is it the tree that must be changed? (Otherwise an origin, the machine or the store is at fault.)
    pub fn is_input(&self) -> bool {
        match self {
            Self::Unpinned { .. }
            | Self::FileName { .. }
            | Self::Twice { .. }
            | Self::Disagree { .. }
            | Self::OtherBytes { .. }
            | Self::NoOrigin { .. }
            | Self::Listed { .. }
            | Self::Weak { .. }
            | Self::NotNamed { .. }
            | Self::Overlay(_)
            | Self::BecameOther { .. }
            | Self::NoLookaside { .. }
            | Self::Lock(_) => true,
            // Those who have the file all have another one.
            Self::Unavailable { asked, .. } => {
                let is_other = |asked: &Asked| asked.answer.is_other();
                asked.iter().any(is_other)
                    && asked
                        .iter()
                        .all(|asked| is_other(asked) || asked.answer.is_absent())
            }
            _ => false,
        }
    }

    /// Does no origin have the file any more? Then a refresh may help.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Unavailable { asked, .. } => {
                !asked.is_empty() && asked.iter().all(|asked| asked.answer.is_absent())
            }
            _ => false,
        }
    }
}

/// All that is wrong. Never empty.
#[derive(Debug)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// `Ok(value)` if nothing is wrong. An interruption is told alone.
    pub(crate) fn check<T>(value: T, mut errors: Vec<Error>) -> Result<T, Self> {
        if errors.is_empty() {
            return Ok(value);
        }
        if let Some(at) = errors
            .iter()
            .position(|error| matches!(error, Error::Interrupted(_)))
        {
            errors = vec![errors.swap_remove(at)];
        }
        Err(Self(errors))
    }

    /// The errors.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// As the user should see them.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.0.iter().map(Error::diagnostic).collect()
    }

    /// Did the user interrupt?
    pub fn is_interrupted(&self) -> bool {
        self.0.iter().any(|error| matches!(error, Error::Interrupted(_)))
    }
}

impl<T: Into<Error>> From<T> for Errors {
    fn from(error: T) -> Self {
        Self(vec![error.into()])
    }
}

impl fmt::Display for Errors {
    /// One after another, with an empty line between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let gap = if index > 0 { "\n\n" } else { "" };
            write!(f, "{gap}{}", error.diagnostic())?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
