//! Rules about scripts.

use super::{
    Report, Rule,
    Severity::*,
    Subject,
    code::{macros, physical, without_comment, words},
};
use crate::syntax::{Class, Edit, Kind, Line, SectionKind, Span};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Error,
        "rpm-buildroot-usage",
        "The build root is made anew for `%install`: what is put there earlier is lost, and on the machine where a \
         scriptlet runs there is none.",
        buildroot_usage,
    ),
    Rule::new(
        Warning,
        "superfluous-buildroot-removal",
        "rpmbuild empties the build root before `%install`.",
        superfluous_buildroot_removal,
    ),
    Rule::new(
        Warning,
        "make-check-outside-check-section",
        "Tests in `%check` can be left out, and their failures told apart.",
        make_check_outside_check,
    ),
    Rule::new(
        Info,
        "configure-without-libdir-spec",
        "Without `--libdir` a configure script puts libraries where other architectures have theirs; `%configure` knows.",
        configure_without_libdir,
    ),
    Rule::new(
        Warning,
        "hardcoded-library-path",
        "Where libraries lie differs between architectures: `%{_libdir}` and `%{_lib}` say where.",
        hardcoded_library_path,
    ),
];

/// Folders in `/usr/lib` that are the same on all architectures.
const COMMON: [&str; 22] = [
    "binfmt.d",
    "cpp",
    "debug",
    "dracut",
    "environment.d",
    "firewalld",
    "firmware",
    "hotplug",
    "initcpio",
    "kernel",
    "locale",
    "modprobe.d",
    "modules",
    "modules-load.d",
    "os-release",
    "perl5",
    "rpm",
    "sysctl.d",
    "sysimage",
    "systemd",
    "sysusers.d",
    "tmpfiles.d",
];

/// Where the build root is mentioned.
fn buildroots(code: &str, offset: usize) -> impl Iterator<Item = Span> {
    let by_macro = macros(code, offset)
        .filter(|used| used.name == "buildroot")
        .map(|used| used.span);
    let by_variable = code
        .match_indices("RPM_BUILD_ROOT")
        .map(move |(at, name)| Span::new(offset + at, offset + at + name.len()));
    by_macro.chain(by_variable)
}

fn buildroot_usage(subject: &Subject<'_>, report: &mut Report<'_>) {
    use SectionKind::{Build, Conf, GenerateBuildrequires, Prep};
    for class in [Class::BuildScript, Class::Scriptlet, Class::Trigger] {
        for line in subject.lines_of(class) {
            let kind = subject.kind(line);
            if class == Class::BuildScript && !matches!(kind, Prep | Build | Conf | GenerateBuildrequires) {
                continue;
            }
            for (text, at) in physical(subject.text(line), line.span.start) {
                if let Some(span) = buildroots(without_comment(text), at).next() {
                    report.at(span, format!("`%{}` has no build root", kind.name()));
                }
            }
        }
    }
}

fn superfluous_buildroot_removal(subject: &Subject<'_>, report: &mut Report<'_>) {
    for section in subject.sections(SectionKind::Install) {
        let first = subject
            .tree
            .body(section)
            .iter()
            .find(|line| !matches!(line.kind, Kind::Blank | Kind::Comment));
        let Some(line) = first.filter(|line| !line.joined) else {
            continue;
        };
        let command: Vec<&str> = subject.text(line).split_ascii_whitespace().collect();
        let [program, "-rf" | "-fr", path] = command[..] else {
            continue;
        };
        let path = path.trim_matches('"');
        let removes = matches!(program, "rm" | "/bin/rm" | "%{__rm}" | "%__rm");
        let whole = matches!(
            path,
            "%{buildroot}" | "%buildroot" | "$RPM_BUILD_ROOT" | "${RPM_BUILD_ROOT}"
        );
        if removes && whole {
            let edits = vec![Edit::remove(line.span)];
            report.fixable(
                report.first_line(line),
                "the build root is empty here",
                "remove the line",
                edits,
            );
        }
    }
}

fn make_check_outside_check(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (line, code, at) in subject.build_code() {
        if subject.kind(line) == SectionKind::Check {
            continue;
        }
        let mut in_make = false;
        for (word, span) in words(code, at) {
            match word {
                "make" | "%{__make}" | "%__make" | "%make_build" | "%{make_build}" => in_make = true,
                "check" | "test" if in_make => {
                    report.at(span, "tests run outside of `%check`");
                    break;
                }
                _ => in_make &= word.starts_with('-') || word.starts_with('%') || word.contains('='),
            }
        }
    }
}

fn configure_without_libdir(subject: &Subject<'_>, report: &mut Report<'_>) {
    let lines: Vec<&Line> = subject.lines_of(Class::BuildScript).collect();
    for (index, line) in lines.iter().enumerate() {
        let code = without_comment(subject.text(line));
        let Some((_, span)) = words(code, line.span.start).find(|(word, _)| is_configure(word)) else {
            continue;
        };
        let mut rest = lines[index + 1..].iter().take_while(|next| next.joined);
        if !code.contains("libdir") && !rest.any(|next| subject.text(next).contains("libdir")) {
            report.at(span, "`configure` is not told where libraries go");
        }
    }
}

fn is_configure(word: &str) -> bool {
    word.starts_with('.') && word.ends_with("/configure")
}

fn hardcoded_library_path(subject: &Subject<'_>, report: &mut Report<'_>) {
    let files = subject.lines_of(Class::Files).flat_map(|line| {
        physical(subject.text(line), line.span.start).map(|(text, at)| (without_comment(text), at))
    });
    let scripts = subject.build_code().map(|(_, code, at)| (code, at));
    for (code, at) in scripts.chain(files) {
        for (start, _) in code.match_indices("/lib") {
            if let Some(span) = library_path(code, start) {
                let span = Span::new(at + span.start, at + span.end);
                report.at(
                    span,
                    format!("`{}` is the same on all architectures", subject.tree.slice(span)),
                );
            }
        }
    }
}

/// The path around the `/lib` at `start`, if it lies in `/lib` or `/usr/lib`, of the system or of the build root.
fn library_path(code: &str, start: usize) -> Option<Span> {
    const ROOTS: [&str; 4] = [
        "%{buildroot}",
        "%buildroot",
        "${RPM_BUILD_ROOT}",
        "$RPM_BUILD_ROOT",
    ];
    let ends =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b';' | b',' | b')' | b'}');
    let after = &code[start + "/lib".len()..];
    if after
        .bytes()
        .next()
        .is_some_and(|byte| byte != b'/' && !ends(&byte))
    {
        return None;
    }
    let before = &code[..start];
    let prefix = ["/usr", "%{_prefix}", "%_prefix", "%{_exec_prefix}"];
    let path = prefix
        .iter()
        .find_map(|prefix| before.strip_suffix(prefix))
        .unwrap_or(before);
    let path = ROOTS
        .iter()
        .find_map(|root| path.strip_suffix(root))
        .unwrap_or(path);
    if path
        .bytes()
        .next_back()
        .is_some_and(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\''))
    {
        return None;
    }
    let folder = after.strip_prefix('/').unwrap_or_default();
    let length = folder
        .bytes()
        .position(|byte| byte == b'/' || ends(&byte))
        .unwrap_or(folder.len());
    if COMMON.contains(&&folder[..length]) || folder.starts_with("udev") {
        return None;
    }
    let length = after.bytes().position(|byte| ends(&byte)).unwrap_or(after.len());
    Some(Span::new(path.len(), start + "/lib".len() + length))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn build_root() {
        let spec = "%build\nmake DESTDIR=%{buildroot}\n# %{buildroot}\necho %%{buildroot}\n%install\ncp a %{buildroot}\n\
                    %post\nrm $RPM_BUILD_ROOT/a\n%files\n";
        assert_finds("rpm-buildroot-usage", spec, &[2, 8]);
        let rule = "superfluous-buildroot-removal";
        assert_fixes(
            rule,
            "%install\n# a\nrm -rf \"%{buildroot}\"\nmake\n",
            "%install\n# a\nmake\n",
        );
        assert_finds(rule, "%install\nmake\nrm -rf %{buildroot}\n", &[]);
    }

    #[test]
    fn tests_and_configure() {
        let spec = "%build\nmake V=1 check\nmake -j1 || make test\nmake check-x\nmake && run check\n%check\nmake check\n";
        assert_finds("make-check-outside-check-section", spec, &[2, 3]);
        let spec = "%build\n./configure --prefix=/usr \\\n  --libdir=%{_libdir}\n./configure -x \\\n -y\n%configure\n";
        assert_finds("configure-without-libdir-spec", spec, &[4]);
    }

    #[test]
    fn library_paths() {
        let spec = "%install\ncp a %{buildroot}/usr/lib/a\nmv /lib \"%{buildroot}%{_prefix}/lib/b\"\n\
                    cp x /usr/lib/systemd/system /usr/lib64/x /opt/lib/x /usr/libexec/x ../usr/lib/x\n%files\n/usr/lib/c\n\
                    /usr/lib/tmpfiles.d/x\n";
        assert_finds("hardcoded-library-path", spec, &[2, 3, 3, 6]);
    }
}
