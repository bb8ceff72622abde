//! Why a component could not be rendered.

use std::{io, path::PathBuf};

use keel_config::Diagnostic;

use super::sources_file;
use crate::overlay;

/// Why a component could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An overlay does not apply.
    #[error(transparent)]
    Overlay(#[from] overlay::Error),
    /// A name that can be no folder's.
    #[error("`{name}` is no name of a component that has a folder")]
    Name {
        /// The name.
        name: String,
    },
    /// The SPEC is not there.
    #[error("there is no SPEC {path}")]
    NoSpec {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is another SPEC that has the component's name.
    #[error("{spec} should become {other}, which is there already")]
    TwoSpecs {
        /// The SPEC.
        spec: String,
        /// The other one.
        other: String,
    },
    /// The name of the macros file would need quotes in a SPEC.
    #[error("the macros file of `{name}` would have a name that a SPEC cannot say")]
    MacrosName {
        /// The component's.
        name: String,
    },
    /// There is no Release to count up.
    #[error("{spec} has no Release in its preamble")]
    NoRelease {
        /// The SPEC.
        spec: String,
    },
    /// The Release leaves its number to rpmautospec, and the configuration does not.
    #[error(
        "{spec} uses %autorelease, and the component says `release.calculation = \"static\"`; say \"autorelease\""
    )]
    Autorelease {
        /// The SPEC.
        spec: String,
    },
    /// The Release is none that can be counted up.
    #[error(
        "the Release `{value}` of {spec} is not a number with or without %{{?dist}}; say `release.calculation = \"manual\"`, \
         and set it with `spec-set-tag`"
    )]
    OddRelease {
        /// The SPEC.
        spec: String,
        /// The Release.
        value: String,
    },
    /// `sources` and `source-files` do not go together.
    #[error(transparent)]
    Sources(#[from] sources_file::Error),
    /// The SPEC cannot be evaluated, so that nobody knows its files.
    #[error("the SPEC cannot be evaluated:\n{}", shown(.errors))]
    Evaluation {
        /// What is wrong, where it was written.
        errors: Vec<Diagnostic>,
    },
    /// Something that is no file of the folder.
    #[error("{path} is a link that leads out of its folder, or no file")]
    Link {
        /// Where.
        path: PathBuf,
    },
    /// Folders in folders in folders.
    #[error("{path} is nested too deep")]
    Deep {
        /// Where.
        path: PathBuf,
    },
    /// What would be rendered lies where it would be rendered to, or the other way round.
    #[error("the SPEC's folder {input} and {output}, where it would be rendered to, are in one another")]
    InOneAnother {
        /// The pristine folder.
        input: PathBuf,
        /// The folder that would be written.
        output: PathBuf,
    },
    /// The link's place is taken.
    #[error("{path} is no link, and is not replaced by one")]
    Occupied {
        /// Where.
        path: PathBuf,
    },
    /// A file cannot be read or written; the error names it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn shown(errors: &[Diagnostic]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("\n")
}
