//! What an origin answered when it was asked for a file and did not give it.

use std::{io, path::PathBuf, time::Duration};

use keel_artefact::{Sha256, Sha512};

/// Why an origin did not give the file. Each is told to the user beside the origin's name.
#[derive(Debug, thiserror::Error)]
pub enum Answer {
    /// It has no such file.
    #[error("it is not there ({status})")]
    Absent {
        /// 404 or 410.
        status: u16,
    },
    /// There is no such file on this machine.
    #[error("there is no such file")]
    NoFile(#[source] io::Error),
    /// The server refused, or is not well.
    #[error("the server answered {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// No connection, or it broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Nothing came for a while.
    #[error("the connection stalled: not a byte for {} seconds", .0.as_secs_f32())]
    Stalled(Duration),
    /// The whole took too long.
    #[error("it took longer than {} seconds in all", .0.as_secs_f32())]
    TimeUp(Duration),
    /// It sent the request somewhere else, where this origin must not lead.
    #[error("it redirects to `{to}`: {why}")]
    Redirect {
        /// Where.
        to: String,
        /// Why that is refused.
        why: &'static str,
    },
    /// The connection ended before the file did.
    #[error("it broke off after {found} bytes{}", wanted.map(|wanted| format!(" of {wanted}")).unwrap_or_default())]
    Truncated {
        /// Bytes that came.
        found: u64,
        /// Bytes that should have come.
        wanted: Option<u64>,
    },
    /// More bytes than the file may have.
    #[error("it sends more than the {limit} bytes that the file may have")]
    TooBig {
        /// The most that was to be taken.
        limit: u64,
    },
    /// The file has another size than the pinned one.
    #[error("it offers {found} bytes, the pinned file has {wanted}")]
    WrongSize {
        /// Bytes offered.
        found: u64,
        /// Bytes pinned.
        wanted: u64,
    },
    /// All bytes came, and they are not the pinned ones.
    #[error("it gave other bytes: SHA-256 {found}")]
    WrongBytes {
        /// The digest of what it gave.
        found: Sha256,
    },
    /// All bytes came, and they are not those of the SHA-512.
    #[error("it gave other bytes: SHA-512 {found}")]
    OtherBytes {
        /// The digest of what it gave.
        found: Sha512,
    },
    /// It answered something that makes no sense.
    #[error("its answer makes no sense: {0}")]
    Nonsense(String),
    /// Its URL is not allowed.
    #[error("its URL is refused: {0}")]
    Url(#[from] crate::http::UrlError),
    /// Nobody said where Debian's archive is.
    #[error("no mirror is known for the suite `{0}`")]
    NoMirror(String),
    /// Nobody said where the registry is.
    #[error("no address is known for the registry `{0}`")]
    NoRegistry(&'static str),
    /// git failed.
    #[error("{0}")]
    Git(Box<keel_host::Error>),
    /// It is to be made first.
    #[error("nothing has made it yet: pin what it makes by `hash`")]
    NotMade,
    /// The network is not to be used.
    #[error("not asked: --offline")]
    Offline,
    /// Reading it on this machine failed.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Answer {
    /// Does the origin say that it does not have the file, and will not have it on the next try either?
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::NoFile(_))
    }

    /// Does the origin have another file than the pinned one?
    pub(crate) fn is_other(&self) -> bool {
        matches!(
            self,
            Self::WrongBytes { .. } | Self::OtherBytes { .. } | Self::WrongSize { .. }
        )
    }

    /// May the same request succeed if it is made again?
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Stalled(_) | Self::Truncated { .. } => true,
            Self::Status { status } => *status >= 500 || matches!(status, 408 | 425 | 429),
            _ => false,
        }
    }
}
