//! The third stage: project and recipes → [`SourceSet`]s.
//!
//! Purpose: every byte that a build reads is pinned by SHA-256, and is in the store before anything is built.
//!
//! Input: a [`Project`](keel_config::Project), its [`Recipe`](keel_spec::Recipe)s, `keel.lock`, and what the machine
//! says about mirrors ([`Options`]). Output: one [`SourceSet`] a recipe, all of its files in the store.
//!
//! 1. Each `SourceN` and `PatchN` is a file beside the SPEC, or pinned by configuration and lock.
//! 2. What the store lacks is fetched, several files at once, from the first [`Origin`] that gives the right bytes
//!    ([`fetch()`]); a transfer that broke goes on where it stopped.
//!    What a plan needs to know of them, [`pinned()`] says without fetching.
//! 3. [`lock()`] pins what is not pinned yet: Debian's files through the archive's signed index ([`debian`]), crates
//!    and Python distributions through their registries' checksums, others on first use.
//!    Where the configuration asks for an upstream's signature, nothing is locked without it.
//! 4. [`refresh()`] replaces pinned files that no origin has any more, and says so.
//! 5. [`update()`] says what has a newer version where it comes from.
//! 6. [`verify()`] reads all pinned files in the store again.
//! 7. [`overlaid()`] puts archives that overlays change in the place of those that were fetched.
//! 8. [`lookaside`] brings files of other distributions' SPECs, by the digests in their `sources`.
//!
//! Invariants:
//! - Bytes with another digest than the pinned one never become an object, whoever sent them.
//! - A network that is slow, dead or malicious costs time, within limits, and never memory or disk without bound.
//! - `keel.lock` is only written by [`lock()`], the project's TOML only by [`updating::edit()`]; what a refresh finds goes to a file of its own and says `locked = false`.
//! - A run that is killed leaves partial files that the next run goes on with, and nothing that looks finished.
//!
//! Never: the environment, the clock (but to measure how long something takes), a name in a lock that is the
//! machine's own (a mirror, a registry, an absolute path of the project).
//!
//! | file | owner |
//! |---|---|
//! | `keel.lock` | [`lock`](mod@lock), written by [`lock()`] |
//! | `out/keel.refreshed.lock` (the path is an argument) | [`refresh()`] |
//! | `tmp/partial/DIGEST` in the store's folder | [`fetch()`] |

mod answer;
mod archive;
mod commit;
pub mod debian;
pub mod dist_git;
mod download;
mod error;
mod fetch;
mod generated;
mod http;
pub mod lock;
mod locking;
pub mod lookaside;
mod options;
pub mod origin;
mod overlaid;
pub mod refresh;
mod set;
mod signature;
mod transfer;
pub mod updating;
mod verify;
mod wanted;

pub use answer::Answer;
pub use debian::apt::Mirrors;
pub use dist_git::{DistGit, dist_git};
pub use error::{Asked, Error, Errors, KeyringProblem, SignatureProblem};
pub use fetch::{check, fetch, pinned};
pub use http::{CertificateError, UrlError};
pub use lock::{Lock, Published};
pub use locking::{Change, LockChange, lock};
pub use options::{Limits, Options, Registries, Trust};
pub use origin::Origin;
pub use overlaid::overlaid;
pub use refresh::{LOCK_NAME, Refreshed, Replacement, refresh};
pub use set::{Kind, PinnedFile, SourceSet};
pub use transfer::{Remote, TransferError, bring, document};
pub use updating::update;
pub use verify::{State, Verified, verify};
pub use wanted::{FileNameError, origins};

/// The version of [`SourceSet`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(1);
