//! What crosses the boundaries between stages: identities, digests, formats and progress.
//!
//! Purpose: one word and one type for each idea that more than one stage speaks of. A value is parsed once, at
//! the edge, and is right from then on.
//!
//! - [`digest`]: SHA-256 identities ([`Sha256`]) and the hasher behind fingerprints.
//! - [`arch`]: the architecture that is part of every identity ([`Arch`], [`PackageArch`]).
//! - [`name`]: names of components, packages, images.
//! - [`nevra`]: epoch, version, release and their order ([`Evr`], [`Nevra`]).
//! - [`dependency`]: a capability, and what is asked of it ([`Dependency`]).
//! - [`rich`]: boolean dependencies as trees ([`Rich`]).
//! - [`path`]: a path inside a root ([`RootPath`]), never to be mixed with one on the host.
//! - [`purl`](mod@purl): names of packages across ecosystems.
//! - [`clock`]: the clock of the sources ([`Epoch`]).
//! - [`format`](mod@format): the version that every artefact on disk carries.
//! - [`glob`]: patterns of names and paths, for all that the tree writes.
//! - [`event`]: progress, told to a sink; libraries never print.
//! - [`interrupt`]: Ctrl-C as a value that is passed down.
//! - [`parallel`]: the same work on many things, on all cores.
//!
//! Never here: files, processes, the environment, the clock of the machine.

pub mod arch;
pub mod clock;
pub mod dependency;
pub mod digest;
pub mod event;
pub mod format;
pub mod glob;
pub mod interrupt;
pub mod name;
pub mod nevra;
pub mod parallel;
pub mod path;
pub mod purl;
pub mod rich;

pub use arch::{Arch, PackageArch};
pub use clock::Epoch;
pub use dependency::{Comparison, Dependency, Provide};
pub use digest::{Fingerprint, Sha256, Sha512};
pub use event::{Event, Sink};
pub use glob::Glob;
pub use interrupt::{Interrupt, Interrupted};
pub use name::{ComponentName, ImageName, PackageName};
pub use nevra::{Evr, Nevra};
pub use path::RootPath;
pub use purl::purl;
pub use rich::Rich;
