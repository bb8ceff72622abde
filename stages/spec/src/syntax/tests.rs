//! Tests of the tree as a whole, and the texts that other tests are run on too.

use super::*;

/// A SPEC with something of everything.
pub(crate) const RICH: &str = "\
# A comment with %{nothing}
%global base lib
%global long first \\
  second \\
  third
%define parametric(n:x) echo %{-n*} %1
%{?scl:%scl_package %{base}}
Name:           %{base}demo
Version:        1.0
Release:        1%{?dist}
Summary(de):    Vorführung
%if 0%{?fedora} >= 40 && \\
    %{with docs}
BuildRequires:  docs
%else
BuildRequires:  %{expand:
  many
  lines}
%endif
Requires(post,postun): sh
Source:         a.tar.gz
Source7 :       b
Patch%{n}:      c
%include %{SOURCE7}

%description
Text: with a colon, and # no comment
%if 1
Conditional.
%endif

%package -n %{name}-tools
Summary:        Tools
%description -n %{name}-tools -l de
Werkzeuge.

%prep
%setup -q \\
  -n x
%if 1
%build -a
./configure \\
%ifarch x86_64
  --with-sse \\
%endif
  --prefix=/usr
%endif
%dnl %{ignored}
%post -p \"/bin/sh -e\" -n %{name}-tools
true
%triggerin -P 5 devel -- other > 1, more
echo
%files -f list.txt -f more.txt devel
%dir /usr

%changelog
* Thu Jan  1 2026 A B <a@example.org> - 1.0-1
- Entry
  %{?goes_on:
on}
";

/// Texts made of pieces that mean something to a reader of SPECs, the same every time.
pub(crate) fn wild_texts() -> impl Iterator<Item = String> {
    const PIECES: [&str; 59] = [
        "\n",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        " ",
        "  ",
        "\t",
        "\\\n",
        "\\ \n",
        "\\",
        "%",
        "%%",
        "%{",
        "}",
        "%(",
        ")",
        "%[",
        "]",
        "{",
        "(",
        "#",
        "# c\n",
        "%if 1\n",
        "%if\n",
        " %else\n",
        "%elif 0\n",
        "%endif\n",
        "%endif",
        "%ifarch a\n",
        "%build\n",
        "%files x\n",
        "%package -n a\n",
        "%description\n",
        "%changelog\n",
        "%prep  \n",
        "%end\n",
        "%global a b",
        "%define x() y\\\n",
        "%dnl z\n",
        "%include f\n",
        "%undefine a\n",
        "Name: a\n",
        "Name  :b\n",
        " Source1:\tc  \n",
        "Patch 0: q\n",
        "Requires(post, x): d\n",
        "X-y: z\n",
        "Summary:\n",
        "* Thu Jan 01 2026 A\n",
        "* x\n",
        "- text  \n",
        "ünï",
        "\u{10FFC3}",
        "\u{a0}",
        "\0",
        "\"",
        "'",
        "-p",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    (0..4_000).map(move |_| {
        let count = 1 + random(24);
        (0..count).map(|_| PIECES[random(PIECES.len())]).collect()
    })
}

/// What holds for the tree of any text.
fn assert_sound(text: &str) {
    let tree = Tree::parse(text);
    assert_eq!(tree.print(), text);
    let mut at = 0;
    for (index, line) in tree.lines().iter().enumerate() {
        assert_eq!((line.index, line.span.start), (index, at), "{text:?}");
        assert!(line.span.end > at, "{text:?}");
        assert!(tree.sections()[line.section].lines.contains(&index), "{text:?}");
        at = line.span.end;
    }
    assert_eq!(at, text.len());
    let mut at = 0;
    for section in tree.sections() {
        assert_eq!(section.lines.start, at, "{text:?}");
        at = section.lines.end;
    }
    assert_eq!(at, tree.lines().len());
    for branch in tree.branches() {
        assert!(
            branch.body.start <= branch.body.end && branch.body.end <= tree.lines().len(),
            "{text:?}"
        );
    }
}

fn kinds(tree: &Tree<'_>) -> Vec<String> {
    let name = |line: &Line| match &line.kind {
        Kind::Tag(tag) => format!("{} = {}", tree.title(tag), tree.slice(tag.value)),
        Kind::Definition(made) => format!("{:?} {}", made.kind, tree.slice(made.name)),
        Kind::Directive(directive) => format!("{:?} {}", directive.keyword, tree.slice(directive.argument)),
        Kind::Include(file) => format!("Include {}", tree.slice(*file)),
        Kind::Macro(name) => format!("Macro {}", tree.slice(*name)),
        Kind::Entry(entry) => format!("Entry {}", tree.slice(entry.author)),
        kind => format!("{kind:?}"),
    };
    tree.lines().iter().map(name).collect()
}

#[test]
fn any_text_comes_back() {
    assert_sound(RICH);
    for text in wild_texts() {
        assert_sound(&text);
    }
    let wild: Vec<u8> = (0..=255).cycle().take(1000).collect();
    assert!(round_trips(&wild));
    assert!(round_trips(b"Name: \xff\r\n%{\n\\"));
    assert!(round_trips(b""));
}

#[test]
fn lines_are_what_rpm_takes_them_for() {
    let tree = Tree::parse(RICH);
    assert_eq!(tree.defects(), []);
    let kinds = kinds(&tree);
    let preamble: Vec<&str> = kinds[..24].iter().map(String::as_str).collect();
    assert_eq!(
        preamble,
        [
            "Comment",
            "Global base",
            "Global long",
            "Define parametric",
            "Macro scl",
            "Name = %{base}demo",
            "Version = 1.0",
            "Release = 1%{?dist}",
            "Summary(de) = Vorführung",
            "If 0%{?fedora} >= 40 && \\\n    %{with docs}",
            "BuildRequires = docs",
            "Else ",
            "BuildRequires = %{expand:\n  many\n  lines}",
            "Endif ",
            "Requires(post,postun) = sh",
            "Source = a.tar.gz",
            "Source7 = b",
            "Patch%{n} = c",
            "Include %{SOURCE7}",
            "Blank",
            "Header",
            "Text",
            "If 1",
            "Text",
        ]
    );
    let rest = &kinds[24..];
    assert!(rest.contains(&"Macro setup".to_owned()) && rest.contains(&"Dnl".to_owned()));
    assert!(
        rest.contains(&"Ifarch x86_64".to_owned()) && rest.contains(&"Entry A B <a@example.org>".to_owned())
    );
    let definition = |index: usize| match &tree.lines()[index].kind {
        Kind::Definition(made) => made.clone(),
        kind => panic!("{kind:?}"),
    };
    assert_eq!(tree.slice(definition(2).body), "first \\\n  second \\\n  third");
    assert_eq!(definition(3).options.map(|span| tree.slice(span)), Some("n:x"));
    assert_eq!(tree.slice(definition(3).body), "echo %{-n*} %1");
}

#[test]
fn a_backslash_does_not_hide_a_directive() {
    let tree = Tree::parse("%build\na \\\n%if 1\n b \\\n%endif\n c\n%install\n");
    assert_eq!(
        kinds(&tree),
        ["Header", "Text", "If 1", "Text", "Endif ", "Text", "Header"]
    );
    let joined: Vec<bool> = tree.lines().iter().map(|line| line.joined).collect();
    assert_eq!(joined, [false, false, true, false, true, false, false]);
}

#[test]
fn directives_need_their_blank_and_sections_their_place() {
    for (line, expected) in [
        ("%if(1)", "Macro if"),
        ("%if\t1", "If 1"),
        ("%endifx", "Macro endifx"),
        ("%endif#", "Endif #"),
        ("%ifarchx a", "Macro ifarchx"),
        (" %build", "Macro build"),
        ("%Build x", "Header"),
        ("%builds", "Macro builds"),
        ("%%build", "Text"),
        ("%preun", "Header"),
        ("%includes x", "Macro includes"),
        ("%(echo)", "Text"),
        ("%{!?x:y}", "Macro x"),
        ("Patch 0: a", "Patch = a"),
        ("Patch 0 1: a", "Text"),
    ] {
        assert_eq!(kinds(&Tree::parse(line)), [expected], "{line}");
    }
}

#[test]
fn headers_are_read() {
    let tree = Tree::parse(RICH);
    let header = |kind: SectionKind| {
        let section = tree
            .sections()
            .iter()
            .find(|section| section.kind == kind)
            .unwrap();
        section.header.clone().unwrap()
    };
    let text = |span: Option<Span>| span.map(|span| tree.slice(span));
    let post = header(SectionKind::Post);
    assert_eq!(
        (text(post.program), text(post.package)),
        (Some("\"/bin/sh -e\""), Some("%{name}-tools"))
    );
    let trigger = header(SectionKind::Triggerin);
    assert_eq!(
        (text(trigger.priority), text(trigger.package)),
        (Some("5"), Some("devel"))
    );
    assert_eq!(text(trigger.trigger), Some("other > 1, more"));
    let files = header(SectionKind::Files);
    assert_eq!(
        files
            .files
            .iter()
            .map(|span| tree.slice(*span))
            .collect::<Vec<_>>(),
        ["list.txt", "more.txt"]
    );
    assert_eq!((text(files.package), files.whole_name), (Some("devel"), false));
    assert_eq!(header(SectionKind::Build).mode, Mode::Append);
    let names = tree.names();
    let packages: Vec<String> = (tree.sections().iter())
        .map(|section| tree.package_name(section, &names))
        .collect();
    assert_eq!(packages[0], "libdemo");
    assert_eq!(packages[2..4], ["libdemo-tools", "libdemo-tools"]);
    let about = tree
        .sections_about(Package::Named("libdemo-tools"), &names)
        .count();
    assert_eq!(about, 3);
    assert_eq!(
        tree.sections_about(Package::Named("%{name}-tools"), &names)
            .count(),
        3
    );
}

#[test]
fn every_token_of_a_section_is_known() {
    for token in [
        "package",
        "description",
        "prep",
        "generate_buildrequires",
        "conf",
        "build",
        "install",
        "check",
        "clean",
        "pre",
        "post",
        "preun",
        "postun",
        "pretrans",
        "posttrans",
        "preuntrans",
        "postuntrans",
        "verifyscript",
        "trigger",
        "triggerin",
        "triggerun",
        "triggerpostun",
        "triggerprein",
        "filetrigger",
        "filetriggerin",
        "filetriggerun",
        "filetriggerpostun",
        "transfiletrigger",
        "transfiletriggerin",
        "transfiletriggerun",
        "transfiletriggerpostun",
        "files",
        "changelog",
        "sourcelist",
        "patchlist",
        "sepolicy",
        "end",
    ] {
        let kind = SectionKind::of_name(token).unwrap();
        assert!(
            token.starts_with(kind.name()) || kind.name().starts_with(token),
            "{token}"
        );
        assert_eq!(Tree::parse(&format!("%{token}\n")).sections()[1].kind, kind);
    }
}

#[test]
fn conditions_nest_across_sections() {
    let text = "%if 1\nName: a\n%ifarch x\n%package b\n%else\nUrl: u\n%endif\n%elif 2\n%endif\n%endif\n%if 3\n%if 4\n";
    let tree = Tree::parse(text);
    let url = &tree.lines()[5];
    let around: Vec<&str> = tree
        .branches_around(url)
        .map(|branch| branch.keyword.as_str())
        .collect();
    assert_eq!(around, ["%else", "%if"]);
    let (name, package) = (&tree.lines()[1], &tree.lines()[3]);
    assert!(tree.together(name, package) && tree.together(name, url) && !tree.together(package, url));
    assert_eq!(tree.branches()[0].body, 1..7);
    assert_eq!(tree.conditions()[0].lines, 0..9);
    let defects: Vec<(usize, DefectKind)> = tree
        .defects()
        .iter()
        .map(|defect| (defect.line, defect.kind))
        .collect();
    assert_eq!(
        defects,
        [
            (9, DefectKind::NoIf),
            (10, DefectKind::NoEndif),
            (11, DefectKind::NoEndif)
        ]
    );
}

#[test]
fn what_never_ends_is_told() {
    for (text, line) in [
        ("a\n%{b\nc\n", Some(1)),
        ("a\nb \\\nc \\\n", Some(1)),
        ("a \\", None),
        ("%{a}\n", None),
    ] {
        let found = Tree::parse(text).defects().first().map(|defect| defect.line);
        assert_eq!(found, line, "{text:?}");
    }
}

#[test]
fn entries_of_the_changelog() {
    for (line, version, weekday) in [
        ("* Thu Jan  1 2026 A B <a@b> - 1.0-1", Some("1.0-1"), Some(4)),
        (
            "* Thu Jan 01 10:11:12 UTC 2026 A B <a@b> 1:1.0-1",
            Some("1:1.0-1"),
            Some(4),
        ),
        ("* Sun Feb 29 2004 A - 2", Some("2"), Some(0)),
        ("* Sun Feb 29 2003 A", None, None),
        ("* Tue Dec 31 1999 A <a@b>", None, Some(5)),
    ] {
        let text = format!("%changelog\n{line}\n");
        let tree = Tree::parse(&text);
        let Kind::Entry(entry) = &tree.lines()[1].kind else {
            panic!("{line}");
        };
        assert_eq!(entry.version.map(|span| tree.slice(span)), version, "{line}");
        assert_eq!(entry.date.unwrap().true_weekday(), weekday, "{line}");
        assert!(tree.slice(entry.author).starts_with('A'));
    }
    for line in [
        "* Thu 2026-01-01 A",
        "* thu Jan 01 2026 A",
        "* Thu Jan 32 2026 A",
        "* Thu Jan 01 1989 A",
        "*",
    ] {
        let text = format!("%changelog\n{line}\n");
        let date = Tree::parse(&text).lines().last().map(|line| match &line.kind {
            Kind::Entry(entry) => entry.date,
            kind => panic!("{kind:?}"),
        });
        assert_eq!(date, Some(None), "{line}");
    }
}

#[test]
fn names_that_never_end_do_end() {
    let text = "%global a %{b}%{b}%{b}\n%global b %{a}%{a}%{a}\nName: %{a}\n";
    let tree = Tree::parse(text);
    assert!(tree.names().resolve("%{name}-x").len() < 5000);
    let unknown = tree.names().resolve("%{x}%(y) %%{name} %").into_owned();
    assert_eq!(unknown, "%{x}%(y) %%{name} %");
}

#[test]
fn hostile_texts_take_no_time() {
    let started = std::time::Instant::now();
    for text in [
        "%if 1\n".repeat(25_000),
        "%endif\n".repeat(25_000),
        "%{".repeat(50_000),
        "%{\n".repeat(50_000),
        "%files %{a\n".repeat(50_000),
        "a \\\n".repeat(50_000),
        format!("%files {}\n", "%{".repeat(25_000)),
        format!("Source{}: x\n", "%{".repeat(25_000)),
        "%package x\n".repeat(25_000),
    ] {
        assert_eq!(Tree::parse(&text).print().len(), text.len());
        crate::format::format(&text);
    }
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
