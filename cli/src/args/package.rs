//! `keel package`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// Below the help of `keel package`.
pub const EXAMPLES: &str = "\
Examples:
  keel package check --all         all that was built, and as a repository
  keel package check zlib          the packages of one component
  keel package check some.rpm      a package of somebody else
  keel package diff OLD.rpm NEW.rpm
                                   libraries and their symbols, files, requirements
  keel package rules               what is looked at, and why";

/// `keel package`.
#[derive(Debug, Subcommand)]
pub enum Package {
    /// Hold packages against the rules; fail if there are errors
    Check(Check),
    /// What differs between two builds: symbols of libraries, dependencies, scripts, the header, files and what became of each
    Diff {
        /// A package file, a folder of packages, or a component: what was built of it
        old: String,
        /// The same; without it, OLD is a component: what is published of it against what was built
        new: Option<String>,
    },
    /// List all rules: how bad, what, why, and what to do
    Rules {
        /// Only these
        rules: Vec<String>,
    },
}

/// `keel package check`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Check {
    /// Components (what was built of them), package files, and folders of packages; those of a folder are a repository
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub packages: Vec<String>,
    /// All that was built, as a repository, and against what is published
    #[arg(long)]
    pub all: bool,
    /// Only these rules
    #[arg(long = "rules", value_name = "RULE", value_delimiter = ',')]
    pub rules: Vec<String>,
    /// Compare with the packages in DIR [default with --all: what is published in out/repo/ARCH]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub against: Option<PathBuf>,
    /// Tell what exceptions explain, too, and why
    #[arg(long)]
    pub allowed: bool,
}
