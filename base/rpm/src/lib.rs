//! RPM packages: reading them, unpacking them safely, signing them, and what the ELF files inside say.
//!
//! Input: package files, which may be hostile. Output: values of this crate, files in a folder that the caller names,
//! and signed copies.
//!
//! 1. [`read`] parses lead, signature header and header into a [`PackageInfo`] without touching the payload.
//! 2. [`payload`](fn@payload) streams the files of the payload, each checked against the header.
//! 3. [`unpack`](fn@unpack) writes them into a folder.
//! 4. [`elf`], [`exports`](mod@exports) and [`archive`] tell what a file in a package needs, provides, and how it is hardened.
//! 5. [`solve`] says which packages a set of wishes needs, from several repositories and what is installed.
//! 6. [`sign`] makes keys, signs packages and metadata, and verifies both.
//!
//! Invariants: no input makes this crate panic, loop without end or take memory out of proportion to the file; a path
//! of a package is a [`RootPath`](keel_artefact::RootPath) from the moment it is read; nothing is written outside the
//! folder given, nor through a symbolic link that a package planted; a file whose size or digest differs from the
//! header is an error, not data.
//!
//! Never: runs scriptlets, changes owners, reads the clock or the environment, builds packages.
//!
//! Files owned: none. [`unpack`](fn@unpack) and [`sign`] write where the caller says.

pub mod archive;
mod blob;
mod cpio;
pub mod elf;
mod error;
pub mod exports;
mod files;
mod info;
pub mod payload;
pub mod sign;
pub mod solve;
pub mod unpack;

pub use error::{Error, Fault};
pub use files::{FileFlags, FileInfo, FileKind};
pub use info::{PackageInfo, SCRIPTS, read, read_with_metadata};
pub use payload::{Limits, payload};
pub use unpack::unpack;
