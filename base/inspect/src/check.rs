//! Rules called, and what they find held against the policy.

use std::collections::BTreeMap;

use keel_artefact::{Fingerprint, Interrupt, Sha256, format::Version};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Finding, Kind, Package, Policy, Rule, Scope, Severity, World,
    diff::{self, Difference, Pair},
    facts, rules,
    rules::{Check, Report},
};

/// Raised when what a rule finds changes without a change of its text.
const VERSION: &str = "package-checks/2";

/// What was found, sorted, exceptions included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Those of that severity that no exception covers.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.0
            .iter()
            .filter(move |finding| finding.severity == severity && finding.allowed.is_none())
    }

    /// How many those are.
    pub fn count(&self, severity: Severity) -> usize {
        self.of(severity).count()
    }

    /// More of them.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
        self.0.sort();
        self.0.dedup();
    }
}

/// The digest of the registry: other rules, or other texts of them, give other findings.
fn version() -> Sha256 {
    let mut print = Fingerprint::new(VERSION);
    print.add("facts", facts::FORMAT.0.to_string());
    for rule in rules() {
        print.add("rule", rule.id).add("severity", rule.severity.word());
        print.add("what", rule.what);
    }
    print.finish()
}

/// Findings as kept in the store.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: Version,
    findings: Findings,
}

/// [`component`], kept in `store` under the digests of the packages and all that decides. `read` is called if nothing is kept.
pub fn kept(
    store: &Store,
    name: &str,
    digests: &[Sha256],
    policy: &Policy,
    read: impl FnOnce() -> Result<Vec<Package>, Error>,
    interrupt: &Interrupt,
) -> Result<Findings, Error> {
    const FORMAT: Version = Version(1);
    let mut print = Fingerprint::new("component-checks");
    print
        .add_digest("rules", &version())
        .add_digest("policy", &policy.digest(name));
    print.add("component", name);
    let mut digests = digests.to_vec();
    digests.sort();
    for digest in &digests {
        print.add_digest("package", digest);
    }
    let key = print.finish();
    let before: Option<Kept> = store.action("package-checks", &key)?;
    if let Some(kept) = before.filter(|kept| kept.format == FORMAT) {
        return Ok(kept.findings);
    }
    let packages = read()?;
    let packages: Vec<&Package> = packages.iter().collect();
    let findings = component(&packages, policy, true, interrupt)?;
    let kept = Kept {
        format: FORMAT,
        findings,
    };
    store.record("package-checks", &key, &kept)?;
    Ok(kept.findings)
}

/// What rules of packages and, if the packages are all of a component, those of components find.
pub fn component(
    packages: &[&Package],
    policy: &Policy,
    is_whole: bool,
    interrupt: &Interrupt,
) -> Result<Findings, Error> {
    let world = World::new(packages.iter().copied(), interrupt)?;
    let mut findings = Vec::new();
    for rule in rules() {
        let Some(mut report) = report(rule, policy, &mut findings) else {
            continue;
        };
        match rule.check {
            Check::Package(check) => {
                for package in packages
                    .iter()
                    .filter(|package| package.facts.kind() == Kind::Binary)
                {
                    check(package, policy, &mut report);
                }
            }
            Check::Component(check) if is_whole => check(&world, &mut report),
            _ => {}
        }
    }
    let scopes: &[Scope] = if is_whole {
        &[Scope::Package, Scope::Component]
    } else {
        &[]
    };
    let mut components: Vec<&str> = packages
        .iter()
        .map(|package| package.component.as_str())
        .collect();
    components.sort_unstable();
    components.dedup();
    Ok(except(findings, policy, &components, scopes))
}

/// What rules of repositories find.
pub fn repository(packages: &[Package], policy: &Policy, interrupt: &Interrupt) -> Result<Findings, Error> {
    let world = World::new(packages, interrupt)?;
    let mut findings = Vec::new();
    for rule in rules() {
        if let Check::Repository(check) = rule.check
            && let Some(mut report) = report(rule, policy, &mut findings)
        {
            check(&world, &mut report);
        }
    }
    let mut components: Vec<&str> = packages
        .iter()
        .map(|package| package.component.as_str())
        .collect();
    components.sort_unstable();
    components.dedup();
    Ok(except(findings, policy, &components, &[Scope::Repository]))
}

/// What rules about two builds find, and what differs, for each package of `new` that `old` has in another build.
pub fn versions(old: &[Package], new: &[Package], policy: &Policy) -> (Vec<Difference>, Findings) {
    let mut before: BTreeMap<&str, &Package> = BTreeMap::new();
    for package in old.iter().filter(|package| package.facts.kind() == Kind::Binary) {
        let newest = before.entry(package.name()).or_insert(package);
        if newest.info().nevra.evr.compare(&package.info().nevra.evr).is_lt() {
            *newest = package;
        }
    }
    let (mut differences, mut findings) = (Vec::new(), Vec::new());
    for package in new.iter().filter(|package| package.facts.kind() == Kind::Binary) {
        let Some(old) = before.get(package.name()) else {
            continue;
        };
        let pair = Pair {
            new: package,
            difference: diff::difference(old, package, new),
        };
        for rule in rules() {
            if let Check::Versions(check) = rule.check
                && let Some(mut report) = report(rule, policy, &mut findings)
            {
                check(&pair, &mut report);
            }
        }
        differences.push(pair.difference);
    }
    // An exception of a step between two versions is of no use after it, and does no harm: it names what it covers.
    (differences, except(findings, policy, &[], &[]))
}

fn report<'f>(rule: &'static Rule, policy: &Policy, findings: &'f mut Vec<Finding>) -> Option<Report<'f>> {
    Some(Report {
        rule,
        severity: policy.severity(rule)?,
        findings,
        last: (String::new(), 0),
    })
}

/// Marks what exceptions cover. Exceptions of these components from rules of these scopes that cover nothing are findings.
fn except(mut findings: Vec<Finding>, policy: &Policy, components: &[&str], scopes: &[Scope]) -> Findings {
    let mut used: Vec<*const crate::Allowance> = Vec::new();
    for finding in &mut findings {
        let all = policy.of(&finding.component).iter();
        let covering: Vec<&crate::Allowance> = all.filter(|allowance| allowance.covers(finding)).collect();
        finding.allowed = covering.first().map(|allowance| allowance.reason.clone());
        used.extend(covering.into_iter().map(std::ptr::from_ref));
    }
    let rule = rules().find(|rule| rule.id == rules::UNUSED);
    let severity = rule.and_then(|rule| policy.severity(rule));
    for component in components {
        for allowance in policy.of(component) {
            let is_of_scope = rules().any(|rule| rule.id == allowance.rule && scopes.contains(&rule.scope()));
            // What several components inherit is not for one of them to judge.
            let is_shared = policy.is_shared(allowance);
            let is_off = policy.severities.get(&allowance.rule) == Some(&None);
            if let Some(severity) = severity
                && is_of_scope
                && !is_off
                && !is_shared
                && !used.contains(&std::ptr::from_ref(allowance))
            {
                findings.push(Finding {
                    component: (*component).to_owned(),
                    package: String::new(),
                    rule: rules::UNUSED.to_owned(),
                    path: None,
                    severity,
                    message: format!(
                        "{}: nothing needs the exception from `{}`",
                        allowance.said_at, allowance.rule
                    ),
                    allowed: None,
                });
            }
        }
    }
    findings.sort();
    findings.dedup();
    Findings(findings)
}
