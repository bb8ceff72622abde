//! What became of `%check`: it is told of every component, so that none is left out unseen.

use std::fmt;

use keel_plan::Job;
use serde::{Deserialize, Serialize};

use crate::Built;

/// What became of `%check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Check {
    /// It ran, and passed.
    Passed,
    /// The SPEC has none.
    None,
    /// It did not run.
    LeftOut {
        /// Who left it out, and why.
        by: String,
    },
}

impl Check {
    /// Of a finished job.
    pub fn of(job: &Job, built: &Built) -> Self {
        // An older Keel did not listen: what is in the SPEC ran.
        let ran = built.checked.unwrap_or(job.recipe.has_check && !job.skip_check);
        match (ran, &job.skip) {
            (true, _) => Self::Passed,
            (false, Some(skip)) if job.recipe.has_check => Self::LeftOut { by: skip.to_string() },
            (false, None) if job.recipe.has_check => Self::LeftOut {
                by: "by rpmbuild: the section is empty, or a macro of the distribution leaves it out"
                    .to_owned(),
            },
            (false, _) => Self::None,
        }
    }

    /// One word, for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::None => "none",
            Self::LeftOut { .. } => "left-out",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("%check passed"),
            Self::None => f.write_str("no %check"),
            Self::LeftOut { by } => write!(f, "%check left out {by}"),
        }
    }
}
