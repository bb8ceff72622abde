//! What a tree says about checks of packages, as [`keel_inspect`] wants it.

use std::collections::BTreeSet;

use keel_artefact::Glob;
use keel_config::{Diagnostic, Project, diagnostic::nearest};
use keel_inspect::{Allowance, Policy, Scope, Severity, policy::Accounts, rules};
use serde::Deserialize;

use crate::failure::{Class, Failure};

/// The registry of users, as far as names go.
#[derive(Deserialize)]
struct Registry {
    #[serde(default)]
    user: Vec<User>,
    #[serde(default)]
    groups: std::collections::BTreeMap<String, u32>,
}

#[derive(Deserialize)]
struct User {
    name: String,
    group: String,
}

/// The policy of a project. Fails with every rule that it names and that is not there.
pub fn of(project: &Project) -> Result<Policy, Failure> {
    let mut policy = Policy {
        accounts: accounts(project)?,
        ..Policy::default()
    };
    let mut wrong = Vec::new();
    for (rule, word) in &project.check_severities {
        let severity = match word.as_str() {
            "error" => Some(Severity::Error),
            "warning" => Some(Severity::Warning),
            "info" => Some(Severity::Info),
            _ => None,
        };
        let unknown = |message| Diagnostic::new(format!("`keel.package-checks.severity`: {message}"));
        match known(rule) {
            Ok(_) => _ = policy.severities.insert(rule.clone(), severity),
            Err((message, hint)) => wrong.push(unknown(message).hint(hint)),
        }
    }
    if project.trees.len() > 1 {
        // What its base has is published by the base.
        let severity = policy.severities.entry("unmet-requirement".to_owned());
        severity.or_insert(Some(Severity::Warning));
    }
    for component in project.components.values() {
        let mut allowances = Vec::new();
        for exception in &component.exceptions {
            let at = &exception.defined_at;
            if let Err((message, hint)) = may_be_excepted(&exception.rule) {
                wrong.push(Diagnostic::new(message).at(at.clone()).hint(hint));
            }
            let mut read = |key: &str, pattern: &Option<String>| {
                let pattern = pattern.as_deref()?;
                let refused =
                    |message: String, hint: String| Diagnostic::new(message).at(at.clone()).hint(hint);
                match Glob::new(pattern) {
                    Ok(_) if pattern.is_empty() => wrong.push(refused(
                        format!("`{key}` of the exception is empty, which matches nothing"),
                        format!("leave `{key}` out where all are meant"),
                    )),
                    Ok(glob) => return Some(glob),
                    Err(error) => wrong.push(refused(
                        format!("`{key}` of the exception is no pattern: {error}"),
                        "`*` is any part of a name, `**` any number of folders; a backslash takes the meaning from what follows".to_owned(),
                    )),
                }
                None
            };
            let (package, path) = (read("package", &exception.package), read("path", &exception.path));
            allowances.push(Allowance {
                rule: exception.rule.clone(),
                package,
                path,
                reason: exception.reason.clone(),
                said_at: format!("{}:{}", project.display(&at.file).display(), at.line),
            });
        }
        if !allowances.is_empty() {
            policy.allowances.insert(component.name.to_string(), allowances);
        }
    }
    if wrong.is_empty() {
        return Ok(policy);
    }
    Err(Failure {
        class: Class::Input,
        diagnostics: wrong,
    })
}

/// As [`known`]; fails for a rule about exceptions, too.
fn may_be_excepted(name: &str) -> Result<(), (String, String)> {
    match rules().find(|rule| rule.id == name) {
        Some(rule) if rule.scope() == Scope::Policy => Err((
            format!("the rule `{name}` is about exceptions and has none itself"),
            format!("take out what it names, or set `{name}` in `keel.package-checks.severity`"),
        )),
        _ => known(name),
    }
}

/// Fails, with message and hint, for a rule that is not there or holds always.
fn known(name: &str) -> Result<(), (String, String)> {
    match rules().find(|rule| rule.id == name) {
        Some(rule) if rule.scope() == Scope::Build => Err((
            format!("the rule `{name}` is the build stage's own and holds always"),
            "`keel package rules` tells which those are".to_owned(),
        )),
        Some(_) => Ok(()),
        None => Err((format!("there is no rule `{name}` about packages"), hint(name))),
    }
}

/// What somebody may have meant who named a rule that is not there.
pub fn hint(name: &str) -> String {
    match nearest(name, rules().map(|rule| rule.id)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`keel package rules` lists them all".to_owned(),
    }
}

fn accounts(project: &Project) -> Result<Option<Accounts>, Failure> {
    let Some(file) = &project.users else {
        return Ok(None);
    };
    let text = fs_err::read_to_string(file)?;
    let registry: Registry = toml::from_str(&text).map_err(|error| {
        let file = project.display(file);
        Failure::because(
            Class::Input,
            format!("{} is no registry of users", file.display()),
            &error,
        )
    })?;
    let groups: BTreeSet<String> = registry.user.iter().map(|user| user.group.clone()).collect();
    Ok(Some(Accounts {
        users: registry.user.into_iter().map(|user| user.name).collect(),
        groups: groups.into_iter().chain(registry.groups.into_keys()).collect(),
    }))
}
