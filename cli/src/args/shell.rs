//! `keel shell` and `keel reproduce`.

use clap::Args;
use keel_artefact::ComponentName;

use super::{How, Targets};

/// `keel shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// The component
    pub component: ComponentName,
    /// Compose the root anew, though that of a failed build is kept
    #[arg(long)]
    pub fresh: bool,
    /// Be root inside (of the sandbox alone), not the builder
    #[arg(long)]
    pub root: bool,
    /// What to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `keel reproduce`.
#[derive(Debug, Args)]
pub struct Reproduce {
    /// What is built twice; what it needs is built once
    #[command(flatten)]
    pub targets: Targets,
    /// How
    #[command(flatten)]
    pub how: How,
}
