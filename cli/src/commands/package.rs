//! `keel package`: checks of finished packages, and what differs between two builds.

mod diff;

use std::path::{Path, PathBuf};

use keel_artefact::{ComponentName, Event};
use keel_config::Project;
use keel_inspect::{Facts, Finding, Findings, Package, Policy, Scope, Severity, check, facts, rules};
use serde::Serialize;

use crate::{
    args::package::{self as args, Check},
    context::Context,
    failure::{Class, Failure},
    pipeline, policy, report,
};

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: args::Package) -> Result<(), Failure> {
    match command {
        args::Package::Check(command) => checks(context, &command),
        args::Package::Diff { old, new } => diff::run(context, &old, new.as_deref()),
        args::Package::Rules { rules } => list(context, &rules),
    }
}

#[derive(Serialize)]
struct Checked<'a> {
    packages: usize,
    errors: usize,
    warnings: usize,
    findings: &'a [Finding],
}

/// Packages that were named, and how they belong together.
struct Named {
    packages: Vec<Package>,
    /// Are they all of their components?
    is_whole: bool,
    /// Are they a repository?
    is_repository: bool,
}

fn checks(context: &Context<'_>, command: &Check) -> Result<(), Failure> {
    check_rules(&command.rules)?;
    let project = project(context)?;
    let mut policy = project.as_ref().map(policy::of).transpose()?.unwrap_or_default();
    for rule in
        rules().filter(|rule| !command.rules.is_empty() && !command.rules.iter().any(|name| name == rule.id))
    {
        policy.severities.insert(rule.id.to_owned(), None);
    }
    let (mut findings, mut count) = (Findings::default(), 0);
    let mut add = |named: Named| -> Result<(), Failure> {
        count += named.packages.len();
        findings.extend(of_components(context, &named, &policy)?);
        if named.is_repository {
            findings.extend(check::repository(&named.packages, &policy, &context.interrupt)?);
        }
        if let Some(old) = published(context, project.as_ref(), command)? {
            findings.extend(check::versions(&old, &named.packages, &policy).1);
        }
        Ok(())
    };
    match (&project, command.all) {
        (Some(project), true) => add(all_built(context, project)?)?,
        (None, true) => {
            return Err(context
                .project()
                .err()
                .unwrap_or_else(|| Failure::input("there is no project")));
        }
        _ => {
            for name in &command.packages {
                add(named(context, project.as_ref(), name)?)?;
            }
        }
    }
    tell(context, command, count, &findings)
}

/// What rules of single packages and of components find, component by component.
fn of_components(context: &Context<'_>, named: &Named, policy: &Policy) -> Result<Findings, Failure> {
    let mut packages: Vec<&Package> = named.packages.iter().collect();
    packages.sort_by(|one, other| (&one.component, one.name()).cmp(&(&other.component, other.name())));
    let mut findings = Findings::default();
    for packages in packages.chunk_by(|one, other| one.component == other.component) {
        let found = check::component(packages, policy, named.is_whole, &context.interrupt)?;
        findings.extend(found);
    }
    Ok(findings)
}

fn tell(context: &Context<'_>, command: &Check, packages: usize, all: &Findings) -> Result<(), Failure> {
    let shown: Vec<Finding> = (all.0.iter())
        .filter(|finding| command.allowed || finding.allowed.is_none())
        .filter(|finding| finding.severity > Severity::Info || context.global.verbose || context.wants_json())
        .cloned()
        .collect();
    let (errors, warnings) = (all.count(Severity::Error), all.count(Severity::Warning));
    let checked = Checked {
        packages,
        errors,
        warnings,
        findings: &shown,
    };
    report::print(context, &checked, |checked| {
        checked.findings.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    let allowed = all.0.iter().filter(|finding| finding.allowed.is_some()).count();
    let text = format!(
        "{packages} packages: {errors} errors, {warnings} warnings, {} hints; {allowed} more are explained exceptions",
        all.count(Severity::Info)
    );
    context.sink().event(Event::Note { text: &text });
    match errors {
        0 => Ok(()),
        _ => Err(
            Failure::new(Class::Failed, format!("{errors} errors in {packages} packages"))
                .hint("`keel package rules RULE` says why it is one, and what to do"),
        ),
    }
}

fn line(finding: &Finding) -> String {
    let place = match (&finding.path, finding.package.as_str()) {
        (Some(path), package) => format!("{package}: {path}"),
        (None, "") => finding.component.clone(),
        (None, package) => package.to_owned(),
    };
    let text = format!(
        "{place}: {}: {} [{}]",
        finding.severity.word(),
        finding.message,
        finding.rule
    );
    match &finding.allowed {
        Some(reason) => format!("{text}, explained: {reason}"),
        None => text,
    }
}

fn check_rules(names: &[String]) -> Result<(), Failure> {
    match names.iter().find(|name| rules().all(|rule| rule.id != **name)) {
        None => Ok(()),
        Some(name) => Err(Failure::input(format!("there is no rule `{name}`")).hint(policy::hint(name))),
    }
}

/// The project, if the command runs in one.
fn project(context: &Context<'_>) -> Result<Option<Project>, Failure> {
    let has_one = |dir: &Path| {
        keel_config::PROJECT_FILES
            .iter()
            .any(|file| dir.join(file).is_file())
    };
    match context.directory.ancestors().any(has_one) {
        true => Ok(Some(context.project()?)),
        false => Ok(None),
    }
}

/// Reads package files; in a project, what is read is kept.
fn read(
    context: &Context<'_>,
    project: Option<&Project>,
    files: &[PathBuf],
) -> Result<Vec<std::sync::Arc<Facts>>, Failure> {
    let store = project.map(|_| context.store()).transpose()?;
    facts::all(files, store, &context.interrupt).map_err(|error| {
        let is_damaged = matches!(
            &error,
            keel_inspect::Error::Package(keel_rpm::Error::Unsound { .. })
        );
        let failure = Failure::from(error);
        match is_damaged {
            true => failure
                .hint("it is damaged, or no RPM: have it anew; `rpm -K FILE` says what rpm thinks of it"),
            false => failure,
        }
    })
}

/// A file, a folder, or a component.
fn named(context: &Context<'_>, project: Option<&Project>, name: &str) -> Result<Named, Failure> {
    let path = context.directory.join(name);
    let foreign = |files: &[PathBuf]| -> Result<Vec<Package>, Failure> {
        Ok(read(context, project, files)?
            .into_iter()
            .map(Package::foreign)
            .collect())
    };
    if path.is_file() {
        let packages = foreign(&[path])?;
        return Ok(Named {
            packages,
            is_whole: false,
            is_repository: false,
        });
    }
    if let (Some(project), Ok(component)) = (project, name.parse::<ComponentName>())
        && project.components.contains_key(&component)
    {
        let packages = built(context, project, &component)?;
        return Ok(Named {
            packages,
            is_whole: true,
            is_repository: false,
        });
    }
    if path.is_dir() {
        let packages = foreign(&facts::find(&path)?)?;
        if packages.is_empty() {
            return Err(Failure::input(format!(
                "there is no package in {}",
                path.display()
            )));
        }
        return Ok(Named {
            packages,
            is_whole: true,
            is_repository: true,
        });
    }
    match (project, name.parse::<ComponentName>()) {
        (Some(project), Ok(component)) if !name.ends_with(".rpm") => {
            Err(super::check_component(project, &component)
                .err()
                .unwrap_or_else(|| Failure::input(format!("`{name}` was not built"))))
        }
        _ => {
            let failure = Failure::input(format!("there is no package file or folder `{name}`"));
            Err(failure.hint(match project {
                Some(project) => format!(
                    "name an RPM, a folder of them, or a component; what was built lies in {}",
                    project.display(&folder_of(context, project)).display()
                ),
                None => "name an RPM or a folder of them; components are known in a project only".to_owned(),
            }))
        }
    }
}

/// What was built of a component, in the output folder.
fn built(
    context: &Context<'_>,
    project: &Project,
    component: &ComponentName,
) -> Result<Vec<Package>, Failure> {
    let dir = folder_of(context, project).join(component.as_str());
    let files = match dir.is_dir() {
        true => facts::find(&dir)?,
        false => Vec::new(),
    };
    if files.is_empty() {
        let failure = Failure::input(format!("nothing of `{component}` was built yet"));
        return Err(failure.hint(format!("`keel build {component}` builds it")));
    }
    let package = |facts| Package {
        component: component.to_string(),
        facts,
    };
    Ok(read(context, Some(project), &files)?
        .into_iter()
        .map(package)
        .collect())
}

/// All components of the project that were built. Folders of components that are gone are passed over.
fn all_built(context: &Context<'_>, project: &Project) -> Result<Named, Failure> {
    let dir = folder_of(context, project);
    let (mut files, mut components) = (Vec::new(), Vec::new());
    for component in project.components.keys() {
        let dir = dir.join(component.as_str());
        if dir.is_dir() {
            let found = facts::find(&dir)?;
            components.extend(found.iter().map(|_| component.to_string()));
            files.extend(found);
        }
    }
    if files.is_empty() {
        return Err(Failure::input("nothing was built yet").hint("`keel build` builds everything"));
    }
    let facts = read(context, Some(project), &files)?;
    let package = |(facts, component)| Package { component, facts };
    Ok(Named {
        packages: facts.into_iter().zip(components).map(package).collect(),
        is_whole: true,
        is_repository: true,
    })
}

fn folder_of(context: &Context<'_>, project: &Project) -> PathBuf {
    project.output_dir.join("packages").join(context.arch().rpm())
}

/// The packages to compare with, if there are some.
fn published(
    context: &Context<'_>,
    project: Option<&Project>,
    command: &Check,
) -> Result<Option<Vec<Package>>, Failure> {
    let dir = match (&command.against, project) {
        (Some(dir), _) => context.directory.join(dir),
        (None, Some(project)) if command.all => pipeline::repository_dir(context, project).join("os"),
        _ => return Ok(None),
    };
    if command.against.is_none() && !dir.is_dir() {
        return Ok(None);
    }
    let facts = read(context, project, &facts::find(&dir)?)?;
    Ok(Some(facts.into_iter().map(Package::foreign).collect()))
}

/// Holds all packages of a build against the rules of repositories, and against what is published in their place.
pub fn before_publishing(
    context: &Context<'_>,
    planned: &pipeline::Planned,
    results: &keel_build::Results,
    standing: &keel_repo::Standing,
) -> Result<(), Failure> {
    let policy = policy::of(&planned.project)?;
    let store = context.store()?;
    let mut outputs = Vec::new();
    for (component, finished) in results {
        let of_it = finished
            .built
            .outputs
            .iter()
            .map(|output| (component, output.package.rpm));
        outputs.extend(of_it);
    }
    let packages = keel_artefact::parallel::map(&outputs, &context.interrupt, |(component, digest)| {
        let facts = Facts::kept(store, digest, &store.object(digest)?)?;
        let component = component.to_string();
        Ok::<_, keel_inspect::Error>(Package { component, facts })
    })?;
    let mut findings = check::repository(&packages, &policy, &context.interrupt)?;
    let published: Vec<PathBuf> = standing.installable().map(|entry| entry.file.clone()).collect();
    if !published.is_empty() {
        let old = read(context, Some(&planned.project), &published)?;
        let old: Vec<Package> = old.into_iter().map(Package::foreign).collect();
        findings.extend(check::versions(&old, &packages, &policy).1);
    }
    for finding in findings.of(Severity::Warning) {
        context.sink().event(Event::Warning { text: &line(finding) });
    }
    let errors: Vec<String> = findings.of(Severity::Error).map(line).collect();
    if errors.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(
        Class::Failed,
        format!(
            "these packages cannot be published together\n    {}",
            errors.join("\n    ")
        ),
    );
    Err(failure
        .hint("nothing was published; `keel package rules RULE` says why it is an error, and what to do"))
}

/// Says how many warnings a build's packages have.
pub fn summarise(context: &Context<'_>, results: &keel_build::Results) {
    let all = results
        .values()
        .map(|finished| finished.findings.count(Severity::Warning));
    let warnings: usize = all.sum();
    if warnings > 0 {
        let text =
            format!("checks of the packages have {warnings} warnings; `keel package check --all` tells them");
        context.sink().event(Event::Note { text: &text });
    }
}

#[derive(Serialize)]
struct Listed {
    rule: &'static str,
    severity: Severity,
    scope: Scope,
    what: &'static str,
    why: &'static str,
    remedy: &'static str,
}

fn list(context: &Context<'_>, names: &[String]) -> Result<(), Failure> {
    check_rules(names)?;
    let wanted = |rule: &&keel_inspect::Rule| names.is_empty() || names.iter().any(|name| name == rule.id);
    let all = rules().filter(wanted).map(|rule| Listed {
        rule: rule.id,
        severity: rule.severity,
        scope: rule.scope(),
        what: rule.what,
        why: rule.why,
        remedy: rule.remedy,
    });
    let all: Vec<Listed> = all.collect();
    report::print(context, &all, |all| match names {
        [] => {
            let row = |rule: &Listed| {
                vec![
                    rule.rule.to_owned(),
                    rule.severity.word().to_owned(),
                    rule.what.to_owned(),
                ]
            };
            report::table(
                &["rule", "severity", "what"],
                &all.iter().map(row).collect::<Vec<_>>(),
            )
        }
        _ => {
            let texts = all.iter().map(|rule| {
                let severity = rule.severity.word();
                format!(
                    "{} ({severity})\n  {}\n  why: {}\n  do: {}",
                    rule.rule, rule.what, rule.why, rule.remedy
                )
            });
            texts.collect::<Vec<_>>().join("\n\n")
        }
    })
}
