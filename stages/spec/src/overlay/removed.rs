//! Removing sections over the syntax tree.

use std::collections::BTreeMap;

use super::{
    edits::refused,
    failure::{Failure, Kind},
    structural::Structure,
};
use crate::syntax::{Condition, Edit, Error, Kind as LineKind, Line, Section, Span};

/// Conditions of more lines are not looked into: time stays linear.
const LARGEST: usize = 10_000;

/// The edits that remove sections: with the conditions that held nothing else.
pub(super) fn sections(structure: &Structure<'_>, sections: &[&Section]) -> Result<Vec<Edit>, Failure> {
    let tree = structure.tree;
    let mut gone = vec![false; tree.lines().len()];
    for section in sections {
        let edit = tree.remove_section(section).map_err(|error| match &error {
            Error::Straddles { line } => {
                let failure = structure.at(refused(&error), "section", tree.section_span(section).start);
                let text = tree.text().lines().nth(*line as usize - 1).unwrap_or_default();
                failure
                    .line("at", structure.shown, *line as usize - 1, text)
                    .hint("move the conditions with a `spec-search-replace` before this overlay")
            }
            other => refused(other),
        })?;
        for line in &tree.lines()[section.lines.clone()] {
            gone[line.index] |= line.span.start < edit.span.end;
        }
    }
    // Innermost first: conditions are in the order of their `%if`s.
    for condition in tree.conditions().iter().rev() {
        if is_empty_now(structure, condition, &gone) {
            gone[condition.lines.clone()].fill(true);
        }
    }
    needed_elsewhere(structure, &gone)?;
    let mut edits: Vec<Span> = Vec::new();
    for line in tree.lines().iter().filter(|line| gone[line.index]) {
        match edits.last_mut() {
            Some(last) if last.end == line.span.start => last.end = line.span.end,
            _ => edits.push(line.span),
        }
    }
    Ok(edits.into_iter().map(Edit::remove).collect())
}

/// Has a condition lost something, and is nothing left in it?
fn is_empty_now(structure: &Structure<'_>, condition: &Condition, gone: &[bool]) -> bool {
    let own = |line: &&Line| match &line.kind {
        LineKind::Directive(directive) => directive
            .condition
            .is_some_and(|at| std::ptr::eq(&structure.tree.conditions()[at], condition)),
        _ => false,
    };
    let lines = &structure.tree.lines()[condition.lines.clone()];
    let inside = || lines.iter().filter(|line| !own(line));
    condition.closed
        && lines.len() <= LARGEST
        && lines.first().is_some_and(|line| !line.joined)
        && inside().any(|line| gone[line.index])
        && inside().all(|line| gone[line.index] || line.kind == LineKind::Blank)
}

/// A macro that is set in what goes must not be used in what stays.
fn needed_elsewhere(structure: &Structure<'_>, gone: &[bool]) -> Result<(), Failure> {
    let tree = structure.tree;
    let mut set: BTreeMap<&str, &Line> = BTreeMap::new();
    for line in tree.lines() {
        if let LineKind::Definition(made) = &line.kind {
            let name = tree.slice(made.name);
            match gone[line.index] {
                true => drop(set.entry(name).or_insert(line)),
                // Set again in what stays: that is enough.
                false => drop(set.remove(name)),
            }
        }
    }
    if set.is_empty() {
        return Ok(());
    }
    for line in tree.lines().iter().filter(|line| !gone[line.index]) {
        for name in used(tree.slice(line.span)) {
            let Some(definition) = set.get(name) else { continue };
            let what = format!("`{name}`, which is used elsewhere, is set in what should go");
            let failure = Failure::new(Kind::NotPossible, what);
            let failure = structure.at(failure, "it is set at", definition.span.start);
            return Err(structure
                .at(failure, "and used at", line.span.start)
                .hint("set it at the top with `spec-prepend-lines` before this overlay"));
        }
    }
    Ok(())
}

/// Names that follow a `%`, and those that `with` and `without` ask about.
fn used(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split('%').skip(1).flat_map(move |rest| {
        let rest = rest.trim_start_matches(['{', '?', '!']);
        let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        let asked = after.trim_start();
        let asked = &asked[..asked.find(|c| !is_word(c)).unwrap_or(asked.len())];
        let asks = matches!(word, "with" | "without");
        [Some(word), Some(asked).filter(|_| asks)].into_iter().flatten()
    })
}
