//! `keel spec fmt` and `keel spec lint`: SPECs as text.

use std::path::Path;

use keel_spec::{
    format,
    lint::{self, Finding, Options, Severity},
    macros::text,
};
use serde::Serialize;

use super::files::File;
use crate::{
    context::Context,
    failure::{Class, Failure},
    report,
};

/// Lays files out, or says which would change.
pub fn format(context: &Context<'_>, files: &[File], check: bool) -> Result<(), Failure> {
    let mut changed = Vec::new();
    for file in files {
        context.interrupt.check()?;
        let bytes = fs_err::read(&file.path)?;
        let old = text::decode(&bytes);
        let new = format::format(&old);
        if new != old {
            if !check {
                replace(&file.path, &new)?;
            }
            changed.push(file.shown.clone());
        }
    }
    report::print(context, &changed, |changed| changed.join("\n"))?;
    match check && !changed.is_empty() {
        true => Err(Failure::new(
            Class::Failed,
            format!("{} of {} files would change", changed.len(), files.len()),
        )
        .hint("`keel spec fmt` without --check changes them")),
        false => Ok(()),
    }
}

/// Writes a file anew: whole, or not at all.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    // A link stays one.
    let path = &fs_err::canonicalize(path)?;
    let permissions = fs_err::metadata(path)?.permissions();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".keel-new");
    let temporary = path.with_file_name(name);
    fs_err::write(&temporary, text::encode(text))?;
    fs_err::set_permissions(&temporary, permissions)?;
    Ok(fs_err::rename(&temporary, path)?)
}

#[derive(Serialize)]
struct Found {
    spec: String,
    #[serde(flatten)]
    finding: Finding,
}

/// Checks files against the rules.
pub fn lint(context: &Context<'_>, files: &[File], rules: Option<&Path>, fix: bool) -> Result<(), Failure> {
    let options = options(context, rules)?;
    let (mut found, mut fixed) = (Vec::new(), 0);
    for file in files {
        context.interrupt.check()?;
        let bytes = fs_err::read(&file.path)?;
        let mut text = text::decode(&bytes).into_owned();
        let mut options = options.clone();
        options.file_name = file
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let mut findings = lint::lint(&text, &options);
        if fix {
            let (mended, count) = lint::fix(&text, &findings);
            if count > 0 {
                replace(&file.path, &mended)?;
                fixed += count;
                text = mended;
                findings = lint::lint(&text, &options);
            }
        }
        found.extend(findings.into_iter().map(|finding| Found {
            spec: file.shown.clone(),
            finding,
        }));
    }
    report::print(context, &found, |found| {
        let lines: Vec<String> = found.iter().map(line).collect();
        lines.join("\n")
    })?;
    if fixed > 0 {
        context.terminal.line(&format!("{fixed} mended"));
    }
    let errors = found
        .iter()
        .filter(|found| found.finding.severity == Severity::Error)
        .count();
    match errors {
        0 => Ok(()),
        _ => Err(
            Failure::new(Class::Failed, format!("{errors} errors in {} files", files.len()))
                .hint("`keel spec lint --list` says why each rule is there"),
        ),
    }
}

fn line(found: &Found) -> String {
    let Found { spec, finding } = found;
    let severity = match finding.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let (line, column) = (finding.line, finding.column);
    format!(
        "{spec}:{line}:{column}: {severity}: {} [{}]",
        finding.message, finding.rule
    )
}

fn options(context: &Context<'_>, rules: Option<&Path>) -> Result<Options, Failure> {
    let Some(rules) = rules else {
        return Ok(Options::default());
    };
    let text = fs_err::read_to_string(context.directory.join(rules))
        .map_err(|error| Failure::because(Class::Input, "cannot read the rules", &error))?;
    let options: Options = toml::from_str(&text).map_err(|error| {
        Failure::because(Class::Input, format!("{} is not right", rules.display()), &error)
    })?;
    let known = |name: &str| lint::rules().any(|rule| rule.name == name);
    match options.allow.iter().find(|name| !known(name)) {
        None => Ok(options),
        Some(name) => {
            let failure = Failure::input(format!("{}: there is no rule `{name}`", rules.display()));
            let near = keel_config::diagnostic::nearest(name, lint::rules().map(|rule| rule.name));
            Err(failure.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`keel spec lint --list` shows all of them".to_owned(),
            }))
        }
    }
}

#[derive(Serialize)]
struct Rule {
    name: &'static str,
    severity: Severity,
    reason: &'static str,
}

/// All rules.
pub fn rules(context: &Context<'_>) -> Result<(), Failure> {
    let rules: Vec<Rule> = lint::rules()
        .map(|rule| Rule {
            name: rule.name,
            severity: rule.severity,
            reason: rule.reason,
        })
        .collect();
    report::print(context, &rules, |rules| {
        let rows: Vec<Vec<String>> = rules
            .iter()
            .map(|rule| {
                let severity = format!("{:?}", rule.severity).to_lowercase();
                vec![rule.name.to_owned(), severity, rule.reason.to_owned()]
            })
            .collect();
        report::table(&["rule", "severity", "reason"], &rows)
    })
}
