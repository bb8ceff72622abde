//! Tests of the layout.

use super::format;
use crate::syntax::{
    Class, Kind, Tree,
    tests::{RICH, wild_texts},
};

/// Bodies of scripts, descriptions and the changelog, without empty lines at their ends; of other sections, lines of several
/// lines. Where a backslash joins lines, bodies have no end that could be told.
fn bodies(text: &str) -> Vec<String> {
    let tree = Tree::parse(text);
    let mut bodies = Vec::new();
    for section in tree.sections() {
        let loose = matches!(
            section.kind.class(),
            Class::Tags | Class::Files | Class::List | Class::Nothing
        );
        let kept = tree.body(section).iter().filter(|line| match line.kind {
            Kind::Definition(_) => tree.slice(line.span).trim_end().contains('\n') || !loose,
            Kind::Directive(_) | Kind::Include(_) | Kind::Blank => false,
            _ => !loose,
        });
        let lines: Vec<&str> = kept
            .map(|line| tree.slice(line.span).trim_end_matches('\n'))
            .collect();
        bodies.push(lines.join("\n"));
    }
    bodies
}

fn assert_sound(text: &str) {
    let once = format(text);
    let bare = |text: &str| {
        text.chars()
            .filter(|c| !c.is_ascii_whitespace() && *c != '\x0b')
            .collect::<String>()
    };
    assert_eq!(bare(&once), bare(text), "{text:?}");
    assert_eq!(bodies(&once), bodies(text), "{text:?}\n{once:?}");
    assert_eq!(format(&once), once, "{text:?}");
    let kinds = |text: &str| {
        let tree = Tree::parse(text);
        let lines = tree.lines().iter().filter(|line| line.kind != Kind::Blank);
        lines
            .map(|line| (std::mem::discriminant(&line.kind), line.section, line.joined))
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&once), kinds(text), "{text:?}\n{once:?}");
}

#[test]
fn formatting_moves_white_space_alone_and_once() {
    assert_sound(RICH);
    for text in wild_texts() {
        assert_sound(&text);
    }
}

#[test]
fn layout() {
    for (text, expected) in [
        (
            "Name: a\nVersion :\t1  \n",
            "Name:           a\nVersion:        1\n",
        ),
        (
            "Name: a\n\n\n  Requires( post,postun ): b\nURL: c\n",
            "Name:           a\n\nRequires(post,postun): b\nURL:                   c\n",
        ),
        (
            "Name: a\nRequires(post,postun,preun): b\n",
            "Name:           a\nRequires(post,postun,preun): b\n",
        ),
        ("\n\n# c  \nName: a", "# c\nName:           a\n"),
        (
            "Name: a\n%prep\n%build\n\n\n%files",
            "Name:           a\n\n%prep\n\n%build\n\n%files\n",
        ),
        (
            "%prep\nx  \n\n\n\ny\n\n\n# z\n%build\n",
            "%prep\nx  \n\n\n\ny\n\n\n# z\n\n%build\n",
        ),
        (
            "%files\n/a \n\n\n/b\n# about x\n%if 1\n%files x\n/c\n%else\n%files y\n%endif\n",
            "%files\n/a\n\n/b\n\n# about x\n%if 1\n%files x\n/c\n%else\n%files y\n%endif\n",
        ),
        (
            "%description\nText  \n\n\n\nmore\n\n\n",
            "%description\nText  \n\n\n\nmore\n",
        ),
        (
            "%global a b \\\n  c  \n%global d e  \n",
            "%global a b \\\n  c  \n%global d e\n",
        ),
        (
            "Name: a\r\nURL: b \r\n%build\r\n",
            "Name:           a\r\nURL:            b\r\n\r\n%build\r\n",
        ),
        ("Name: a \\  \nURL: b\n", "Name: a \\  \nURL:            b\n"),
        ("Name: a \\\nURL: b\n", "Name: a \\\nURL: b\n"),
        ("Requires: %{x:\n  y  \n}  \n", "Requires:       %{x:\n  y  \n}\n"),
        ("Name: a\nfoo \\", "Name:           a\nfoo \\"),
        ("Name: a\n%{x  \n\n", "Name:           a\n%{x  \n\n"),
        ("Summary:\n", "Summary:\n"),
        ("Patch 0: a \n", "Patch 0: a\n"),
        (
            "%changelog\n* Thu Jan 01 2026 A  \n- a  \n\n\n* Thu Jan 01 2026 B\n- b\n\n",
            "%changelog\n* Thu Jan 01 2026 A  \n- a  \n\n\n* Thu Jan 01 2026 B\n- b\n",
        ),
        ("\n\n", ""),
    ] {
        assert_eq!(format(text), expected, "{text:?}");
    }
}
