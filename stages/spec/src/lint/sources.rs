//! Rules about sources and patches.

use std::collections::HashMap;

use super::{Report, Rule, Severity::*, Subject, reads::reads};
use crate::syntax::{Class, Kind, Line, SectionKind, Span, Tag};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Error,
        "duplicate-source-number",
        "rpm refuses two sources, or two patches, of one number.",
        duplicate_source_number,
    ),
    Rule::new(
        Warning,
        "unused-source",
        "A source that nothing reads is fetched, kept and shipped for nothing, or somebody forgot to use it.",
        unused_source,
    ),
    Rule::new(
        Warning,
        "patch-not-applied",
        "A patch that is not applied protects from nothing, though everybody sees it listed.",
        patch_not_applied,
    ),
    Rule::new(
        Info,
        "conditional-source",
        "The source package should be the same wherever it is made: list all sources, and use them on a condition.",
        conditional_source,
    ),
];

/// More than so many sources that nobody refers to by number are too many to look for by name.
const MOST_BY_NAME: usize = 200;

/// A source or patch.
struct Numbered<'s> {
    line: &'s Line,
    tag: &'s Tag,
    /// None if a macro is in the number.
    number: Option<u32>,
}

/// All `Source` or `Patch` tags with their numbers: those without one go on from the highest before.
fn numbered<'s>(subject: &Subject<'s>, name: &str) -> Vec<Numbered<'s>> {
    let mut next = 0;
    let mut found = Vec::new();
    for (line, tag) in subject.tree.tags().filter(|(_, tag)| tag.is(name)) {
        let bare = subject.tree.slice(tag.name).len() == name.len();
        let number = if bare { Some(next) } else { tag.number };
        next = number.map_or(next, |number| next.max(number.saturating_add(1)));
        found.push(Numbered { line, tag, number });
    }
    found
}

fn duplicate_source_number(subject: &Subject<'_>, report: &mut Report<'_>) {
    for name in ["Source", "Patch"] {
        let mut seen: HashMap<u32, Vec<&Line>> = HashMap::new();
        for Numbered { line, tag, number } in numbered(subject, name) {
            let Some(number) = number else { continue };
            let before = seen.entry(number).or_default();
            if let Some(twin) = before
                .iter()
                .rev()
                .take(8)
                .find(|twin| subject.tree.together(twin, line))
            {
                let at = subject.tree.position(twin.span.start).line;
                report.at(tag.name, format!("{name} {number} is already in line {at}"));
            }
            before.push(line);
        }
    }
}

fn unused_source(subject: &Subject<'_>, report: &mut Report<'_>) {
    let reads = reads(subject);
    let not_read = |source: &Numbered<'_>| {
        let number = source
            .number
            .is_some_and(|number| !reads.sources.contains(&number));
        number && !accompanies(subject.tree.slice(source.tag.value))
    };
    let unused: Vec<Numbered<'_>> = numbered(subject, "Source").into_iter().filter(not_read).collect();
    if reads.any_source || unused.len() > MOST_BY_NAME {
        return;
    }
    for source in unused {
        let value = subject.names.resolve(subject.tree.slice(source.tag.value));
        let name = value.rsplit('/').next().unwrap_or_default();
        if !is_named(subject, source.line, name) {
            report.at(source.tag.name, format!("nothing reads `{name}`"));
        }
    }
}

/// Files that people or other tools read: signatures, keys, configuration of checks.
fn accompanies(value: &str) -> bool {
    [
        ".asc",
        ".sig",
        ".sign",
        ".gpg",
        ".keyring",
        "rpmlintrc",
        ".minisig",
        ".sha256",
        ".sha512",
    ]
    .iter()
    .any(|end| value.ends_with(end))
}

/// Does a line other than the source's own say its name, as it is written or resolved?
fn is_named(subject: &Subject<'_>, own: &Line, name: &str) -> bool {
    let written = match &own.kind {
        Kind::Tag(tag) => subject
            .tree
            .slice(tag.value)
            .rsplit('/')
            .next()
            .unwrap_or_default(),
        _ => "",
    };
    let reader = |line: &&Line| match &line.kind {
        Kind::Tag(tag) => !tag.is("Source") && !tag.is("Patch"),
        Kind::Comment | Kind::Dnl | Kind::Blank => false,
        _ => subject.kind(line).class() != Class::Changelog,
    };
    let says = |line: &Line, name: &str| !name.is_empty() && subject.text(line).contains(name);
    (subject.tree.lines().iter().filter(reader)).any(|line| says(line, name) || says(line, written))
}

fn patch_not_applied(subject: &Subject<'_>, report: &mut Report<'_>) {
    let reads = reads(subject);
    if subject.sections(SectionKind::Prep).next().is_none() && reads.patches.is_empty() {
        return;
    }
    for patch in numbered(subject, "Patch") {
        let value = subject.tree.slice(patch.tag.value);
        // Some distributions note with such a name that there is nothing to apply.
        let says_so = value.ends_with(".nopatch");
        if !says_so && patch.number.is_some_and(|number| !reads.reads_patch(number)) {
            report.at(patch.tag.name, format!("nothing applies `{value}`"));
        }
    }
}

fn conditional_source(subject: &Subject<'_>, report: &mut Report<'_>) {
    for name in ["Source", "Patch"] {
        for found in numbered(subject, name) {
            if found.line.branch.is_some() {
                let span = Span::new(found.tag.name.start, found.tag.value.end);
                report.at(
                    span,
                    "whether this is in the source package depends on a condition",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_finds;

    #[test]
    fn numbers() {
        let spec = "Source: a\nSource0: b\nSource2: c\nSource: d\nSource3: e\nPatch0: p\n%if 1\nPatch1: q\n%else\n\
                    Patch1: r\n%endif\nPatch1: s\nSource%{n}: x\n";
        assert_finds("duplicate-source-number", spec, &[2, 5, 12]);
        assert_finds("conditional-source", spec, &[8, 10]);
    }

    #[test]
    fn sources_are_read() {
        let head = "Name: a\nSource0: a.tar\nSource1: b.conf\nSource2: https://x/%{name}.cfg\nSource3: a.tar.asc\n%prep\n";
        for (prep, lines) in [
            ("%setup -q\n", &[3, 4][..]),
            ("%setup -q -a1\ncp %{SOURCE2} .\n", &[]),
            ("%setup -q -T -b 1\ncp %{S:2} .\n", &[2]),
            ("%autosetup\ncp %{_sourcedir}/b.conf %SOURCE2 .\n", &[]),
            ("%forgesetup\ncp x/a.cfg %{_sourcedir}/b.conf\n", &[]),
            ("# %{SOURCE1}\n", &[2, 3, 4]),
            ("cp %{_sourcedir}/* .\n", &[]),
            ("cp %{sources} .\n", &[]),
            ("cp %{SOURCE%{n}} .\n", &[]),
        ] {
            assert_finds("unused-source", &format!("{head}{prep}"), lines);
        }
    }

    #[test]
    fn patches_are_applied() {
        let head = "Patch0: a\nPatch1: b\nPatch12: c\n%prep\n";
        for (prep, lines) in [
            ("%autosetup -p1\n", &[][..]),
            ("%autosetup -N\n", &[1, 2, 3]),
            ("%autosetup -N\n%autopatch -p1 -m 1 -M 11\n", &[1, 3]),
            ("%setup -q\n%patch -p1\n%patch -P 1 -P12\n", &[]),
            ("%setup -q\npatch -p1 < %{PATCH1}\n", &[1, 3]),
            ("%setup -q\n%autopatch 0 12\n", &[2]),
            ("%setup -q\n%apply_all_patches\n", &[]),
            ("%setup -q\nfor p in %{patches}; do patch < $p; done\n", &[]),
        ] {
            assert_finds("patch-not-applied", &format!("{head}{prep}"), lines);
        }
    }
}
