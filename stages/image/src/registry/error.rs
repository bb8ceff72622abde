//! What can go wrong with a registry, each naming its object.

use std::path::PathBuf;

use keel_artefact::{Sha256, interrupt::Interrupted};

use super::reference::Reference;

/// An image could not be pushed or pulled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A registry elsewhere is never asked without TLS.
    #[error(
        "`{0}` is not on this machine: without TLS anybody on the way could read the password and change the image"
    )]
    Insecure(String),
    /// What a layout calls its image is no tag.
    #[error(
        "the layout calls its image `{tag}`, which no registry takes for a tag: say which (REPOSITORY:TAG)"
    )]
    NoTag {
        /// As the layout says it.
        tag: String,
    },
    /// A file of logins cannot be used.
    #[error("cannot take a login from {}: {why}", file.display())]
    Logins {
        /// The file.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// Certificates cannot be used.
    #[error("cannot read certificates from {}", file.display())]
    Certificates {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The registry did not do what it was asked for.
    #[error("cannot {action} {what} of `{reference}`: {answer}")]
    Answer {
        /// The image.
        reference: Box<Reference>,
        /// Push, pull.
        action: &'static str,
        /// A manifest, a blob.
        what: String,
        /// What it answered.
        answer: Box<Answer>,
    },
    /// An image is not pushed under a digest that it does not have.
    #[error("the image is sha256:{found}, and cannot be pushed as `{reference}`")]
    OtherImage {
        /// The name.
        reference: Box<Reference>,
        /// Its digest.
        found: Sha256,
    },
    /// What is there is not replaced.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The image's files on this machine.
    #[error(transparent)]
    Image(#[from] crate::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
    /// The user ended it. Not transparent: that is a cause, which those find who look for it.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
}

/// What a registry answered when it was asked for something.
#[derive(Debug, thiserror::Error)]
pub enum Answer {
    /// It refused, or is not well.
    #[error("the registry answered {status}{said}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What it says about it: empty, or `: ` and codes.
        said: String,
        /// How long to wait before the next try, in seconds, if it says so.
        wait: Option<u64>,
    },
    /// It does not know who asks, or does not let them.
    #[error("the registry does not allow it ({status}{said})")]
    Denied {
        /// 401 or 403.
        status: u16,
        /// What it says about it.
        said: String,
    },
    /// It has no such thing.
    #[error("the registry does not have it")]
    Absent,
    /// No connection, or it broke.
    #[error("the registry cannot be reached: {0}")]
    Unreachable(String),
    /// It sent the request somewhere else, where it must not lead.
    #[error("the registry leads to `{to}`: {why}")]
    Elsewhere {
        /// Where.
        to: String,
        /// Why that is refused.
        why: &'static str,
    },
    /// More bytes than there may be.
    #[error("it has more than the {limit} bytes that it may have")]
    TooBig {
        /// The most that was to be taken.
        limit: u64,
    },
    /// The connection ended before the blob did.
    #[error("it broke off after {found} of {wanted} bytes")]
    Truncated {
        /// Bytes that came.
        found: u64,
        /// Bytes that should have come.
        wanted: u64,
    },
    /// Other bytes than those that were asked for.
    #[error("the registry gave other bytes: sha256:{found}, not sha256:{wanted}")]
    WrongBytes {
        /// The digest of what came.
        found: Sha256,
        /// The digest that was asked for.
        wanted: Sha256,
    },
    /// It answered something that makes no sense.
    #[error("its answer makes no sense: {0}")]
    Nonsense(String),
    /// There is no such platform.
    #[error("it is not there for {wanted}, but for {}", there.join(", "))]
    NoPlatform {
        /// What was wanted.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// This machine failed meanwhile.
    #[error("a file of this machine failed: {0}")]
    Here(#[from] std::io::Error),
}

impl Answer {
    /// May the same request succeed if it is made again?
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Truncated { .. } => true,
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            _ => false,
        }
    }
}

/// Either the registry's answer, or that the user interrupted.
#[derive(Debug)]
pub(crate) enum Failure {
    Answer(Answer),
    Interrupted(Interrupted),
}

impl From<Answer> for Failure {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Answer(Answer::Here(error))
    }
}

impl From<Interrupted> for Failure {
    fn from(interrupted: Interrupted) -> Self {
        Self::Interrupted(interrupted)
    }
}

impl Failure {
    /// Says what was being done.
    pub(crate) fn when(
        self,
        action: &'static str,
        what: impl std::fmt::Display,
        reference: &Reference,
    ) -> Error {
        match self {
            Self::Interrupted(interrupted) => interrupted.into(),
            Self::Answer(answer) => Error::Answer {
                reference: Box::new(reference.clone()),
                action,
                what: what.to_string(),
                answer: Box::new(answer),
            },
        }
    }
}
