//! Debian's archive: what the machine's apt configuration says, and what the signed index says.
//!
//! - [`apt`]: texts of `sources.list` and `*.sources` → [`Mirrors`](apt::Mirrors).
//! - [`deb822`]: paragraphs of fields, as in every index of the archive.
//! - [`version`]: the order of Debian's versions, and the series that a version belongs to.
//! - [`openpgp`]: the clear-signature over `InRelease`.
//! - [`release`]: `InRelease`: digests of the indexes, trusted by that signature.
//! - [`index`]: `Sources` and `Packages`: digests of the files in the pool, trusted by the release.

pub mod apt;
pub mod deb822;
pub mod index;
pub mod openpgp;
pub mod release;
pub mod version;
