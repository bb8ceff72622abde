//! OpenPGP: keys, signed packages, detached signatures of metadata, and verifying them.
//!
//! Keys are made as Ed25519 in the form that OpenPGP version 4 gave them (`EdDSALegacy`, RFC 9580 §9.1): rpm 4.18,
//! GnuPG 2.2 and dnf 4 read it. Given RSA, ECDSA and Ed25519 keys sign too.
//!
//! A signature's time is an argument, never the clock: the same package, key and time give the same bytes (Ed25519 has
//! no nonce). A time before the key's creation becomes that of the creation: verifiers refuse signatures that are
//! older than their key.

mod certificates;
mod key;
mod package;

use std::{fmt, io, path::PathBuf};

use keel_artefact::Epoch;

pub use certificates::Certificates;
pub use key::Key;
pub use package::{Signed, clear_package, sign_package, verify_package};

/// The fingerprint of a primary key, written as upper-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct KeyFingerprint(String);

impl KeyFingerprint {
    pub(crate) fn of(key: &impl pgp::types::KeyDetails) -> Self {
        Self(hex::encode_upper(key.fingerprint().as_bytes()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key cannot be used, or a signature is not good.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key file cannot be read or written.
    #[error("cannot {what} the key file `{path}`")]
    File {
        /// `read`, `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A text holds no key, or a damaged one.
    #[error("{what} is not a readable OpenPGP key")]
    Key {
        /// Where it came from.
        what: String,
        /// Why.
        source: Box<pgp::errors::Error>,
    },
    /// A text holds no key at all.
    #[error("{0} holds no OpenPGP key")]
    NoKey(String),
    /// A key exists but must not be used.
    #[error("the key {key} cannot be used: {why}")]
    Unusable {
        /// The key.
        key: KeyFingerprint,
        /// `it expired at …`, `it was revoked`.
        why: String,
    },
    /// A secret key is locked by a passphrase.
    #[error("the secret key {0} is locked by a passphrase; Keel signs with an unlocked key file")]
    Locked(KeyFingerprint),
    /// Making a key or a signature failed.
    #[error("cannot {what}")]
    Make {
        /// `make a key`, `sign`.
        what: &'static str,
        /// Why.
        source: Box<pgp::errors::Error>,
    },
    /// Nothing is signed at all.
    #[error("{0} is not signed")]
    Unsigned(String),
    /// A signature cannot be read.
    #[error("the signature of {what} cannot be read")]
    Unreadable {
        /// What it should sign.
        what: String,
        /// Why.
        source: Box<pgp::errors::Error>,
    },
    /// A signature is by a key that is not among those trusted.
    #[error("{what} is signed by {issuer}, which is not a trusted key")]
    Foreign {
        /// What is signed.
        what: String,
        /// Fingerprint or key id as the signature gives it.
        issuer: String,
    },
    /// A signature exists and must not be accepted.
    #[error("the signature of {what} by {key} is not acceptable: {why}")]
    Unacceptable {
        /// What is signed.
        what: String,
        /// The key.
        key: KeyFingerprint,
        /// `it was made after the key expired`.
        why: String,
    },
    /// A signature does not fit the data.
    #[error("the signature of {what} by {key} does not fit its content")]
    Bad {
        /// What is signed.
        what: String,
        /// The key.
        key: KeyFingerprint,
        /// Why.
        source: Box<pgp::errors::Error>,
    },
}

/// OpenPGP counts seconds in 32 bits.
fn timestamp(time: Epoch) -> pgp::types::Timestamp {
    pgp::types::Timestamp::from_secs(time.0.min(u32::MAX.into()) as u32)
}
