//! Rules about commands that have had their day.

use super::{
    Report, Rule,
    Severity::*,
    Subject,
    code::{macros, physical, programs, without_comment, words},
};
use crate::syntax::{Class, Edit, Span};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Warning,
        "use-of-rpm-source-dir",
        "What is read from the folder of sources by its path may not be a source, and then the source package lacks it: \
         `%{SOURCE1}` names sources.",
        use_of_source_dir,
    ),
    Rule::new(
        Warning,
        "deprecated-grep",
        "GNU grep warns that `egrep` and `fgrep` will go.",
        deprecated_grep,
    ),
    Rule::new(
        Info,
        "python-setup-install",
        "`setup.py install` is given up upstream: `%pyproject_wheel` and `%pyproject_install` follow it.",
        python_setup_install,
    ),
    Rule::new(
        Info,
        "python-setup-test",
        "`setup.py test` is given up upstream: run the test tool itself (`%pytest`).",
        python_setup_test,
    ),
];

fn use_of_source_dir(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (_, code, at) in subject.build_code() {
        let by_macro = macros(code, at)
            .find(|used| used.name == "_sourcedir")
            .map(|used| used.span);
        let by_variable = || {
            let start = at + code.find("RPM_SOURCE_DIR")?;
            Some(Span::new(start, start + "RPM_SOURCE_DIR".len()))
        };
        if let Some(span) = by_macro.or_else(by_variable) {
            report.at(span, "the folder of sources is named");
        }
    }
}

fn deprecated_grep(subject: &Subject<'_>, report: &mut Report<'_>) {
    for class in [Class::BuildScript, Class::Scriptlet, Class::Trigger] {
        for line in subject.lines_of(class) {
            for (text, at) in physical(subject.text(line), line.span.start) {
                let code = without_comment(text);
                for (old, new) in [("egrep", "grep -E"), ("fgrep", "grep -F")] {
                    for start in programs(code, old).map(|start| at + start) {
                        let span = Span::new(start, start + old.len());
                        let edits = vec![Edit::replace(span, new)];
                        report.fixable(
                            span,
                            format!("`{old}` is `{new}`"),
                            &format!("write `{new}`"),
                            edits,
                        );
                    }
                }
            }
        }
    }
}

fn python_setup(subject: &Subject<'_>, report: &mut Report<'_>, command: &str) {
    for (_, code, at) in subject.build_code() {
        let mut after_script = false;
        for (word, span) in words(code, at) {
            if after_script && word == command {
                report.at(span, format!("`setup.py {command}` is given up"));
            }
            after_script = word == "setup.py" || (after_script && word.starts_with('-'));
        }
    }
}

fn python_setup_install(subject: &Subject<'_>, report: &mut Report<'_>) {
    python_setup(subject, report, "install");
}

fn python_setup_test(subject: &Subject<'_>, report: &mut Report<'_>) {
    python_setup(subject, report, "test");
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn old_commands() {
        let spec = "%build\ncp $RPM_SOURCE_DIR/a .\ncp %{_sourcedir}/b . # %{_sourcedir}\n";
        assert_finds("use-of-rpm-source-dir", spec, &[2, 3]);
        assert_fixes(
            "deprecated-grep",
            "%post\necho | egrep a\nfgreps\n",
            "%post\necho | grep -E a\nfgreps\n",
        );
        let spec =
            "%build\npython3 setup.py build\npython3 setup.py -q install\n%check\npython setup.py test\n";
        assert_finds("python-setup-install", spec, &[3]);
        assert_finds("python-setup-test", spec, &[5]);
    }
}
