//! `# keel-lint: allow(rule, rule)`: comments that turn rules off.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Severity, rules};
use crate::syntax::{Kind, Line, Span, Tree};

/// Rules that comments turn off.
#[derive(Default)]
pub(super) struct Allowances<'a> {
    file: BTreeSet<&'a str>,
    /// By the line that they are for.
    lines: BTreeMap<usize, BTreeSet<&'a str>>,
}

impl<'a> Allowances<'a> {
    /// Reads all comments; names that no rule has are findings.
    pub(super) fn read(tree: &Tree<'a>, findings: &mut Vec<Finding>) -> Self {
        let mut all = Self::default();
        let mut on_top = true;
        // What the comments right above the next line allow.
        let mut pending: BTreeSet<&'a str> = BTreeSet::new();
        for line in tree.lines().iter().filter(|line| tree.block_of(line).is_none()) {
            let names = allowed(tree, line);
            if names.is_empty() {
                if !pending.is_empty() {
                    all.lines.insert(line.index, std::mem::take(&mut pending));
                }
                on_top &= matches!(line.kind, Kind::Comment | Kind::Blank | Kind::Dnl);
                continue;
            }
            for (name, span) in names {
                if !rules().any(|rule| rule.name == name) {
                    findings.push(unknown(tree, name, span));
                }
                pending.insert(name);
                if on_top {
                    all.file.insert(name);
                }
            }
        }
        all
    }

    /// Is this finding allowed?
    pub(super) fn allow(&self, tree: &Tree<'_>, finding: &Finding) -> bool {
        let of_line = || {
            let line = tree.line_at(finding.span.start)?;
            self.lines.get(&line.index)
        };
        self.file.contains(finding.rule) || of_line().is_some_and(|names| names.contains(finding.rule))
    }
}

/// The names that a comment allows, and where they stand.
fn allowed<'a>(tree: &Tree<'a>, line: &Line) -> Vec<(&'a str, Span)> {
    let text = tree.slice(line.span);
    let list = || {
        let comment = text.trim_start().trim_start_matches('#').trim_start();
        let list = comment
            .strip_prefix("keel-lint:")?
            .trim_start()
            .strip_prefix("allow(")?;
        list.split_once(')').map(|(list, _)| list)
    };
    let Some(list) = (line.kind == Kind::Comment).then(list).flatten() else {
        return Vec::new();
    };
    let mut at = line.span.start + text.find("allow(").unwrap_or(0) + "allow(".len();
    let mut names = Vec::new();
    for part in list.split(',') {
        let span = Span::new(at, at + part.len()).trimmed(tree.text());
        names.push((tree.slice(span), span));
        at += part.len() + 1;
    }
    names
}

fn unknown(tree: &Tree<'_>, name: &str, span: Span) -> Finding {
    let position = tree.position(span.start);
    Finding {
        rule: "unknown-rule",
        severity: Severity::Warning,
        message: format!("there is no rule `{name}` to allow"),
        line: position.line,
        column: position.column,
        span,
        fix: None,
    }
}
