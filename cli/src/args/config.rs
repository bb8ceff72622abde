//! `keel config`, and which components a command means.

use clap::{Args, Subcommand, ValueEnum};
use keel_config::select::Selection;

/// `keel config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Is the configuration right? Nothing but TOML is read; tells how much there is of what
    Check,
    /// Print what all files together say, as one TOML file (or JSON), paths absolute; read back, it is the same project
    Dump {
        /// Each component with all that it inherits
        #[arg(long)]
        resolve: bool,
    },
    /// Tell where a value comes from: each file and layer that says something, and which counts
    Explain {
        /// A key, from the top, or a table: `components.bash.build.check.skip`, `components.bash`
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Print the JSON Schema of a kind of file, for editors
    Schema {
        /// Which kind of file
        #[arg(long = "of", value_name = "FILE", default_value = "project")]
        kind: SchemaOf,
    },
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// `keel.toml` and what it includes.
    Project,
    /// `NAME.image.toml`.
    Image,
    /// `NAME.overlay.toml`.
    Overlays,
}

/// Which components.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub struct Select {
    /// Names, or patterns of names: `bash`, `python-*`
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// The same as PATTERN
    #[arg(short = 'p', long = "component", value_name = "PATTERN")]
    pub more: Vec<String>,
    /// The components of a group (may be given more than once)
    #[arg(short, long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// All of them
    #[arg(short, long, conflicts_with_all = ["patterns", "more", "groups"])]
    pub all: bool,
}

impl Select {
    /// Is anything chosen, be it all?
    pub fn says_any(&self) -> bool {
        let is_empty = self.patterns.is_empty() && self.more.is_empty() && self.groups.is_empty();
        self.all || !is_empty
    }

    /// As the library wants it.
    pub fn selection(&self) -> Selection {
        Selection {
            patterns: self.patterns.iter().chain(&self.more).cloned().collect(),
            groups: self.groups.clone(),
        }
    }
}
