//! Rules about packages.

use std::collections::{HashMap, HashSet};

use super::{Report, Rule, Severity::*, Subject};
use crate::syntax::{Section, SectionKind};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Error,
        "duplicate-package",
        "rpm refuses a second package of the same name.",
        duplicate_package,
    ),
    Rule::new(
        Error,
        "unknown-package",
        "rpm refuses a section about a package that no `%package` begins.",
        unknown_package,
    ),
    Rule::new(
        Warning,
        "package-without-files",
        "A package without a `%files` section is never built, whatever else says it exists.",
        package_without_files,
    ),
    Rule::new(
        Warning,
        "package-without-description",
        "People who look for a package find it by its description.",
        package_without_description,
    ),
];

fn duplicate_package(subject: &Subject<'_>, report: &mut Report<'_>) {
    let tree = subject.tree;
    let mut seen: HashMap<String, Vec<&Section>> = HashMap::new();
    for section in subject.sections(SectionKind::Package) {
        let line = &tree.lines()[section.lines.start];
        let name = tree.package_name(section, &subject.names);
        let before = seen.entry(name).or_default();
        let twin = before
            .iter()
            .rev()
            .take(8)
            .find(|twin| tree.together(&tree.lines()[twin.lines.start], line));
        if let Some(twin) = twin {
            let at = tree.position(tree.section_span(twin).start).line;
            report.line(line, format!("this package already begins in line {at}"));
        }
        before.push(section);
    }
}

/// Whole names of packages that sections of this kind are about.
fn packages_of(subject: &Subject<'_>, kind: SectionKind) -> HashSet<String> {
    (subject.sections(kind))
        .map(|section| subject.tree.package_name(section, &subject.names))
        .collect()
}

fn unknown_package(subject: &Subject<'_>, report: &mut Report<'_>) {
    if subject.macros_make_packages() {
        return;
    }
    let mut known = packages_of(subject, SectionKind::Package);
    known.insert(subject.names.resolve("%{name}").into_owned());
    // A name that a macro decides could be any.
    if known.iter().any(|name| name.contains('%')) {
        return;
    }
    for section in subject.tree.sections() {
        let package = section.header.as_ref().and_then(|header| header.package);
        let Some(span) =
            package.filter(|_| section.kind != SectionKind::Package && !section.kind.is_single())
        else {
            continue;
        };
        let name = subject.tree.package_name(section, &subject.names);
        let certain = subject.tree.lines()[section.lines.start].branch.is_none();
        if certain && !known.contains(&name) && !name.contains('%') {
            report.at(span, format!("there is no package `{name}`"));
        }
    }
}

fn without(subject: &Subject<'_>, report: &mut Report<'_>, kind: SectionKind) {
    if subject.macros_make_packages() {
        return;
    }
    let known = packages_of(subject, kind);
    for section in subject.sections(SectionKind::Package) {
        let name = subject.tree.package_name(section, &subject.names);
        if !known.contains(&name) && !name.contains('%') {
            let line = &subject.tree.lines()[section.lines.start];
            report.line(
                line,
                format!("package `{name}` has no `%{}` section", kind.name()),
            );
        }
    }
}

fn package_without_files(subject: &Subject<'_>, report: &mut Report<'_>) {
    without(subject, report, SectionKind::Files);
}

fn package_without_description(subject: &Subject<'_>, report: &mut Report<'_>) {
    without(subject, report, SectionKind::Description);
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_finds;

    #[test]
    fn packages_and_the_sections_about_them() {
        let spec = "%global base lib\nName: a-%{base}\n%package x\n%package -n a-lib-x\n%files x\n%files z\n\
                    %description -n %{name}-x\n%description -n b\n";
        assert_finds("duplicate-package", spec, &[4]);
        assert_finds("unknown-package", spec, &[6, 8]);
        assert_finds(
            "unknown-package",
            "Name: a\n%package -n b%{v}\n%files -n b1\n%if 1\n%files c\n%endif\n",
            &[],
        );
        assert_finds("package-without-files", "Name: a\n%package x\n%files\n", &[2]);
        assert_finds(
            "package-without-description",
            "Name: a\n%package x\n%description\n",
            &[2],
        );
        let spec = "%global text \\\nWords.\nName: a\n%description %{text}\n";
        assert_finds("unknown-package", spec, &[]);
        assert_finds(
            "package-without-files",
            "Name: a\n%fontpkg\n%package x\n%files\n",
            &[],
        );
    }
}
