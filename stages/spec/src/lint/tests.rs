//! What the rules' own tests use, and tests of the registry.

use std::collections::BTreeSet;

use super::{Options, Severity, fix, lint, rules};

/// Asserts in which lines a rule finds something.
pub(super) fn assert_finds(rule: &str, text: &str, lines: &[u32]) {
    assert!(rules().any(|one| one.name == rule), "no rule {rule}");
    let findings = lint(text, &Options::default())
        .into_iter()
        .filter(|finding| finding.rule == rule);
    let found: Vec<u32> = findings.map(|finding| finding.line).collect();
    assert_eq!(found, lines, "{rule} in:\n{text}");
}

/// Asserts what the fixes of a rule make of a text, and that it then finds nothing more to fix.
pub(super) fn assert_fixes(rule: &str, text: &str, expected: &str) {
    let found = |text: &str| -> Vec<_> {
        let findings = lint(text, &Options::default()).into_iter();
        findings
            .filter(|finding| finding.rule == rule && finding.fix.is_some())
            .collect()
    };
    let (fixed, _) = fix(text, &found(text));
    assert_eq!(fixed, expected, "{rule}");
    assert_eq!(found(&fixed), [], "{rule}");
}

#[test]
fn rules_have_names_and_reasons_of_their_own() {
    let names: BTreeSet<&str> = rules().map(|rule| rule.name).collect();
    assert_eq!(names.len(), rules().count());
    for rule in rules() {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(rule.name.chars().all(fits), "{}", rule.name);
        assert!(rule.reason.ends_with('.'), "{}", rule.name);
    }
}

#[test]
fn findings_say_where_they_are() {
    let text = "Summary: é ümläut.\n";
    let findings = lint(text, &Options::default());
    let dot = findings
        .iter()
        .find(|finding| finding.rule == "summary-ends-with-dot")
        .unwrap();
    assert_eq!((dot.line, dot.column, dot.severity), (1, 18, Severity::Warning));
    assert_eq!(dot.span.of(text), ".");
    let json = serde_json::to_value(dot).unwrap();
    assert_eq!(json["fix"]["edits"][0]["text"], "");
}

#[test]
fn comments_turn_rules_off() {
    let line = "# keel-lint: allow(group-tag, summary-ends-with-dot)\n";
    let found = |text: &str| {
        let mine = ["group-tag", "summary-ends-with-dot", "unknown-rule"];
        let findings = lint(text, &Options::default()).into_iter();
        findings
            .filter(|finding| mine.contains(&finding.rule))
            .map(|finding| finding.line)
            .collect::<Vec<u32>>()
    };
    assert_eq!(found("Group: a\nSummary: a.\n"), [1, 2]);
    assert_eq!(
        found(&format!("{line}\nName: a\nGroup: a\nSummary: a.\n")),
        [0_u32; 0]
    );
    assert_eq!(found(&format!("Name: a\n{line}Group: a\nSummary: a.\n")), [4]);
    assert_eq!(
        found(&format!(
            "Name: a\n{line}# keel-lint: allow(x-y)\nGroup: a\nGroup: b\n"
        )),
        [3, 5]
    );
    let options = Options {
        allow: ["group-tag".to_owned()].into(),
        ..Options::default()
    };
    assert!(
        !lint("Group: a\n", &options)
            .iter()
            .any(|finding| finding.rule == "group-tag")
    );
}

#[test]
fn a_good_spec_has_no_findings() {
    let text = "\
Name:           hello
Version:        1.0
Release:        1%{?dist}
Summary:        Greeting
License:        MIT
URL:            https://example.org/hello
Source0:        https://example.org/hello-%{version}.tar.gz
Patch0:         fix.patch
BuildRequires:  gcc
BuildRequires:  make

%description
Greets.

%package devel
Summary:        Headers of hello
Requires:       %{name}%{?_isa} = %{version}-%{release}

%description devel
Headers.

%prep
%autosetup -p1

%build
%configure
%make_build

%install
%make_install

%check
make check

%files
%license COPYING
%{_bindir}/hello

%files devel
%{_includedir}/hello.h

%changelog
* Thu Jan 01 2026 A B <a@example.org> - 1.0-1
- First.
";
    assert_eq!(lint(text, &Options::default()), []);
    assert_eq!(crate::format::format(text), text);
}

#[test]
fn what_is_never_read_is_not_wrong() {
    let text = "%if 0\nfoo bar\n%if 1\nGroup: a\n%endif\n%else\nGroup: a\n%endif\n";
    assert_finds("unknown-tag", text, &[]);
    assert_finds("group-tag", text, &[7]);
    assert_finds("unbalanced-condition", "%if 0\n%if 1\n%endif\n", &[1]);
}

#[test]
fn any_input_is_checked() {
    for text in [
        "",
        "%",
        "%{",
        "\\",
        "*",
        "%changelog\n*",
        "%if",
        "%patch",
        "%setup -",
        "Source",
        "\u{10FFFF}",
        "# keel-lint: allow(",
    ] {
        lint(text, &Options::default());
    }
}

#[test]
fn fixes_fit_any_text() {
    for text in crate::syntax::tests::wild_texts().take(1_000) {
        let findings = lint(&text, &Options::default());
        let fixable = findings.iter().filter(|finding| finding.fix.is_some()).count();
        let (_, count) = fix(&text, &findings);
        assert!(fixable == 0 || count > 0, "{text:?}");
    }
}

#[test]
fn hostile_texts_take_no_time() {
    let started = std::time::Instant::now();
    for text in [
        format!("# {}\n", "%{a".repeat(12_000)),
        format!("%build\n{}\n", "/lib".repeat(12_000)),
        format!("%prep\n{}\n", "%patch ".repeat(12_000)),
        format!("%install\n{}\n", "%{lua:".repeat(12_000)),
        "%files x\n%{_libdir}\n".repeat(5_000),
        "Source: a\nPatch: b\nRequires: c\n".repeat(2_500),
        "%package x\nSummary: a.\n".repeat(2_500),
        "%if 1\nName: a\n".repeat(2_500),
        "%changelog\n* Thu Jan 01 2026 A\n".repeat(2_500),
    ] {
        lint(&text, &Options::default());
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
