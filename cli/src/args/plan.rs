//! `keel plan`: its options.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};

use super::{Refresh, Targets};

/// `keel plan`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Plan {
    /// For what
    #[command(flatten)]
    pub targets: Targets,
    /// Builds at once, for the estimate [default: one a core]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Tell all about one component, or the one that makes this package: who asks for it, why it is built, what it waits for
    #[arg(long, value_name = "PACKAGE", conflicts_with_all = ["graph", "changed_since"])]
    pub explain: Option<String>,
    /// Print the graph of jobs
    #[arg(long, value_name = "FORM", conflicts_with = "changed_since")]
    pub graph: Option<Graph>,
    /// What a build of the files as they are now differs in from one of this revision: a commit, a branch, a tag
    #[arg(long, value_name = "REV", conflicts_with = "refresh")]
    pub changed_since: Option<String>,
    /// Options of fetching
    #[command(flatten)]
    pub refresh: Refresh,
}

/// Form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Graph {
    /// Graphviz' language.
    Dot,
    /// One JSON document.
    Json,
    /// A page to look at, in one file.
    Html,
}
