//! Rules about sections and packages.

use std::collections::HashMap;

use super::{Report, Rule, Severity::*, Subject};
use crate::syntax::{Class, DefectKind, Kind, Mode, Section, SectionKind};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Error,
        "unterminated-macro",
        "A bracket of a macro that nothing closes, or a backslash in the last line, makes rpm refuse the SPEC.",
        unterminated_macro,
    ),
    Rule::new(
        Error,
        "unbalanced-condition",
        "Each `%if` needs one `%endif`, and `%else` and `%elif` stand between them; rpm refuses all else.",
        unbalanced_condition,
    ),
    Rule::new(
        Error,
        "duplicate-section",
        "rpm refuses a second script of a kind, and drops all but the last of several `%files` of one package.",
        duplicate_section,
    ),
    Rule::new(
        Warning,
        "missing-section",
        "Macros of the distribution are hooked onto `%prep`, `%build` and `%install` (debuginfo packages, for one), and \
         the changelog dates the build; a section without lines is enough.",
        missing_section,
    ),
    Rule::new(
        Info,
        "no-check-section",
        "What comes with tests should run them when it is built.",
        no_check_section,
    ),
    Rule::new(
        Warning,
        "superfluous-clean-section",
        "rpmbuild clears the build root by itself; a `%clean` section can only get that wrong.",
        superfluous_clean_section,
    ),
];

fn unterminated_macro(subject: &Subject<'_>, report: &mut Report<'_>) {
    for defect in subject.tree.defects() {
        if defect.kind == DefectKind::Unterminated {
            let line = &subject.tree.lines()[defect.line];
            report.line(
                line,
                "a bracket or a backslash keeps this line open up to the end of the file",
            );
        }
    }
}

fn unbalanced_condition(subject: &Subject<'_>, report: &mut Report<'_>) {
    for defect in subject.tree.defects() {
        let line = &subject.tree.lines()[defect.line];
        let Kind::Directive(directive) = &line.kind else {
            continue;
        };
        let word = directive.keyword.as_str();
        report.line(
            line,
            match defect.kind {
                DefectKind::NoIf => format!("`{word}` without `%if`"),
                DefectKind::AfterElse => format!("`{word}` after `%else`"),
                DefectKind::NoEndif => format!("`{word}` without `%endif`"),
                DefectKind::Unterminated => continue,
            },
        );
    }
}

/// What there can be one of: the kind, of build scripts and the changelog for all packages, the language of a description.
fn identity(subject: &Subject<'_>, section: &Section) -> Option<(SectionKind, String, String)> {
    let header = section.header.as_ref()?;
    let package = match section.kind.is_single() {
        true => String::new(),
        false => subject.tree.package_name(section, &subject.names),
    };
    let language = header.language.map(|span| subject.tree.slice(span));
    Some((section.kind, package, language.unwrap_or_default().to_owned()))
}

fn duplicate_section(subject: &Subject<'_>, report: &mut Report<'_>) {
    let tree = subject.tree;
    let once = |section: &&Section| {
        let whole = section
            .header
            .as_ref()
            .is_some_and(|header| header.mode == Mode::Whole);
        let repeats = matches!(
            section.kind.class(),
            Class::Tags | Class::Trigger | Class::List | Class::Nothing
        );
        whole && !repeats
    };
    let mut seen: HashMap<_, Vec<&Section>> = HashMap::new();
    for section in tree.sections().iter().filter(once) {
        let line = &tree.lines()[section.lines.start];
        let Some(identity) = identity(subject, section) else {
            continue;
        };
        let before = seen.entry(identity).or_default();
        let twin = before
            .iter()
            .rev()
            .take(8)
            .find(|twin| tree.together(&tree.lines()[twin.lines.start], line));
        if let Some(twin) = twin {
            let at = tree.position(tree.section_span(twin).start).line;
            report.line(
                line,
                format!("`%{}` is already in line {at}", section.kind.name()),
            );
        }
        before.push(section);
    }
}

fn missing_section(subject: &Subject<'_>, report: &mut Report<'_>) {
    let built_by_system = subject.tree.tags().any(|(_, tag)| tag.is("BuildSystem"));
    if subject.includes() {
        return;
    }
    use SectionKind::{Build, Changelog, Install, Prep};
    for kind in [Prep, Build, Install, Changelog] {
        let given = built_by_system && kind != Changelog;
        if !given && subject.sections(kind).next().is_none() {
            report.file(format!("there is no `%{}` section", kind.name()));
        }
    }
}

fn no_check_section(subject: &Subject<'_>, report: &mut Report<'_>) {
    let built_by_system = subject.tree.tags().any(|(_, tag)| tag.is("BuildSystem"));
    let builds = subject.sections(SectionKind::Build).next().is_some();
    if builds
        && !built_by_system
        && !subject.includes()
        && subject.sections(SectionKind::Check).next().is_none()
    {
        report.file("there is no `%check` section");
    }
}

fn superfluous_clean_section(subject: &Subject<'_>, report: &mut Report<'_>) {
    for section in subject.sections(SectionKind::Clean) {
        let span = report.first_line(&subject.tree.lines()[section.lines.start]);
        let message = "`%clean` is no longer needed";
        match subject.tree.remove_section(section) {
            Ok(edit) => report.fixable(span, message, "remove the section", vec![edit]),
            Err(_) => report.at(span, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn shapes_that_rpm_refuses() {
        assert_finds(
            "unterminated-macro",
            "Name: a\n%global x %{foo\nVersion: 1\n",
            &[2],
        );
        assert_finds("unterminated-macro", "Name: a\n%build\nmake \\\n", &[3]);
        assert_finds(
            "unbalanced-condition",
            "%if 1\nName: a\n%else\n%elif 2\n%endif\n%endif\n",
            &[4, 6],
        );
        assert_finds("unbalanced-condition", "%if 1\n%ifarch x86_64\n", &[1, 2]);
        let two = "%build\n%if 1\n%install\n%else\n%install\n%endif\n%build\n%build -a\n%files x\n%files y\n%files x\n";
        assert_finds("duplicate-section", two, &[7, 11]);
        assert_finds(
            "duplicate-section",
            "%if %{with a}\n%check\n%endif\n%if %{without a}\n%check\n%endif\n",
            &[],
        );
    }

    #[test]
    fn sections_that_should_be_there_or_not() {
        assert_finds("missing-section", "Name: a\n%prep\n%build\n%install\n", &[1]);
        assert_finds(
            "missing-section",
            "Name: a\nBuildSystem: autotools\n%changelog\n",
            &[],
        );
        assert_finds("no-check-section", "Name: a\n%build\n", &[1]);
        assert_fixes(
            "superfluous-clean-section",
            "%install\n\n%clean\nrm -rf %{buildroot}\n\n%files\n",
            "%install\n\n%files\n",
        );
    }
}
