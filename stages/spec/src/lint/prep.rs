//! Rules about `%setup`, `%patch` and their kind.

use super::{
    Report, Rule,
    Severity::*,
    Subject,
    code::{macros, physical, words},
};
use crate::syntax::{Class, Edit, Kind, Line, SectionKind, Span};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Warning,
        "setup-not-quiet",
        "Without `-q`, `%setup` lists every file of the source in the build's log.",
        setup_not_quiet,
    ),
    Rule::new(
        Warning,
        "setup-outside-prep",
        "`%setup`, `%patch`, `%autosetup` and `%autopatch` do their work in `%prep`; elsewhere they may stay as they are.",
        setup_outside_prep,
    ),
    Rule::new(
        Error,
        "patch-macro-old-format",
        "rpm 4.20 and later refuse `%patchN`.",
        patch_macro_old_format,
    ),
    Rule::new(
        Warning,
        "ifarch-applied-patch",
        "Code that differs between architectures should say so itself: then one patch is right, and tested, for all.",
        ifarch_applied_patch,
    ),
    Rule::new(
        Warning,
        "patch-fuzz-is-changed",
        "A patch that only fits with fuzz may change another place than it should: make it anew.",
        patch_fuzz_is_changed,
    ),
];

/// A call of `%patch`.
pub(super) struct PatchCall {
    /// `%patch`, with the number if it is part of the name.
    pub(super) span: Span,
    /// The number in the name.
    pub(super) old: Option<u32>,
    /// Numbers are given by `-P`.
    pub(super) flagged: bool,
    /// The patches that are applied, as far as they are written as numbers.
    pub(super) numbers: Vec<u32>,
    /// A macro or variable says which.
    pub(super) computed: bool,
}

/// The calls of `%patch` in a line.
pub(super) fn patch_calls(text: &str, offset: usize) -> Vec<PatchCall> {
    let mut calls = Vec::new();
    for (line, start) in physical(text, offset) {
        for used in macros(line, start) {
            let Some(digits) = used.name.strip_prefix("patch") else {
                continue;
            };
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let rest = head(&line[used.span.end - start..]);
            calls.push(patch_call(used.span, digits, rest));
        }
    }
    calls
}

/// The start of what follows a macro: arguments are not longer, and hostile lines take no time.
pub(super) fn head(rest: &str) -> &str {
    let mut end = rest.len().min(1000);
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    &rest[..end]
}

fn patch_call(span: Span, digits: &str, rest: &str) -> PatchCall {
    let mut call = PatchCall {
        span,
        old: digits.parse().ok(),
        flagged: false,
        numbers: Vec::new(),
        computed: false,
    };
    let end = rest.find(['}', '#', ';', '|', '%', '$']).unwrap_or(rest.len());
    let (arguments, after) = rest.split_at(end);
    // `%patch -P %{x}`
    call.computed = after.starts_with(['%', '$']) && !after.starts_with("%patch");
    let mut list = arguments.split_ascii_whitespace();
    while let Some(word) = list.next() {
        if let Some(number) = word.strip_prefix("-P") {
            call.flagged = true;
            let number = if number.is_empty() {
                list.next().unwrap_or_default()
            } else {
                number
            };
            call.numbers.extend(number.parse::<u32>());
        } else if matches!(word, "-p" | "-b" | "-F" | "-d" | "-o" | "-z") {
            list.next();
        } else {
            call.numbers.extend(word.parse::<u32>());
        }
    }
    call.numbers.extend(call.old);
    if call.numbers.is_empty() && !call.computed {
        call.numbers.push(0);
    }
    call
}

/// Lines of build scripts that start with one of these macros.
fn calls<'s>(subject: &Subject<'s>, names: &'static [&str]) -> impl Iterator<Item = (&'s Line, &'s str)> {
    let tree = subject.tree;
    subject
        .lines_of(Class::BuildScript)
        .filter_map(move |line| match line.kind {
            Kind::Macro(name) if names.contains(&tree.slice(name)) => Some((line, tree.slice(name))),
            _ => None,
        })
}

fn setup_not_quiet(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (line, _) in calls(subject, &["setup"]) {
        let Kind::Macro(name) = line.kind else { continue };
        let text = subject.tree.slice(Span::new(name.end, line.span.end));
        let has = |flag: char| {
            words(text, 0)
                .any(|(word, _)| word.starts_with('-') && !word.starts_with("--") && word.contains(flag))
        };
        let unpacks = !has('T') || has('a') || has('b');
        if unpacks && !has('q') {
            let edit = Edit::insert(name.end, " -q");
            report.fixable(
                report.first_line(line),
                "`%setup` without `-q`",
                "add `-q`",
                vec![edit],
            );
        }
    }
}

fn setup_outside_prep(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (line, name) in calls(subject, &["setup", "autosetup", "patch", "autopatch"]) {
        let kind = subject.kind(line);
        if kind != SectionKind::Prep {
            report.line(line, format!("`%{name}` in `%{}`", kind.name()));
        }
    }
}

/// All calls of `%patch` outside of comments and texts.
fn all_patch_calls<'s>(subject: &Subject<'s>) -> impl Iterator<Item = (&'s Line, PatchCall)> {
    let tree = subject.tree;
    subject.lines_of(Class::BuildScript).flat_map(move |line| {
        let calls = patch_calls(tree.slice(line.span), line.span.start);
        calls.into_iter().map(move |call| (line, call))
    })
}

fn patch_macro_old_format(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (_, call) in all_patch_calls(subject) {
        let Some(number) = call.old else { continue };
        let written = subject.tree.slice(call.span);
        let message = format!("`{written}` is refused by new versions of rpm");
        match written.contains('{') {
            true => report.at(call.span, message),
            false => {
                let edit = Edit::replace(call.span, format!("%patch -P {number}"));
                report.fixable(
                    call.span,
                    message,
                    &format!("write `%patch -P {number}`"),
                    vec![edit],
                );
            }
        }
    }
}

fn ifarch_applied_patch(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (line, call) in all_patch_calls(subject) {
        let of_prep = subject.kind(line) == SectionKind::Prep;
        if of_prep
            && subject
                .tree
                .branches_around(line)
                .any(|branch| branch.keyword.is_arch())
        {
            report.at(call.span, "this patch is not applied on all architectures");
        }
    }
}

fn patch_fuzz_is_changed(subject: &Subject<'_>, report: &mut Report<'_>) {
    for line in subject.tree.lines() {
        if let Kind::Definition(made) = &line.kind
            && subject.tree.slice(made.name) == "_default_patch_fuzz"
            && subject.tree.slice(made.body) != "0"
        {
            report.line(line, "patches may fit with fuzz");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};
    use super::patch_calls;

    #[test]
    fn sources_are_unpacked_quietly_and_in_prep() {
        assert_fixes(
            "setup-not-quiet",
            "%prep\n%setup -n a\n%setup -qT\n",
            "%prep\n%setup -q -n a\n%setup -qT\n",
        );
        assert_finds("setup-not-quiet", "%prep\n%setup -T -D\n%setup -T -a 1\n", &[3]);
        assert_finds(
            "setup-outside-prep",
            "%prep\n%autosetup\n%build\n%patch -P 1\n%install\n# %setup\n",
            &[4],
        );
    }

    #[test]
    fn patches_in_all_their_spellings() {
        for (text, numbers, old) in [
            ("%patch -P 1 -p1", vec![1], None),
            ("%patch -P1 -P 2 -b .x", vec![1, 2], None),
            ("%patch 3 -p 1", vec![3], None),
            ("%patch -p1", vec![0], None),
            ("%patch12 -p1", vec![12], Some(12)),
            ("%{?x:%patch4}", vec![4], Some(4)),
            ("%patch -P %{n}", vec![], None),
        ] {
            let calls = patch_calls(text, 0);
            assert_eq!((&calls[0].numbers, calls[0].old), (&numbers, old), "{text}");
        }
        assert!(patch_calls("%patches %PATCH1 %%patch1", 0).is_empty());
        assert_fixes(
            "patch-macro-old-format",
            "%prep\n%patch1 -p1\n",
            "%prep\n%patch -P 1 -p1\n",
        );
        assert_finds(
            "patch-macro-old-format",
            "%prep\n# %patch1\n%changelog\n- %patch1\n",
            &[],
        );
        let spec = "%prep\n%ifarch x86_64\n%if 1\n%patch -P 1\n%endif\n%endif\n%patch -P 2\n";
        assert_finds("ifarch-applied-patch", spec, &[4]);
        assert_finds("patch-fuzz-is-changed", "%global _default_patch_fuzz 2\n", &[1]);
    }
}
