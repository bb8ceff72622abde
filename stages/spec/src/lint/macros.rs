//! Rules about macros where nobody expects them.

use super::{Report, Rule, Severity::*, Subject, code::macros};
use crate::syntax::{Class, Edit, Kind, Line, Span};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Warning,
        "macro-in-comment",
        "rpm expands macros in comments too: a macro of several lines leaves all but its first outside of the comment, \
         and a command runs.",
        macro_in_comment,
    ),
    Rule::new(
        Warning,
        "macro-in-changelog",
        "rpm expands macros in the changelog, and what is past then changes with every build.",
        macro_in_changelog,
    ),
    Rule::new(
        Warning,
        "depscript-without-disabling-depgen",
        "rpm asks `__find_requires` and `__find_provides` only if `_use_internal_dependency_generator` is 0.",
        depscript_without_disabling_depgen,
    ),
];

fn escape(report: &mut Report<'_>, span: Span, written: &str, place: &str) {
    let message = format!("`{written}` is expanded, though it stands in {place}");
    report.fixable(
        span,
        message,
        "double the `%`",
        vec![Edit::insert(span.start, "%")],
    );
}

fn macro_in_comment(subject: &Subject<'_>, report: &mut Report<'_>) {
    let comments = subject
        .tree
        .lines()
        .iter()
        .filter(|line| line.kind == Kind::Comment);
    for line in comments {
        let text = subject.text(line);
        let comment = text.trim_start().trim_start_matches('#');
        if comment.starts_with('!') || comment.trim_start().starts_with("keel-lint:") {
            continue;
        }
        for used in macros(text, line.span.start).filter(|used| used.name.len() > 2) {
            escape(report, used.span, subject.tree.slice(used.span), "a comment");
        }
        for at in commands(text) {
            let start = line.span.start + at;
            escape(report, Span::new(start, start + 2), "%(…)", "a comment");
        }
    }
}

/// Where commands (`%(`) begin.
fn commands(text: &str) -> Vec<usize> {
    let percents = |at: usize| text[..at].bytes().rev().take_while(|byte| *byte == b'%').count();
    (text.match_indices("%(").map(|(at, _)| at))
        .filter(|at| percents(*at).is_multiple_of(2))
        .collect()
}

fn macro_in_changelog(subject: &Subject<'_>, report: &mut Report<'_>) {
    let of_changelog = |line: &&Line| {
        let text = matches!(line.kind, Kind::Text | Kind::Entry(_) | Kind::Macro(_));
        text && subject.kind(line).class() == Class::Changelog
    };
    for line in subject.tree.lines().iter().filter(of_changelog) {
        let uses = macros(subject.text(line), line.span.start);
        for used in uses.filter(|used| used.name.len() > 2 && used.name != "autochangelog") {
            escape(report, used.span, subject.tree.slice(used.span), "the changelog");
        }
    }
}

fn depscript_without_disabling_depgen(subject: &Subject<'_>, report: &mut Report<'_>) {
    let tree = subject.tree;
    let definitions = || {
        tree.lines().iter().filter_map(|line| match &line.kind {
            Kind::Definition(made) if made.kind.has_body() => {
                Some((line, tree.slice(made.name), tree.slice(made.body)))
            }
            _ => None,
        })
    };
    if definitions().any(|(_, name, body)| name == "_use_internal_dependency_generator" && body == "0") {
        return;
    }
    for (line, name, _) in definitions() {
        if matches!(name, "__find_requires" | "__find_provides") {
            report.line(line, format!("`{name}` is not asked"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn macros_are_escaped() {
        assert_fixes(
            "macro-in-comment",
            "# a %{foo} %%bar %n %(date) %%(date)\n#!%{x}\n# keel-lint: allow(group-tag) %foo\n",
            "# a %%{foo} %%bar %n %%(date) %%(date)\n#!%{x}\n# keel-lint: allow(group-tag) %foo\n",
        );
        assert_fixes(
            "macro-in-changelog",
            "%changelog\n%autochangelog\n* Thu Jan 01 2026 A <a@b> - 1-1%{?dist}\n- %configure\n",
            "%changelog\n%autochangelog\n* Thu Jan 01 2026 A <a@b> - 1-1%%{?dist}\n- %%configure\n",
        );
    }

    #[test]
    fn dependency_scripts() {
        let rule = "depscript-without-disabling-depgen";
        assert_finds(rule, "%define __find_requires x\n", &[1]);
        assert_finds(
            rule,
            "%define __find_requires x\n%define _use_internal_dependency_generator 0\n",
            &[],
        );
    }
}
