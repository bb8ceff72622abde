//! Rules that hold a SPEC against what a distribution asks for ([`Options`](super::Options)).

use super::{Report, Rule, Severity::*, Subject, options::fits, prep::patch_calls};
use crate::syntax::{Class, Kind, Package, SectionKind, Span};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Error,
        "required-tag",
        "The distribution asks for this tag in each of its SPECs.",
        required_tag,
    ),
    Rule::new(
        Error,
        "release-format",
        "The distribution's tools count releases up, and sort by them.",
        release_format,
    ),
    Rule::new(
        Error,
        "changelog-statement",
        "The distribution asks that this be checked, and said in the changelog.",
        changelog_statement,
    ),
    Rule::new(
        Error,
        "patch-without-flag",
        "`%patch -P N` is the one form that all versions of rpm take.",
        patch_without_flag,
    ),
    Rule::new(
        Error,
        "invalid-spec-name",
        "A SPEC is looked for by the name of its package.",
        invalid_spec_name,
    ),
];

fn required_tag(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (name, value) in &subject.options.required_tags {
        for (_, tag) in subject.tree.tags().filter(|(_, tag)| tag.is(name)) {
            if !value.is_empty() && subject.tree.slice(tag.value) != value {
                let edits = vec![subject.tree.set_value(tag, value)];
                report.fixable(
                    tag.name,
                    format!("`{name}` must be `{value}`"),
                    "give it that value",
                    edits,
                );
            }
        }
        if !subject
            .tree
            .find_tags(Package::Main, name, &subject.names)
            .is_empty()
            || subject.includes()
        {
            continue;
        }
        let message = format!("there is no tag `{name}`");
        match subject
            .tree
            .insert_tag(Package::Main, name, value, &subject.names)
        {
            Ok(edit) if !value.is_empty() => {
                report.fixable(
                    Span::new(0, 0),
                    message,
                    &format!("add `{name}: {value}`"),
                    vec![edit],
                );
            }
            _ => report.file(message),
        }
    }
}

fn release_format(subject: &Subject<'_>, report: &mut Report<'_>) {
    let formats = &subject.options.release_formats;
    for (_, tag) in subject.tree.find_tags(Package::Main, "Release", &subject.names) {
        let value = subject.tree.slice(tag.value);
        if !formats.is_empty() && !formats.iter().any(|format| fits(format, value)) {
            let list: Vec<String> = formats.iter().map(|format| format!("`{format}`")).collect();
            report.at(
                tag.value,
                format!("`{value}` is none of {} (`#`: a number)", list.join(", ")),
            );
        }
    }
}

fn changelog_statement(subject: &Subject<'_>, report: &mut Report<'_>) {
    let lines = || {
        subject
            .sections(SectionKind::Changelog)
            .flat_map(|section| subject.tree.body(section))
    };
    for statement in &subject.options.changelog_statements {
        let said = lines().any(|line| {
            let text = subject.text(line).trim();
            statement.any_of.iter().any(|pattern| fits(pattern, text))
        });
        if said {
            continue;
        }
        let message = format!("the changelog does not say {}", statement.about);
        match subject.sections(SectionKind::Changelog).next() {
            Some(section) => report.line(&subject.tree.lines()[section.lines.start], message),
            None => report.file(message),
        }
    }
}

fn patch_without_flag(subject: &Subject<'_>, report: &mut Report<'_>) {
    if !subject.options.patch_flag_required {
        return;
    }
    for line in subject.lines_of(Class::BuildScript) {
        for call in patch_calls(subject.text(line), line.span.start) {
            if call.flagged || call.old.is_some() {
                continue;
            }
            report.at(call.span, "a patch is applied without `-P`");
        }
    }
}

fn invalid_spec_name(subject: &Subject<'_>, report: &mut Report<'_>) {
    let Some(file) = &subject.options.file_name else {
        return;
    };
    let name = subject.names.resolve("%{name}");
    let Some(line) = subject
        .tree
        .lines()
        .iter()
        .find(|line| matches!(&line.kind, Kind::Tag(tag) if tag.is("Name")))
    else {
        return;
    };
    if !name.contains('%') && *file != format!("{name}.spec") {
        report.line(line, format!("the file of package `{name}` is named `{file}`"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Statement, fix, lint};

    /// What Azure Linux's checks ask for, as options.
    fn options() -> Options {
        let tags = [
            ("Distribution", "Azure Linux"),
            ("Vendor", "Microsoft Corporation"),
        ];
        let formats = [
            "#%{?dist}",
            "%{release_prefix}#%{?dist}",
            "#%{release_suffix}%{?dist}",
        ];
        let statement = |about: &str, any_of: &[&str]| Statement {
            about: about.to_owned(),
            any_of: any_of.iter().map(|pattern| (*pattern).to_owned()).collect(),
        };
        Options {
            file_name: Some("a.spec".to_owned()),
            required_tags: tags.map(|(tag, value)| (tag.to_owned(), value.to_owned())).into(),
            release_formats: formats.map(str::to_owned).into(),
            changelog_statements: vec![
                statement(
                    "that the licence was checked",
                    &["*license verified*", "*verified license*"],
                ),
                statement(
                    "where the SPEC comes from",
                    &[
                        "- Initial Azure Linux import from Fedora # (license: MIT)*",
                        "- Original version for CBL-Mariner*",
                    ],
                ),
            ],
            patch_flag_required: true,
            ..Options::default()
        }
    }

    fn rules(text: &str) -> Vec<(&'static str, u32)> {
        let policy = |name: &str| super::RULES.iter().any(|rule| rule.name == name);
        let found = lint(text, &options())
            .into_iter()
            .filter(|finding| policy(finding.rule));
        found.map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn a_distribution_gets_what_it_asks_for() {
        let right = "Name: a\nRelease: 3%{?dist}\nVendor: Microsoft Corporation\nDistribution: Azure Linux\n%prep\n\
                     %patch -P 1 -p1\n%changelog\n* Thu Jan 01 2026 A <a@b> - 1-1\n\
                     - Initial Azure Linux import from Fedora 36 (license: MIT).\n- License verified.\n";
        assert_eq!(rules(right), []);
        let wrong =
            "Name: b\nRelease: 3\nVendor: Me\n%prep\n%patch -p1\n%patch 2\n%changelog\n- License verified\n";
        assert_eq!(
            rules(wrong),
            [
                ("invalid-spec-name", 1),
                ("required-tag", 1),
                ("release-format", 2),
                ("required-tag", 3),
                ("patch-without-flag", 5),
                ("patch-without-flag", 6),
                ("changelog-statement", 7)
            ]
        );
    }

    #[test]
    fn required_tags_are_set_and_added() {
        let text = "Name:    a\nVendor:  Me\n%prep\n";
        let found = lint(text, &options())
            .into_iter()
            .filter(|finding| finding.rule == "required-tag");
        let (fixed, count) = fix(text, &found.collect::<Vec<_>>());
        assert_eq!(count, 2);
        assert_eq!(
            fixed,
            "Name:    a\nVendor:  Microsoft Corporation\nDistribution: Azure Linux\n%prep\n"
        );
    }

    #[test]
    fn without_options_nothing_is_asked() {
        let findings = lint("Name: b\nRelease: x\n", &Options::default());
        let policy = |name: &str| super::RULES.iter().any(|rule| rule.name == name);
        assert!(!findings.iter().any(|finding| policy(finding.rule)));
    }
}
