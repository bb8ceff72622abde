//! Keel's evaluation of SPECs against rpm's: `xtask conformance …`
//!
//! - `--corpus DIR --baseline FILE`: a corpus, field by field ([`corpus`]).
//! - `rpm-suite …`: rpm's own test suite ([`suite`]).
//!
//! Corpora, baselines and rpm's suite are fetched by whoever runs this and are never committed: docs/how-to/conformance.md.

mod corpus;
mod fields;
mod graph;
mod keel;
mod mapping;
pub mod suite;
mod table;

use anyhow::Result;

pub use corpus::{Spec, read_baseline, sample};
pub use keel::Keel;
pub use mapping::from_keel;

use crate::options::Options;

/// Runs the task.
pub fn run(arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        Some((first, rest)) if first == "rpm-suite" => suite::run(Options::new(rest)),
        _ => corpus::run(Options::new(arguments)),
    }
}
