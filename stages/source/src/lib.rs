//! The third stage: project and recipes → [`SourceSet`]s.
//!
//! Being written: the types are final, the functions follow.

mod set;

pub use set::{Kind, PinnedFile, SourceSet};

/// The version of [`SourceSet`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(1);
