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
pub mod component;
mod component_table;
mod definition;
pub mod diagnostic;
mod dump;
mod explain;
pub mod image;
mod includes;
mod inherit;
mod load;
mod merge;
mod model;
pub mod overlay;
mod overlays;
mod project;
mod reference;
mod resource;
mod resources;
pub mod schema;
pub mod select;
mod settings;
pub mod size;
mod source_files;
mod strict;
mod table;
mod tree;

pub use component::{
    BuildOptions, Channels, Check, Component, Digest, Failure, Origin, PackageSettings, Settings, SourceFile,
    Spec, Upstream,
};
pub use diagnostic::{Diagnostic, Errors, Excerpt, Further, Location};
pub use dump::{Dump, dump};
pub use explain::{Explanation, Said, explain};
pub use image::Image;
pub use load::{Checkout, GitBase, find, load, load_with, nowhere};
pub use project::{
    ComponentGroup, Distro, DistroDefinition, DistroVersion, Group, Input, Inputs, Lends, Project, Stage0,
    Tree,
};
pub use reference::reference;
pub use resource::{Repositories, Repository, TestRunner, TestSuite};

/// The version of [`Project`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(2);

/// What a project's main file may be called, in order of preference.
pub const PROJECT_FILES: [&str; 2] = ["keel.toml", "azldev.toml"];
