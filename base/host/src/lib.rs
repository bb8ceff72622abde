//! Programs that Keel did not write: the root that lends them, and one file for each.
//!
//! Input: typed requests. Output: what the programs made, or an [`Error`] with the command line, how it ended and its
//! last lines.
//!
//! 1. [`stage0::prepare`] makes a Debian root once, splits it into layers and keeps it in the store.
//! 2. [`rpmbuild`], [`rpmdb`], [`mkfs_erofs`], [`mkfs_ext4`], [`mksquashfs`], [`xorriso`], [`ldconfig`] run in a sandbox over such layers: the machine needs
//!    none of them.
//! 3. [`mmdebstrap`] (which makes the root), [`qemu`], [`git`], [`disorderfs`] and [`diffoscope`] are programs of the machine; one that is missing is an error that
//!    names the Debian package ([`Program`]).
//!
//! Invariants: what runs in stage0 sees no network; what these programs make depends on their inputs alone (fixed
//! time zone, locale, clock, identities), which the tests show by doing it twice.
//!
//! Never: looks for a program in the caller's `PATH` (only in the folders of the system), or runs a shell line that
//! contains a name from outside.
//!
//! | on disk | owner |
//! |---|---|
//! | store: trees of kind `stage0` | [`stage0`] |

pub mod diffoscope;
pub mod disorderfs;
mod error;
pub mod git;
pub mod ldconfig;
pub mod mkfs_erofs;
pub mod mkfs_ext4;
pub mod mksquashfs;
pub mod mmdebstrap;
mod program;
pub mod qemu;
pub mod rpmbuild;
pub mod rpmdb;
mod scratch;
pub mod stage0;
mod swtpm;
pub mod xorriso;

pub use error::Error;
pub use program::Program;
