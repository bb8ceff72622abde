//! Every artefact and lock on disk says which version of its format it has.

use serde::{Deserialize, Serialize};

/// The version of an artefact's format. Readers refuse one that they do not know; nothing is guessed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

/// An artefact has a format that this Keel cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} has format version {found}, this keel reads version {known}")]
pub struct Mismatch {
    /// Which artefact.
    pub what: String,
    /// The version it carries.
    pub found: u32,
    /// The version this program knows.
    pub known: u32,
}

impl Version {
    /// Fails unless it is the `known` one.
    pub fn check(self, what: impl Into<String>, known: Self) -> Result<(), Mismatch> {
        if self == known {
            Ok(())
        } else {
            Err(Mismatch {
                what: what.into(),
                found: self.0,
                known: known.0,
            })
        }
    }
}
