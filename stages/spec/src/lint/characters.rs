//! Rules about characters.

use super::{Report, Rule, Severity::*, Subject, code::physical};
use crate::syntax::{Class, Edit, Kind, Line, Span};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Error,
        "non-utf8-spec-file",
        "rpm refuses packages whose texts are not UTF-8.",
        non_utf8,
    ),
    Rule::new(
        Warning,
        "forbidden-controlchar-found",
        "Control characters end up in the package's texts, where no program expects them.",
        control_character,
    ),
    Rule::new(
        Warning,
        "non-break-space",
        "It looks like a blank, and divides nothing.",
        non_break_space,
    ),
    Rule::new(
        Warning,
        "carriage-return",
        "A carriage return before the end of a line is part of commands and file names.",
        carriage_return,
    ),
    Rule::new(
        Warning,
        "space-after-backslash",
        "A backslash that white space follows continues nothing.",
        space_after_backslash,
    ),
    Rule::new(
        Info,
        "mixed-use-of-spaces-and-tabs",
        "Columns of blanks and tabs fall apart wherever a tab is wide otherwise; `keel spec fmt` aligns them.",
        mixed_spaces_and_tabs,
    ),
];

/// The first character in each line of the file for which `found` holds.
fn first_in_lines(subject: &Subject<'_>, found: impl Fn(char) -> bool, mut report: impl FnMut(Span, char)) {
    for (line, at) in physical(subject.tree.text(), 0) {
        if let Some((start, c)) = line.char_indices().find(|(_, c)| found(*c)) {
            report(Span::new(at + start, at + start + c.len_utf8()), c);
        }
    }
}

fn non_utf8(subject: &Subject<'_>, report: &mut Report<'_>) {
    // What `text::decode` puts in the place of a byte.
    let stand_in = |c: char| ('\u{10FF00}'..='\u{10FFFF}').contains(&c);
    first_in_lines(subject, stand_in, |span, c| {
        report.at(span, format!("byte {:#04x} is not UTF-8", c as u32 - 0x10_FF00));
    });
}

fn control_character(subject: &Subject<'_>, report: &mut Report<'_>) {
    let forbidden = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r');
    first_in_lines(subject, forbidden, |span, c| {
        report.at(span, format!("control character {:#04x}", c as u32));
    });
}

fn non_break_space(subject: &Subject<'_>, report: &mut Report<'_>) {
    let text = subject.tree.text();
    for (at, space) in text.match_indices('\u{a0}') {
        let span = Span::new(at, at + space.len());
        report.fixable(
            span,
            "a space that does not break",
            "put a blank",
            vec![Edit::replace(span, " ")],
        );
    }
}

fn carriage_return(subject: &Subject<'_>, report: &mut Report<'_>) {
    let text = subject.tree.text();
    let all = || text.match_indices('\r').map(|(at, _)| Span::new(at, at + 1));
    if let Some(first) = all().next() {
        let edits = all()
            .filter(|span| text[span.end..].starts_with('\n'))
            .map(Edit::remove)
            .collect();
        report.fixable(
            first,
            format!("{} carriage returns, the first here", all().count()),
            "remove them",
            edits,
        );
    }
}

fn space_after_backslash(subject: &Subject<'_>, report: &mut Report<'_>) {
    let continues = |line: &&Line| match line.kind {
        Kind::Definition(_) | Kind::Macro(_) => true,
        Kind::Text => subject.kind(line).is_script(),
        _ => false,
    };
    for line in subject.tree.lines().iter().filter(continues) {
        for (text, at) in physical(subject.text(line), line.span.start) {
            let kept = text.trim_end_matches([' ', '\t']);
            let slashes = kept.bytes().rev().take_while(|byte| *byte == b'\\').count();
            if kept.len() < text.len() && slashes % 2 == 1 {
                let span = Span::new(at + kept.len(), at + text.len());
                let edits = vec![Edit::remove(span)];
                report.fixable(span, "white space after the backslash", "remove it", edits);
            }
        }
    }
}

fn mixed_spaces_and_tabs(subject: &Subject<'_>, report: &mut Report<'_>) {
    let (mut tabs, mut blanks) = (None, None);
    for (line, tag) in subject.tree.tags() {
        if subject.kind(line).class() != Class::Tags {
            continue;
        }
        let gap = Span::new(tag.head.end, tag.value.start);
        let text = subject.tree.slice(gap);
        if text.contains('\t') {
            tabs = tabs.or(Some(gap));
        } else if text.len() > 1 {
            blanks = blanks.or(Some(gap));
        }
    }
    if let (Some(tabs), Some(blanks)) = (tabs, blanks) {
        let line = |span: Span| subject.tree.position(span.start).line;
        let message = format!(
            "tabs (line {}) and blanks (line {}) align tags",
            line(tabs),
            line(blanks)
        );
        report.at(tabs.max(blanks), message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};
    use crate::macros::text::decode;

    #[test]
    fn characters() {
        assert_finds(
            "non-utf8-spec-file",
            &decode(b"Name: a\nSummary: \xe9\xe9\n"),
            &[2],
        );
        assert_finds(
            "forbidden-controlchar-found",
            "Name:\ta\nSummary: \x07\x07\n",
            &[2],
        );
        assert_fixes("non-break-space", "Name:\u{a0}a\u{a0}\n", "Name: a \n");
        assert_fixes(
            "carriage-return",
            "Name: a\r\nVersion: 1\r\n",
            "Name: a\nVersion: 1\n",
        );
    }

    #[test]
    fn white_space() {
        assert_fixes(
            "space-after-backslash",
            "%global a b \\ \n  c\n%build\nmake \\\t\n x\\\\ \n%description\na \\ \n",
            "%global a b \\\n  c\n%build\nmake \\\n x\\\\ \n%description\na \\ \n",
        );
        assert_finds(
            "mixed-use-of-spaces-and-tabs",
            "Name:\ta\nVersion:  1\nRelease: 1\n",
            &[2],
        );
        assert_finds(
            "mixed-use-of-spaces-and-tabs",
            "Name:\ta\nRelease: 1\n%build\n\tx\n  y\n",
            &[],
        );
    }
}
