//! The second stage: [`Project`](keel_config::Project) → [`Recipe`]s.
//!
//! Being written: the types are final, the function that makes them follows.

mod recipe;

pub use recipe::{BuildRequire, Recipe, RecipePackage, RecipeSource, SourceKind};

/// The version of [`Recipe`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(1);
