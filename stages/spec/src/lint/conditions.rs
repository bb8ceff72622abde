//! Rules about `%if` and its kind.

use super::{Report, Rule, Severity::*, Subject};
use crate::syntax::{Directive, Edit, Keyword, Kind, Line, Span};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Warning,
        "text-after-directive",
        "rpm warns of what follows `%else` and `%endif`, and rpm 6 refuses it; a comment may stand there.",
        text_after_directive,
    ),
    Rule::new(
        Error,
        "operator-in-ifarch",
        "`%ifarch` takes a list of names: `||` and `&&` are taken for names of architectures.",
        operator_in_ifarch,
    ),
    Rule::new(
        Error,
        "assignment-in-condition",
        "`=` compares nothing; rpm refuses the expression.",
        assignment_in_condition,
    ),
];

fn directives<'s>(subject: &Subject<'s>) -> impl Iterator<Item = (&'s Line, &'s Directive)> {
    subject.tree.lines().iter().filter_map(|line| match &line.kind {
        Kind::Directive(directive) => Some((line, directive)),
        _ => None,
    })
}

fn text_after_directive(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (_, directive) in directives(subject) {
        let text = subject.tree.slice(directive.argument);
        let bare = matches!(directive.keyword, Keyword::Else | Keyword::Endif);
        if bare && !text.is_empty() && !text.starts_with('#') {
            let message = format!("`{}` takes nothing", directive.keyword.as_str());
            let edit = Edit::insert(
                directive.argument.start,
                if has_space(subject, directive) {
                    "# "
                } else {
                    " # "
                },
            );
            report.fixable(directive.argument, message, "make it a comment", vec![edit]);
        }
    }
}

fn has_space(subject: &Subject<'_>, directive: &Directive) -> bool {
    let before = subject.tree.text()[..directive.argument.start]
        .chars()
        .next_back();
    before.is_some_and(char::is_whitespace)
}

fn operator_in_ifarch(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (_, directive) in directives(subject) {
        let of_names = !matches!(
            directive.keyword,
            Keyword::If | Keyword::Elif | Keyword::Else | Keyword::Endif
        );
        let text = subject.tree.slice(directive.argument);
        if of_names
            && text
                .split_ascii_whitespace()
                .any(|word| matches!(word, "||" | "&&" | "|" | "or" | "and"))
        {
            let word = directive.keyword.as_str();
            report.at(
                directive.argument,
                format!("`{word}` takes names alone, and is true if one of them fits"),
            );
        }
    }
}

fn assignment_in_condition(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (_, directive) in directives(subject) {
        if matches!(directive.keyword, Keyword::If | Keyword::Elif)
            && let Some(at) = lone_equals(subject.tree.slice(directive.argument))
        {
            let at = directive.argument.start + at;
            let span = Span::new(at, at + 1);
            let edit = Edit::insert(at, "=");
            report.fixable(
                span,
                "`=` is no operator of expressions",
                "compare with `==`",
                vec![edit],
            );
        }
    }
}

/// The first `=` that is part of no other operator, outside of quotes and brackets of macros.
fn lone_equals(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut quoted) = (0_usize, false);
    for (at, byte) in bytes.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| bytes[before]);
        match byte {
            b'"' if depth == 0 => quoted = !quoted,
            b'{' | b'(' | b'[' if depth > 0 || before == Some(b'%') => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            b'=' if depth == 0 && !quoted => {
                let next = bytes.get(at + 1);
                if !matches!(before, Some(b'=' | b'!' | b'<' | b'>')) && next != Some(&b'=') {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn directives() {
        assert_fixes(
            "text-after-directive",
            "%if 1\n%endif foo\n",
            "%if 1\n%endif # foo\n",
        );
        assert_fixes(
            "text-after-directive",
            "%if 1\n%else(a)\n%endif # b\n",
            "%if 1\n%else # (a)\n%endif # b\n",
        );
        assert_finds(
            "operator-in-ifarch",
            "%ifarch x86_64 || aarch64\n%endif\n%ifarch a b\n%endif\n",
            &[1],
        );
        let spec = "%if 0%{?x} = 1 && \"a=b\" == \"%{y:=}\"\n%endif\n%if 1 >= 2 || 1 != 2\n%endif\n";
        assert_finds("assignment-in-condition", spec, &[1]);
    }
}
