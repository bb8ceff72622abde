//! What the tree says about checks: which users there are, how bad a finding is, and what is as it should be.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{Fingerprint, Glob, Sha256};

use crate::{Finding, Severity};

/// What a tree says. [`Policy::default`] is for packages of no tree.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Names of users and groups of the registry; none if the tree has no registry.
    pub accounts: Option<Accounts>,
    /// Severities that the tree changes, by rule; none turns a rule off.
    pub severities: BTreeMap<String, Option<Severity>>,
    /// Exceptions by component.
    pub allowances: BTreeMap<String, Vec<Allowance>>,
}

/// Users and groups that files may belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Names of users.
    pub users: BTreeSet<String>,
    /// Names of groups.
    pub groups: BTreeSet<String>,
}

/// An exception: findings of this rule are as they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// The rule.
    pub rule: String,
    /// A pattern of package names; none means all of the component.
    pub package: Option<Glob>,
    /// A pattern of paths; none means all, and findings that name no path.
    pub path: Option<Glob>,
    /// Why.
    pub reason: String,
    /// Where it is written: file and line.
    pub said_at: String,
}

impl Allowance {
    /// Is this finding meant?
    pub fn covers(&self, finding: &Finding) -> bool {
        let fits = |pattern: &Option<Glob>, text: Option<&str>| match (pattern, text) {
            (None, _) => true,
            (Some(pattern), Some(text)) => pattern.fits(text),
            (Some(_), None) => false,
        };
        self.rule == finding.rule
            && fits(&self.package, Some(&finding.package))
            && fits(&self.path, finding.path.as_deref())
    }
}

impl Policy {
    /// How bad a finding of `rule` is here; none if it is turned off.
    pub fn severity(&self, rule: &crate::Rule) -> Option<Severity> {
        self.severities
            .get(rule.id)
            .copied()
            .unwrap_or(Some(rule.severity))
    }

    /// Exceptions of a component.
    pub fn of(&self, component: &str) -> &[Allowance] {
        self.allowances.get(component).map_or(&[], Vec::as_slice)
    }

    /// Do several components inherit this exception?
    pub(crate) fn is_shared(&self, allowance: &Allowance) -> bool {
        let has_it = |all: &&Vec<Allowance>| all.contains(allowance);
        self.allowances.values().filter(has_it).nth(1).is_some()
    }

    /// All that decides about the findings of a component, but for its packages.
    pub fn digest(&self, component: &str) -> Sha256 {
        let mut print = Fingerprint::new("package-policy/2");
        match &self.accounts {
            None => {
                print.add("accounts", "any");
            }
            Some(accounts) => {
                for user in &accounts.users {
                    print.add("user", user);
                }
                for group in &accounts.groups {
                    print.add("group", group);
                }
            }
        }
        for (rule, severity) in &self.severities {
            print
                .add("rule", rule)
                .add("severity", severity.map_or("off", Severity::word));
        }
        for allowance in self.of(component) {
            print
                .add("allow", &allowance.rule)
                .add("reason", &allowance.reason);
            print.add("said at", &allowance.said_at);
            print.add("shared", [u8::from(self.is_shared(allowance))]);
            for (label, pattern) in [("package", &allowance.package), ("path", &allowance.path)] {
                print
                    .add(label, [u8::from(pattern.is_some())])
                    .add(label, pattern.as_ref().map_or("", Glob::as_str));
            }
        }
        print.finish()
    }
}
