//! The first stage: text → [`Project`].
//!
//! Purpose: what people wrote, checked once and whole, so that no later stage meets an unknown key, a bad hash or
//! a name that leads out of its folder.
//!
//! Input: `keel.toml` (or `azldev.toml`), the files it includes, the image definitions they name.
//! Output: a [`Project`]: sorted, serialisable, with every path absolute.
//!
//! 1. Find the project file, from a folder upwards ([`find`]).
//! 2. Read it and what it includes, as deep as includes go ([`includes`]); a cycle is refused.
//! 3. Read each file's tables strictly: an unknown key is an error with its place ([`table`]).
//! 4. Merge: components, images and groups are a union in which a name occurs once, settings are set once.
//! 5. Read the image definitions, and check what only the whole can show ([`check`]).
//!
//! Invariants:
//! - All independent errors of all files are reported together, each with file, line, column and excerpt.
//! - A relative path counts from the file that says it.
//! - The same files give the same `Project`, whatever the order in which a folder lists them.
//! - What azldev's format knows and this version of Keel does not do is an error, never ignored.
//!
//! Never: the environment, the network, another program; no file is written.
//!
//! Files owned: none. Files read: the project's TOML. (`keel.lock` belongs to the source stage; this one only
//! knows where it lies.)

mod check;
mod component;
mod definition;
pub mod diagnostic;
pub mod image;
mod includes;
mod load;
pub mod overlay;
mod project;
#[cfg(test)]
mod reference;
mod settings;
pub mod size;
mod table;

pub use diagnostic::{Diagnostic, Errors, Excerpt, Further, Location};
pub use image::Image;
pub use load::{find, load};
pub use project::{
    BuildOptions, Check, Component, Distro, Group, Lends, Origin, Project, SourceFile, Stage0,
};

/// The version of [`Project`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(1);

/// What a project's main file may be called, in order of preference.
pub const PROJECT_FILES: [&str; 2] = ["keel.toml", "azldev.toml"];
