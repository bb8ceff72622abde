//! The first stage: text → [`Project`].
//!
//! Purpose: what people wrote, checked once and whole, so that no later stage meets an unknown key, a bad hash or
//! a name that leads out of its folder. The format is azldev's, with keys of Keel's own; `docs/explanation/model.md` numbers the
//! rules by which files become a project.
//!
//! Input: `keel.toml` (or `azldev.toml`), the files it includes, the image definitions and files of overlays they name, and
//! the trees it stands on. Output: a [`Project`]: sorted, serialisable, with every path absolute.
//!
//! 1. Find the project file, from a folder upwards ([`find`]).
//! 2. Read it and what it includes, as deep as includes go ([`includes`]), into trees of located values ([`tree`]); then the
//!    tree that it stands on ([`load`](mod@load)).
//! 3. Hold each file against the description of all tables and keys ([`model`], [`strict`]).
//! 4. Lay the files over each other by that description's rules ([`merge`]).
//! 5. Read settings, groups, resources and images ([`read`]), and each component with what it inherits ([`inherit`]).
//! 6. Check what only the whole can show ([`check`]).
//!
//! Invariants:
//! - All independent errors of all files are reported together, each with file, line, column and excerpt.
//! - A relative path counts from the file that says it.
//! - The same files give the same `Project`, whatever the order in which a folder lists them.
//! - A key is described once ([`model`]): check, merging, [`schema`](mod@schema) and [`reference()`] come from there.
//! - A component that says nothing of its own costs its name: what it inherits is shared.
//!
//! Beside that: definitions of images are made of other builders' ([`import`](mod@import)).
//!
//! Never: the environment, the network, another program; no file is written.
//!
//! Files owned: none. Files read: the project's TOML. (`keel.lock` belongs to the source stage; this one only
//! knows where it lies.)

mod check;
pub mod component;
mod crypt;
pub mod diagnostic;
mod dump;
mod explain;
pub mod image;
pub mod import;
mod includes;
mod inherit;
mod load;
mod merge;
mod model;
pub mod overlay;
mod project;
pub mod re2;
mod read;
mod reference;
mod resource;
pub mod schema;
pub mod select;
pub mod show;
pub mod size;
mod ssh;
mod strict;
mod table;
mod tree;

pub use component::{
    BuildOptions, Channels, Check, Component, Digest, Exception, Failure, Origin, PackageSettings, Settings,
    Signature, SignaturePlace, SourceFile, Spec, Upstream,
};
pub use diagnostic::{Diagnostic, Errors, Excerpt, Further, Location};
pub use dump::{Dump, dump};
pub use explain::{Explanation, Said, explain};
pub use image::Image;
pub use import::{Import, import};
pub use keel_artefact::glob;
pub use load::{Checkout, GitBase, find, load, load_with, nowhere};
pub use project::{
    BaseRepository, ComponentGroup, Distro, DistroDefinition, DistroVersion, Group, Input, Inputs, Lends,
    Project, Stage0, Tree,
};
pub use reference::reference;
pub use resource::{Repositories, Repository, TestRunner, TestSuite};
pub use show::{Shown, show};

/// The version of [`Project`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(3);

/// What a project's main file may be called, in order of preference.
pub const PROJECT_FILES: [&str; 2] = ["keel.toml", "azldev.toml"];
