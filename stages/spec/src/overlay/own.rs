//! Keel's own changes: macros, `%bcond`s and whole sections. They stand on the syntax tree in either mode.

use keel_config::overlay::Change;

use super::{
    failure::{Failure, Kind},
    structural::Structure,
};
use crate::{
    macros::text::Open,
    syntax::{Definition, DefinitionKind, Edit, Kind as LineKind, Line, Span},
};

/// The edits that such a change is.
pub(super) fn change(structure: &Structure<'_>, change: &Change) -> Result<Vec<Edit>, Failure> {
    match change {
        Change::SpecSetMacro { name, value } => set_macro(structure, name, value),
        Change::SpecSetBcond { name, value } => set_bcond(structure, name, *value),
        Change::SpecReplaceSection {
            section,
            package,
            lines,
        } => {
            let found = structure.sections(section, package.as_deref())?;
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            Ok(found
                .into_iter()
                .map(|section| structure.tree.replace_body(section, &lines))
                .collect())
        }
        _ => Err(Failure::new(
            Kind::NotPossible,
            "this is not one of Keel's own changes",
        )),
    }
}

fn set_macro(structure: &Structure<'_>, name: &str, value: &str) -> Result<Vec<Edit>, Failure> {
    let mut open = Open::default();
    open.scan(format!("{value}\n").as_bytes());
    if open.goes_on() {
        let what = format!("`{value}` would run into the lines that follow");
        return Err(Failure::new(Kind::NotPossible, what));
    }
    let has_body = |definition: &Definition| definition.kind.has_body();
    let found = named(structure, name, has_body);
    if found.is_empty() {
        return Err(no_definition(structure, name, "macro", has_body));
    }
    // rpm reads on after a backslash.
    let value = value.trim_end_matches('\n').replace('\n', "\\\n");
    let edits = found
        .into_iter()
        .map(|(_, definition)| match definition.body.is_empty() {
            true => {
                let end = definition
                    .options
                    .map_or(definition.name.end, |options| options.end + 1);
                Edit::insert(end, format!(" {value}"))
            }
            false => Edit::replace(definition.body, value.clone()),
        });
    Ok(edits.collect())
}

fn set_bcond(structure: &Structure<'_>, name: &str, on: bool) -> Result<Vec<Edit>, Failure> {
    let is_bcond = |definition: &Definition| {
        matches!(
            definition.kind,
            DefinitionKind::Bcond | DefinitionKind::BcondWith | DefinitionKind::BcondWithout
        )
    };
    let found = named(structure, name, is_bcond);
    if found.is_empty() {
        return Err(no_definition(structure, name, "`%bcond`", is_bcond));
    }
    let tree = structure.tree;
    let edits = found.into_iter().map(|(line, definition)| {
        let default = if on { "1" } else { "0" };
        if definition.kind == DefinitionKind::Bcond {
            return match definition.body.is_empty() {
                true => Edit::insert(definition.name.end, format!(" {default}")),
                false => Edit::replace(definition.body, default),
            };
        }
        // `%bcond_with` is what a build must ask for: off by default.
        let word = if on { "%bcond_without" } else { "%bcond_with" };
        let start = Span::new(line.span.start, definition.name.start).trimmed(tree.text());
        Edit::replace(start, word)
    });
    Ok(edits.collect())
}

fn named<'t>(
    structure: &Structure<'t>,
    name: &str,
    fits: impl Fn(&Definition) -> bool,
) -> Vec<(&'t Line, &'t Definition)> {
    let lines = structure.tree.lines().iter();
    lines
        .filter_map(|line| match &line.kind {
            LineKind::Definition(definition) => Some((line, definition)),
            _ => None,
        })
        .filter(|(_, definition)| fits(definition) && structure.tree.slice(definition.name) == name)
        .collect()
}

fn no_definition(
    structure: &Structure<'_>,
    name: &str,
    what: &str,
    fits: impl Fn(&Definition) -> bool,
) -> Failure {
    let tree = structure.tree;
    let failure = Failure::new(Kind::NoSuchMacro, format!("the SPEC sets no {what} `{name}`"));
    let nested = tree.lines().iter().find(|line| {
        let text = tree.slice(line.span);
        let sets = |word: &str| text.contains(&format!("%{word} {name}"));
        matches!(line.kind, LineKind::Macro(_)) && ["global", "define", "bcond"].iter().any(|word| sets(word))
    });
    if let Some(line) = nested {
        return structure
            .at(failure, "inside another macro it does, at", line.span.start)
            .hint("change that line with `spec-search-replace`");
    }
    let known = tree.lines().iter().filter_map(|line| match &line.kind {
        LineKind::Definition(definition) if fits(definition) => Some(tree.slice(definition.name)),
        _ => None,
    });
    failure.did_you_mean(name, known)
}
