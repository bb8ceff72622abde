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
        // An older Keel did not listen: what is in the SPEC ran. What was heard may be a line of the build's own.
        let ran = built.checked.unwrap_or(true) && job.recipe.has_check && !job.skip_check;
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

/// Has `%check` run, once this phase begins? Phases go forward: where one follows that comes before it, what was heard was a line of the
/// build's own.
pub(crate) fn heard(checked: bool, phase: &str) -> bool {
    match phase {
        "%check" => true,
        "%conf" | "%build" | "%install" => false,
        _ => checked,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::tests::job;

    #[test]
    fn phases_only_go_forward() {
        for (phases, expected) in [
            ("%prep %build %install %check", true),
            // The source package says what the section prints, and unpacks again for that.
            ("%prep %build %install %check %prep %generate_buildrequires", true),
            ("%prep %check %build %install", false),
            ("%prep %build %check %install", false),
            ("%prep %build %install", false),
        ] {
            let ran = phases.split(' ').fold(false, heard);
            assert_eq!(ran, expected, "{phases}");
        }
    }

    #[test]
    fn what_was_heard_is_no_check_where_none_was_to_run() {
        let built = |checked| {
            let mut built = Built::clone(&crate::generate::tests::made("demo"));
            built.checked = checked;
            built
        };
        let mut job = job("demo", "1");
        for (has_check, skip_check, heard, expected) in [
            (true, false, Some(true), "passed"),
            (true, false, None, "passed"),
            (true, false, Some(false), "left-out"),
            (false, false, Some(true), "none"),
            (true, true, Some(true), "left-out"),
        ] {
            job.recipe.has_check = has_check;
            job.skip_check = skip_check;
            let word = Check::of(&job, &built(heard)).word();
            assert_eq!(word, expected, "{has_check} {skip_check} {heard:?}");
        }
    }
}
