//! Rules about dependencies.

use std::collections::HashMap;

use super::{Report, Rule, Severity::*, Subject};
use crate::syntax::{Edit, Line, SectionKind, Span, Tag};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Warning,
        "unversioned-explicit-provides",
        "What is provided without a version fits every version that somebody asks for, and none that is asked for with \
         one.",
        unversioned_provides,
    ),
    Rule::new(
        Warning,
        "unversioned-explicit-obsoletes",
        "An `Obsoletes` without a version removes the package for ever, whatever comes back under its name.",
        unversioned_obsoletes,
    ),
    Rule::new(
        Error,
        "comparison-operator-in-deptoken",
        "Without blanks around it, `<`, `=` or `>` is part of the name, and the name is nobody's.",
        operator_in_token,
    ),
    Rule::new(
        Info,
        "duplicate-dependency",
        "The same dependency twice says no more than once.",
        duplicate_dependency,
    ),
    Rule::new(
        Info,
        "buildrequires-in-subpackage",
        "What building needs is needed for the whole SPEC, wherever it is written; in the preamble it is found.",
        buildrequires_in_subpackage,
    ),
];

/// One dependency of a list: `zlib >= 1.2`. A rich one is a name.
#[derive(Debug, Clone, Copy)]
struct Dependency {
    name: Span,
    operator: Option<Span>,
    version: Option<Span>,
}

impl Dependency {
    fn end(&self) -> usize {
        self.version.or(self.operator).unwrap_or(self.name).end
    }
}

/// The dependencies in a tag's value.
fn dependencies(text: &str, value: Span) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    for token in tokens(text, value) {
        let word = token.of(text);
        let operator = matches!(word, "<" | "<=" | "=" | "==" | ">=" | ">" | "=<" | "=>");
        match found.last_mut() {
            Some(last) if operator && last.operator.is_none() => last.operator = Some(token),
            Some(last) if last.operator.is_some() && last.version.is_none() => last.version = Some(token),
            _ => found.push(Dependency {
                name: token,
                operator: None,
                version: None,
            }),
        }
    }
    found
}

/// Words that white space or commas divide outside of brackets.
fn tokens(text: &str, value: Span) -> Vec<Span> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0_usize, None);
    for (at, byte) in value.of(text).bytes().enumerate() {
        let at = value.start + at;
        match byte {
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let divides = depth == 0 && (byte.is_ascii_whitespace() || byte == b',');
        match start {
            Some(from) if divides => {
                found.push(Span::new(from, at));
                start = None;
            }
            None if !divides => start = Some(at),
            _ => {}
        }
    }
    found.extend(start.map(|from| Span::new(from, value.end)));
    found
}

/// All tags of dependencies.
fn tags<'s>(subject: &Subject<'s>) -> impl Iterator<Item = (&'s Line, &'s Tag)> {
    let dependency = |tag: &Tag| tag.kind.is_some_and(|kind| kind.dependency);
    subject.tree.tags().filter(move |(_, tag)| dependency(tag))
}

fn unversioned(subject: &Subject<'_>, report: &mut Report<'_>, tag: &str) {
    let text = subject.tree.text();
    for (_, tag) in tags(subject).filter(|(_, found)| found.is(tag)) {
        for dependency in dependencies(text, tag.value) {
            let name = dependency.name.of(text);
            let capability = name.contains('(') && !name.starts_with("bundled(");
            let path = name.starts_with('/') || (name.starts_with("%{_") && name.contains('/'));
            let unknown = is_macro_alone(name) || (name.contains("%{") && name.contains(':'));
            if dependency.operator.is_none() && !path && !capability && !unknown {
                report.at(dependency.name, format!("`{name}` has no version"));
            }
        }
    }
}

/// `%{?x}`, which could be anything.
fn is_macro_alone(name: &str) -> bool {
    name.starts_with('%')
        && !name[1..].contains(['-', '.', '%'])
        && name.find('}').is_none_or(|at| at + 1 == name.len())
}

fn unversioned_provides(subject: &Subject<'_>, report: &mut Report<'_>) {
    unversioned(subject, report, "Provides");
}

fn unversioned_obsoletes(subject: &Subject<'_>, report: &mut Report<'_>) {
    unversioned(subject, report, "Obsoletes");
}

fn operator_in_token(subject: &Subject<'_>, report: &mut Report<'_>) {
    let text = subject.tree.text();
    for (_, tag) in tags(subject) {
        for dependency in dependencies(text, tag.value) {
            if let Some(operator) = operator_inside(text, dependency.name) {
                let mut edits = Vec::new();
                let blank = |at: usize| text.as_bytes().get(at).is_none_or(u8::is_ascii_whitespace);
                if !operator.start.checked_sub(1).is_none_or(blank) {
                    edits.push(Edit::insert(operator.start, " "));
                }
                if !blank(operator.end) {
                    edits.push(Edit::insert(operator.end, " "));
                }
                let message = format!("`{}` is read as one name", dependency.name.of(text));
                report.fixable(dependency.name, message, "put blanks around the operator", edits);
            }
        }
    }
}

/// The operator inside a name, outside of brackets.
fn operator_inside(text: &str, name: Span) -> Option<Span> {
    let bytes = name.of(text).as_bytes();
    let is_operator = |byte: &u8| matches!(byte, b'<' | b'=' | b'>');
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && is_operator(byte) => {
                let length = bytes[at..].iter().take_while(|byte| is_operator(byte)).count();
                return Some(Span::new(name.start + at, name.start + at + length));
            }
            _ => {}
        }
    }
    None
}

fn duplicate_dependency(subject: &Subject<'_>, report: &mut Report<'_>) {
    let text = subject.tree.text();
    let mut seen: HashMap<(usize, String, String), Vec<&Line>> = HashMap::new();
    for (line, tag) in tags(subject) {
        let listed = dependencies(text, tag.value);
        let alone = listed.len() == 1;
        for dependency in listed {
            let span = Span::new(dependency.name.start, dependency.end());
            let words: Vec<&str> = span.of(text).split_ascii_whitespace().collect();
            let title = subject.tree.title(tag).to_ascii_lowercase();
            let before = seen.entry((line.section, title, words.join(" "))).or_default();
            // Only one that is always read makes this one superfluous.
            let twin = before
                .iter()
                .rev()
                .take(8)
                .find(|twin| twin.branch.is_none() || twin.branch == line.branch);
            if let Some(twin) = twin {
                let message = format!(
                    "this is already in line {}",
                    subject.tree.position(twin.span.start).line
                );
                match alone {
                    true => report.fixable(span, message, "remove the line", vec![Edit::remove(line.span)]),
                    false => report.at(span, message),
                }
            }
            before.push(line);
        }
    }
}

fn buildrequires_in_subpackage(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (line, tag) in tags(subject).filter(|(_, tag)| tag.is("BuildRequires") || tag.is("BuildConflicts")) {
        if subject.kind(line) == SectionKind::Package {
            report.at(tag.name, format!("`{}` is for the whole SPEC", tag.known()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn versions_are_there() {
        let spec = "Provides: a\nProvides: b = 1, c\nProvides: d(x) %{?e} /f %{_bindir}/f bundled(g) %{name}-h\n\
                    Provides: %{?x:i = 1}\nObsoletes: a b < 2\n";
        assert_finds("unversioned-explicit-provides", spec, &[1, 2, 3, 3]);
        assert_finds("unversioned-explicit-obsoletes", spec, &[5]);
    }

    #[test]
    fn operators_stand_apart() {
        assert_fixes(
            "comparison-operator-in-deptoken",
            "Requires: a>=1 b >=2\nRequires: font(:lang=en) (a if b>1) %{?x:y=1} c = 1=2\n",
            "Requires: a >= 1 b >= 2\nRequires: font(:lang=en) (a if b>1) %{?x:y=1} c = 1=2\n",
        );
    }

    #[test]
    fn nothing_is_said_twice() {
        let spec = "BuildRequires: a\n%if 1\nBuildRequires: a\nBuildRequires: b\n%endif\nBuildRequires: b\n\
                    BuildRequires: c >= 1, c >=  1\n%package x\nBuildRequires: a\n";
        assert_finds("duplicate-dependency", spec, &[3, 7]);
        assert_finds("buildrequires-in-subpackage", spec, &[9]);
    }
}
