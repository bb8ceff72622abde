//! The rules: a table of functions with names, severities and reasons.
//!
//! One file holds the rules about one thing: `header.rs`, `names.rs`, `modes.rs`, `content.rs`, `hardening.rs`, `libraries.rs`,
//! `components.rs`, `repositories.rs`, `versions.rs` (two builds of one package); `builds.rs` are those that the build stage itself
//! holds packages against, which have errors of their own.

mod builds;
mod components;
mod content;
mod hardening;
mod header;
pub(crate) mod libraries;
mod modes;
mod names;
mod repositories;
mod versions;

use keel_artefact::RootPath;
use serde::{Deserialize, Serialize};

use crate::{Package, Policy, World, diff::Pair};

/// Findings of one rule in one package, at most.
const MOST: usize = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Works, but not as it should.
    Warning,
    /// Must not be shipped.
    Error,
}

impl Severity {
    /// `error`, `warning`, `info`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The build that made the packages.
    Build,
    /// One package.
    Package,
    /// All packages of a component.
    Component,
    /// All packages of a repository.
    Repository,
    /// Two builds of one package.
    Versions,
    /// The exceptions of the tree.
    Policy,
}

/// One thing that is checked.
pub struct Rule {
    /// Its name: what exceptions say.
    pub id: &'static str,
    /// How bad a finding is, unless the tree says otherwise.
    pub severity: Severity,
    /// One line: what is found.
    pub what: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    pub(crate) check: Check,
}

/// The function behind a rule.
pub(crate) enum Check {
    /// The build stage looks, and has an error of its own.
    Build,
    Package(fn(&Package, &Policy, &mut Report<'_>)),
    Component(fn(&World<'_>, &mut Report<'_>)),
    Repository(fn(&World<'_>, &mut Report<'_>)),
    Versions(fn(&Pair<'_>, &mut Report<'_>)),
    /// [`crate::check`] itself looks.
    Policy,
}

impl Rule {
    /// What it looks at.
    pub fn scope(&self) -> Scope {
        match self.check {
            Check::Build => Scope::Build,
            Check::Package(_) => Scope::Package,
            Check::Component(_) => Scope::Component,
            Check::Repository(_) => Scope::Repository,
            Check::Versions(_) => Scope::Versions,
            Check::Policy => Scope::Policy,
        }
    }
}

const RULES: [&[Rule]; 11] = [
    builds::RULES,
    header::RULES,
    names::RULES,
    modes::RULES,
    content::RULES,
    hardening::RULES,
    libraries::RULES,
    components::RULES,
    repositories::RULES,
    versions::RULES,
    POLICY,
];

/// The rule of exceptions that nothing needs.
pub(crate) const UNUSED: &str = "unused-exception";

const POLICY: &[Rule] = &[Rule {
    id: UNUSED,
    severity: Severity::Warning,
    what: "an exception that no finding needs",
    why: "What was excepted is gone, or was never there under that name: the exception would hide the next one.",
    remedy: "Take it out of the TOML, or mend its `rule`, `package` or `path`.",
    check: Check::Policy,
}];

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.into_iter().flatten()
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// The component.
    pub component: String,
    /// The name of the package; empty if no single one is meant.
    pub package: String,
    /// The rule.
    pub rule: String,
    /// The file in the package, if one is meant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// How bad it is here.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Why it is as it should be: the reason of the exception that covers it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub allowed: Option<String>,
}

/// Where a rule puts what it finds.
pub(crate) struct Report<'r> {
    pub(crate) rule: &'static Rule,
    pub(crate) severity: Severity,
    pub(crate) findings: &'r mut Vec<Finding>,
    /// The package that was told of last, and how often.
    pub(crate) last: (String, usize),
}

impl Report<'_> {
    /// Something is wrong with a package.
    pub(crate) fn package(&mut self, package: &Package, message: impl Into<String>) {
        self.add(package, None, message.into());
    }

    /// Something is wrong with a file of a package.
    pub(crate) fn file(&mut self, package: &Package, path: &RootPath, message: impl Into<String>) {
        self.add(package, Some(path.as_str()), message.into());
    }

    /// Something is wrong with a path of a package that is at hand as text.
    pub(crate) fn path(&mut self, package: &Package, path: &str, message: String) {
        self.add(package, Some(path), message);
    }

    fn add(&mut self, package: &Package, path: Option<&str>, message: String) {
        if self.last.0 != package.name() {
            self.last = (package.name().to_owned(), 0);
        }
        self.last.1 += 1;
        if self.last.1 > MOST {
            return;
        }
        self.findings.push(Finding {
            component: package.component.clone(),
            package: package.name().to_owned(),
            rule: self.rule.id.to_owned(),
            path: path.map(str::to_owned),
            severity: self.severity,
            message,
            allowed: None,
        });
    }
}
