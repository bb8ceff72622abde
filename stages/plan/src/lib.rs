//! The fourth stage. Being written: the types are final, the function that makes them follows.

mod job;

pub use job::{Job, Plan, Targets};

/// The version of [`Plan`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(1);
