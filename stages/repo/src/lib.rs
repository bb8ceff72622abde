//! Packages → Repository: signed packages with rpm-md metadata, and a small server for them.
//!
//! Input: the [`Packages`](keel_build::Packages) of a run, their bytes in the store, and a key. Output: a folder that
//! any RPM client can use, and the [`Repository`] that tells what is in it.
//!
//! 1. [`create`](fn@create) signs each package (a signed copy is kept in the store, so that an unchanged package is not
//!    signed again), writes the three repositories below, and swaps their metadata in.
//! 2. [`sign`](fn@sign) does the same with what is already in a repository.
//! 3. [`open`](fn@open) reads a repository back and trusts nothing that is not signed or named by something signed.
//! 4. [`verify`](fn@verify) reads every byte and reports every difference.
//! 5. [`standing`](fn@standing) tells before that what is published already: what is damaged is made anew, and a name that
//!    gets other bytes is told ([`other_bytes`]).
//! 6. [`offer`] reads what somebody else's repository has, for trees that stand on another one.
//! 7. [`serve`](fn@serve) hands the folder out over HTTP; [`client_config`] is the `.repo` file that goes with it.
//!
//! Layout of a repository for one architecture. Each of the three folders is complete in itself:
//!
//! ```text
//! out/repo/x86_64/
//!   os/      what users install
//!   debug/   -debuginfo and -debugsource
//!   source/  source packages
//!     Packages/z/zlib-1.3.1-1.kl1.x86_64.rpm
//!     repodata/repomd.xml, repomd.xml.asc (signature), repomd.xml.key (certificate)
//!     repodata/<sha256>-primary.xml.zst, …-filelists.xml.zst, …-other.xml.zst
//! ```
//!
//! Invariants: the same packages, key and epoch give the same bytes (packages sorted by identity, all times are those
//! of the builds, signatures are deterministic); a client never sees metadata that names a package which is not there
//! yet; what a killed run left is cleared by the next.
//!
//! Never: builds, keeps keys, decides what is trusted, prints.
//!
//! Files owned: everything under the folder given to [`create`](fn@create); store actions of kind `signed-package`.

mod client;
pub mod create;
mod error;
mod manifest;
mod metadata;
pub mod offer;
pub mod open;
mod publish;
pub mod serve;
mod signing;
pub mod standing;
pub mod verify;

use std::path::{Path, PathBuf};

use keel_artefact::{Arch, Nevra, Sha256, format};
use keel_rpm::sign::KeyFingerprint;
use serde::{Deserialize, Serialize};

pub use client::client_config;
pub use create::{create, lay_out, sign};
pub use error::Error;
pub use open::open;
pub use serve::serve;
pub use standing::{Damaged, Standing, other_bytes, recover, standing};
pub use verify::{Difference, Report, verify};

/// The version of [`Repository`] as JSON.
pub const FORMAT: format::Version = format::Version(1);

/// Which of the sibling repositories a package is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// What users install.
    Os,
    /// Debugging information.
    Debug,
    /// Source packages.
    Source,
}

impl Section {
    /// All, in the order in which they are written.
    pub const ALL: [Self; 3] = [Self::Os, Self::Debug, Self::Source];

    /// The folder of it.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Debug => "debug",
            Self::Source => "source",
        }
    }

    /// What `repomd.xml` calls its content: `binary-x86_64`.
    fn content_tag(self, arch: Arch) -> String {
        let kind = match self {
            Self::Os => "binary",
            Self::Debug => "debug",
            Self::Source => "source",
        };
        format!("{kind}-{arch}")
    }
}

impl From<keel_build::Kind> for Section {
    fn from(kind: keel_build::Kind) -> Self {
        match kind {
            keel_build::Kind::Binary => Self::Os,
            keel_build::Kind::Debug => Self::Debug,
            keel_build::Kind::Source => Self::Source,
        }
    }
}

/// One package of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its identity.
    pub nevra: Nevra,
    /// Where it is.
    pub section: Section,
    /// The package file on the host.
    pub file: PathBuf,
    /// SHA-256 of the package file, as the metadata gives it.
    pub digest: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

/// A repository for one architecture, as it was made or verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Version of this format.
    pub format: format::Version,
    /// The folder with [`Section`]s in it.
    pub dir: PathBuf,
    /// The architecture.
    pub arch: Arch,
    /// Its packages, by section and identity.
    pub packages: Vec<Entry>,
    /// Whose signature packages and metadata carry.
    pub signed_by: Option<KeyFingerprint>,
}

impl Repository {
    /// The packages that users install.
    pub fn installable(&self) -> impl Iterator<Item = &Entry> {
        self.packages.iter().filter(|entry| entry.section == Section::Os)
    }

    /// Where the certificate lies that verifies it, when it is signed.
    pub fn certificate(&self) -> Option<PathBuf> {
        let path = section_dir(&self.dir, Section::Os)
            .join("repodata")
            .join(manifest::KEY);
        self.signed_by.is_some().then_some(path)
    }
}

/// The folder of a section.
fn section_dir(dir: &Path, section: Section) -> PathBuf {
    dir.join(section.folder())
}
