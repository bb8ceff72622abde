//! Rules about tags.

use std::collections::HashMap;

use super::{Report, Rule, Severity::*, Subject};
use crate::syntax::{Class, Edit, Kind, Line, Span, Tag};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Error,
        "unknown-tag",
        "rpm refuses lines in the preamble that it does not know.",
        unknown_tag,
    ),
    Rule::new(
        Error,
        "missing-tag",
        "rpm builds nothing without `Name`, `Version`, `Release`, `License` and `Summary`.",
        missing_tag,
    ),
    Rule::new(
        Warning,
        "duplicate-tag",
        "Of a tag that a package has once, the last one counts, or rpm refuses the second.",
        duplicate_tag,
    ),
    Rule::new(
        Warning,
        "deprecated-tag",
        "rpm ignores the tag, or keeps it only for old SPECs' sake.",
        deprecated_tag,
    ),
    Rule::new(Info, "group-tag", "Nothing reads `Group` any more.", group_tag),
    Rule::new(
        Warning,
        "hardcoded-packager-tag",
        "Who builds a package is known where it is built, not in its SPEC.",
        hardcoded_packager_tag,
    ),
    Rule::new(
        Warning,
        "hardcoded-prefix-tag",
        "A fixed prefix makes the package relocatable under it, which hardly any package really is.",
        hardcoded_prefix_tag,
    ),
    Rule::new(
        Error,
        "buildarch-instead-of-exclusivearch-tag",
        "`BuildArch` says for what to build; where it can be built is for `ExclusiveArch` to say. Only `noarch` belongs \
         there.",
        buildarch_instead_of_exclusivearch,
    ),
    Rule::new(
        Warning,
        "summary-ends-with-dot",
        "A summary is a title, not a sentence.",
        summary_ends_with_dot,
    ),
    Rule::new(
        Warning,
        "summary-too-long",
        "Lists of packages show a summary in one line: 79 characters fit.",
        summary_too_long,
    ),
    Rule::new(
        Warning,
        "invalid-url",
        "People follow `URL`: it is a web address, whole.",
        invalid_url,
    ),
];

/// Longest summary, in characters.
const LONGEST_SUMMARY: usize = 79;

fn unknown_tag(subject: &Subject<'_>, report: &mut Report<'_>) {
    for line in subject.tree.lines() {
        let of_tags = subject.kind(line).class() == Class::Tags;
        match &line.kind {
            Kind::Tag(tag) if tag.kind.is_none() => {
                report.at(tag.name, format!("there is no tag `{}`", subject.tree.title(tag)));
            }
            // What begins with `%` could become anything.
            Kind::Text if of_tags && !line.joined && !subject.text(line).trim_start().starts_with('%') => {
                report.line(line, "this is neither a tag nor a macro")
            }
            _ => {}
        }
    }
}

fn missing_tag(subject: &Subject<'_>, report: &mut Report<'_>) {
    if subject.includes() {
        return;
    }
    let preamble = &subject.tree.sections()[0];
    for name in ["Name", "Version", "Release", "License", "Summary"] {
        let there = subject.tree.body(preamble).iter().any(|line| match &line.kind {
            Kind::Tag(tag) => tag.is(name) || (name == "License" && tag.is("Copyright")),
            // `%{?x:License: …}`, or a macro that may bring any tag.
            Kind::Macro(_) => {
                let text = subject.text(line).trim_start();
                text.contains(name) || !text.starts_with("%{?")
            }
            _ => false,
        });
        if !there {
            report.file(format!("there is no tag `{name}`"));
        }
    }
}

fn duplicate_tag(subject: &Subject<'_>, report: &mut Report<'_>) {
    let mut seen: HashMap<(usize, String), Vec<&Line>> = HashMap::new();
    for (line, tag) in subject.tree.tags() {
        if !tag.kind.is_some_and(|kind| kind.single) {
            continue;
        }
        let title = subject.tree.title(tag);
        let before = seen
            .entry((line.section, title.to_ascii_lowercase()))
            .or_default();
        if let Some(twin) = before.iter().rev().take(8).find(|twin| subject.tree.together(twin, line))
            // A value for all, and another one in a condition after it, is a way to write a default.
            && !(twin.branch.is_none() && line.branch.is_some())
        {
            let at = subject.tree.position(twin.span.start).line;
            report.at(tag.name, format!("`{title}` is already in line {at}"));
        }
        before.push(line);
    }
}

/// What to write instead of an old tag (nothing: leave it out).
fn replacement(name: &str) -> Option<&'static str> {
    const OLD: [(&str, &str); 5] = [
        ("PreReq", "Requires"),
        ("BuildPreReq", "BuildRequires"),
        ("Copyright", "License"),
        ("Serial", "Epoch"),
        ("BuildRoot", ""),
    ];
    OLD.into_iter()
        .find(|(old, _)| old.eq_ignore_ascii_case(name))
        .map(|(_, new)| new)
}

fn deprecated_tag(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (line, tag) in subject.tree.tags() {
        let name = subject.tree.slice(tag.name);
        match replacement(name) {
            None => {}
            Some("") => {
                let message = format!("`{name}` does nothing");
                report.fixable(
                    tag.name,
                    message,
                    "remove the line",
                    vec![Edit::remove(line.span)],
                );
            }
            Some(new) => {
                let edit = Edit::replace(tag.name, new);
                report.fixable(
                    tag.name,
                    format!("`{name}` is old"),
                    &format!("write `{new}`"),
                    vec![edit],
                );
            }
        }
    }
}

fn each(subject: &Subject<'_>, name: &str, mut found: impl FnMut(&Line, &Tag, &str)) {
    for (line, tag) in subject.tree.tags().filter(|(_, tag)| tag.is(name)) {
        found(line, tag, subject.tree.slice(tag.value));
    }
}

fn group_tag(subject: &Subject<'_>, report: &mut Report<'_>) {
    each(subject, "Group", |line, tag, _| {
        let edits = vec![Edit::remove(line.span)];
        report.fixable(tag.name, "`Group` is not needed", "remove the line", edits);
    });
}

fn hardcoded_packager_tag(subject: &Subject<'_>, report: &mut Report<'_>) {
    each(subject, "Packager", |line, tag, value| {
        if !value.starts_with('%') {
            let edits = vec![Edit::remove(line.span)];
            report.fixable(tag.name, "`Packager` is fixed", "remove the line", edits);
        }
    });
}

fn hardcoded_prefix_tag(subject: &Subject<'_>, report: &mut Report<'_>) {
    for name in ["Prefix", "Prefixes"] {
        each(subject, name, |_, tag, value| {
            if !value.starts_with('%') {
                report.at(tag.value, format!("`{name}` is fixed"));
            }
        });
    }
}

fn buildarch_instead_of_exclusivearch(subject: &Subject<'_>, report: &mut Report<'_>) {
    for name in ["BuildArch", "BuildArchitectures"] {
        each(subject, name, |_, tag, value| {
            if value != "noarch" && !value.contains('%') && !value.is_empty() {
                report.at(
                    tag.value,
                    format!("`{name}` is for `noarch` alone: use `ExclusiveArch`"),
                );
            }
        });
    }
}

fn summary_ends_with_dot(subject: &Subject<'_>, report: &mut Report<'_>) {
    each(subject, "Summary", |_, tag, value| {
        if value.ends_with('.') && !value.ends_with("..") && !value.ends_with("etc.") {
            let end = Span::new(tag.value.end - 1, tag.value.end);
            report.fixable(
                end,
                "a full stop ends the summary",
                "remove it",
                vec![Edit::remove(end)],
            );
        }
    });
}

fn summary_too_long(subject: &Subject<'_>, report: &mut Report<'_>) {
    each(subject, "Summary", |_, tag, value| {
        let length = value.chars().count();
        if length > LONGEST_SUMMARY && !value.contains('%') {
            report.at(tag.value, format!("the summary has {length} characters"));
        }
    });
}

fn invalid_url(subject: &Subject<'_>, report: &mut Report<'_>) {
    each(subject, "URL", |_, tag, value| {
        let known = ["http://", "https://", "ftp://", "git://"].iter().any(|scheme| {
            value
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        if !known && !value.starts_with('%') {
            report.at(tag.value, "this is not the address of a web page");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn tags_that_are_not_there_or_should_not_be() {
        assert_finds(
            "unknown-tag",
            "Nmae: a\n%{?x}\nfoo bar\n# c\n%description\nfoo: bar\n",
            &[1, 3],
        );
        assert_finds("unknown-tag", "Serial: 1\nRequires(post): a\nName(de): b\n", &[3]);
        assert_finds(
            "missing-tag",
            "Name: a\nVersion: 1\nRelease: 1\nSummary: s\n%package b\nLicense: l\n",
            &[1],
        );
        assert_finds("missing-tag", "%include a.inc\n", &[]);
        let spec = "Name: a\nVersion: 1\n%if 1\nVersion: 2\nSummary: a\n%else\nSummary: b\n%endif\nName: b\n\
                    Summary(de): c\n%package x\nSummary: d\n";
        assert_finds("duplicate-tag", spec, &[9]);
    }

    #[test]
    fn tags_of_old() {
        assert_fixes(
            "deprecated-tag",
            "PreReq:  sh\nBuildRoot: /x\nName: a\n",
            "Requires:  sh\nName: a\n",
        );
        assert_fixes("group-tag", "Group: Games\nName: a\n", "Name: a\n");
        assert_finds("hardcoded-packager-tag", "Packager: me\nPackager: %{me}\n", &[1]);
        assert_finds("hardcoded-prefix-tag", "Prefix: /usr\nPrefix: %{_prefix}\n", &[1]);
        let rule = "buildarch-instead-of-exclusivearch-tag";
        assert_finds(
            rule,
            "BuildArch: noarch\nBuildArch: x86_64\nBuildArch: %{x}\n",
            &[2],
        );
    }

    #[test]
    fn values() {
        assert_fixes(
            "summary-ends-with-dot",
            "Summary: A thing.\n",
            "Summary: A thing\n",
        );
        assert_finds(
            "summary-ends-with-dot",
            "Summary: Things...\nSummary: Things etc.\n",
            &[],
        );
        assert_finds(
            "summary-too-long",
            &format!("Summary: {}\n", "x".repeat(80)),
            &[1],
        );
        assert_finds(
            "invalid-url",
            "URL: example.org\nURL: HTTPS://example.org\nURL: %{u}\n",
            &[1],
        );
    }
}
