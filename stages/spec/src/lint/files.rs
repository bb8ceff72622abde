//! Rules about files of packages.

use std::collections::HashMap;

use super::{Report, Rule, Severity::*, Subject, code::macros};
use crate::syntax::{Class, Edit, Kind, SectionKind};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Warning,
        "libdir-macro-in-noarch-package",
        "What lies in `%{_libdir}` lies elsewhere on another architecture, but a `noarch` package is the same for all.",
        libdir_in_noarch,
    ),
    Rule::new(
        Warning,
        "python-sitelib-glob-in-files",
        "All of the folder is also what an upstream adds by mistake: name the modules.",
        python_sitelib_glob,
    ),
    Rule::new(
        Warning,
        "shared-dir-glob-in-files",
        "All of a folder that packages share is also what an upstream adds unseen, and other packages may have.",
        shared_dir_glob,
    ),
    Rule::new(
        Info,
        "superfluous-defattr",
        "Files belong to root, with the modes that they were installed with, unless something else is said.",
        superfluous_defattr,
    ),
];

/// Which packages, by whole name, say outside of conditions whether they are `noarch`.
fn noarch(subject: &Subject<'_>) -> HashMap<String, bool> {
    let mut known = HashMap::new();
    for (line, tag) in subject.tree.tags().filter(|(_, tag)| tag.is("BuildArch")) {
        let name = subject
            .tree
            .package_name(subject.tree.section_of(line), &subject.names);
        known.insert(
            name,
            line.branch.is_none() && subject.tree.slice(tag.value) == "noarch",
        );
    }
    known
}

fn libdir_in_noarch(subject: &Subject<'_>, report: &mut Report<'_>) {
    let known = noarch(subject);
    let main = known.get(&*subject.names.resolve("%{name}")).copied();
    for section in subject.sections(SectionKind::Files) {
        let name = subject.tree.package_name(section, &subject.names);
        // What a package does not say, the main one says for it.
        if !known.get(&name).copied().or(main).unwrap_or(false) {
            continue;
        }
        let lines = subject.tree.body(section).iter();
        for line in lines.filter(|line| matches!(line.kind, Kind::Text | Kind::Macro(_))) {
            let uses = macros(subject.text(line), line.span.start);
            for used in uses.filter(|used| matches!(used.name, "_lib" | "_libdir")) {
                report.at(
                    used.span,
                    format!("`%{}` in a package for all architectures", used.name),
                );
            }
        }
    }
}

fn globs(subject: &Subject<'_>, report: &mut Report<'_>, folders: &[&str]) {
    for line in subject.lines_of(Class::Files) {
        let span = report.first_line(line);
        let text = subject.tree.slice(span);
        let folder = text.strip_prefix("%{").and_then(|rest| rest.strip_suffix("}/*"));
        if folder.is_some_and(|folder| folders.contains(&folder)) {
            report.at(span, format!("`{text}` takes all that is there"));
        }
    }
}

fn python_sitelib_glob(subject: &Subject<'_>, report: &mut Report<'_>) {
    let folders = [
        "python_sitelib",
        "python_sitearch",
        "python3_sitelib",
        "python3_sitearch",
    ];
    globs(subject, report, &folders);
}

fn shared_dir_glob(subject: &Subject<'_>, report: &mut Report<'_>) {
    globs(
        subject,
        report,
        &[
            "_bindir",
            "_sbindir",
            "_datadir",
            "_docdir",
            "_includedir",
            "_mandir",
        ],
    );
}

fn superfluous_defattr(subject: &Subject<'_>, report: &mut Report<'_>) {
    for section in subject.sections(SectionKind::Files) {
        let first = subject
            .tree
            .body(section)
            .iter()
            .find(|line| !matches!(line.kind, Kind::Blank | Kind::Comment));
        let Some(line) = first.filter(|line| !line.joined) else {
            continue;
        };
        let text: String = subject.text(line).split_ascii_whitespace().collect();
        if matches!(text.as_str(), "%defattr(-,root,root)" | "%defattr(-,root,root,-)") {
            let edits = vec![Edit::remove(line.span)];
            report.fixable(
                report.first_line(line),
                "this says nothing new",
                "remove the line",
                edits,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn noarch_packages() {
        let rule = "libdir-macro-in-noarch-package";
        let spec =
            "Name: a\nBuildArch: noarch\n%package x\n%files\n%{_libdir}/a\n# %{_libdir}\n%files x\n%{_lib}\n";
        assert_finds(rule, spec, &[5, 8]);
        let spec = "Name: a\n%package x\nBuildArch: noarch\n%files\n%{_libdir}/a\n%files -n a-x\n%{_lib}\n";
        assert_finds(rule, spec, &[7]);
        assert_finds(
            rule,
            "Name: a\n%if 1\nBuildArch: noarch\n%endif\n%files\n%{_libdir}/a\n",
            &[],
        );
    }

    #[test]
    fn whole_folders() {
        assert_finds(
            "python-sitelib-glob-in-files",
            "%files\n%{python3_sitelib}/*\n%{python3_sitelib}/a*\n",
            &[2],
        );
        assert_finds(
            "shared-dir-glob-in-files",
            "%files\n%{_bindir}/*\n%{_bindir}/a\n",
            &[2],
        );
        let (before, after) = (
            "%files\n%defattr(-, root, root)\n/a\n%defattr(-,root,root)\n",
            "%files\n/a\n",
        );
        assert_fixes(
            "superfluous-defattr",
            before,
            &format!("{after}%defattr(-,root,root)\n"),
        );
    }
}
