//! What is checked of finished packages: each rule with its severity, its reason, and what to do.
//!
//! Input: package files, and a [`Policy`] (what the tree says: users, severities, exceptions). Output: [`Finding`]s, sorted.
//!
//! 1. [`facts`] reads a package once: its header, what its ELF files say, what its other files hold. Kept in the store by the
//!    package's digest.
//! 2. [`rules`](mod@rules) are a table: a function each, over the facts of one package, of a component's packages, of all packages
//!    of a repository ([`World`]), or of two versions of a package ([`diff`]).
//! 3. [`check`] calls them, and holds what they find against the policy: severities that the tree changes, exceptions that it
//!    explains, and exceptions that nothing needs any more.
//!
//! Invariants: the same packages and policy give the same findings in the same order; no package makes this crate panic or take
//! memory out of proportion ([`keel_rpm`] bounds what is read).
//!
//! Never: changes a package, prints, reads the network.
//!
//! Files owned: store actions `package-facts` and `package-checks`.

pub mod check;
pub mod diff;
pub mod facts;
pub mod policy;
pub mod rules;
mod world;

pub use check::{Findings, component, repository};
pub use facts::{Elf, Facts, Kind, Objects, Package};
pub use policy::{Allowance, Policy};
pub use rules::{Finding, Rule, Scope, Severity, rules};
pub use world::World;

use keel_rpm::solve::Stopped;

/// A package cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] keel_artefact::Interrupted),
    /// What a package requires is too hard to tell.
    #[error("{stopped} ({hint})", stopped = .0, hint = Stopped::HINT)]
    TooHard(Stopped),
    /// A package cannot be read.
    #[error(transparent)]
    Package(#[from] keel_rpm::Error),
    /// A file or folder cannot be read; the message names it.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Interrupted(interrupted) => Self::Interrupted(interrupted),
            stopped => Self::TooHard(stopped),
        }
    }
}
