//! The cases that are not expected to pass, with the reason: `known.toml`.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::case::Case;

/// The list of this checkout.
const COMMITTED: &str = include_str!("../known.toml");

/// One entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// `rpmmacro.at`
    file: String,
    /// The case's title.
    name: String,
    /// Which versions of rpm's suite; all when there are none.
    #[serde(default)]
    rpm: Vec<String>,
    /// Why it does not pass.
    reason: String,
}

/// The whole list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    #[serde(default)]
    case: Vec<Entry>,
}

impl Known {
    /// The committed list.
    pub fn committed() -> Result<Self> {
        Self::parse(COMMITTED)
    }

    /// Reads a list.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("known.toml cannot be read")
    }

    /// Why `case` of the suite of `rpm` is not expected to pass.
    pub fn reason(&self, case: &Case, rpm: &str) -> Option<&str> {
        let about = |entry: &&Entry| {
            let version = entry.rpm.is_empty() || entry.rpm.iter().any(|version| version == rpm);
            entry.file == case.file && entry.name == case.name && version
        };
        self.case.iter().find(about).map(|entry| entry.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_known_for_its_version_only() {
        let known =
            Known::parse("[[case]]\nfile = \"a.at\"\nname = \"x\"\nrpm = [\"4.18\"]\nreason = \"why\"\n")
                .unwrap();
        let case = Case {
            file: "a.at".to_owned(),
            name: "x".to_owned(),
            xfail: None,
            python: 0,
            steps: Vec::new(),
        };
        assert_eq!(known.reason(&case, "4.18"), Some("why"));
        assert_eq!(known.reason(&case, "6"), None);
        Known::committed().unwrap();
    }
}
