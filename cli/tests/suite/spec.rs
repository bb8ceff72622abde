//! `keel spec` as people type it.

use std::fs;

use keel_artefact::Sha256;

use crate::harness::{Fixture, Ran};

const SPEC: &str = "\
Name: demo
Epoch: 3
Version: 1
Release: 2
Summary: s
License: MIT
Source0: a.tar
NoSource: 0
%description
d
%files
";

fn keel(fixture: &Fixture, arguments: &[&str]) -> Ran {
    fixture.keel_in("", &[&["spec"], arguments].concat())
}

/// Standard output of a command that does not fail.
fn said(fixture: &Fixture, arguments: &[&str]) -> String {
    let ran = keel(fixture, arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    ran.stdout
}

#[test]
fn expand_works_in_the_order_of_its_arguments() {
    let fixture = Fixture::new();
    fs::write(fixture.path("macros.x"), "%fromfile yes\n").unwrap();
    let before_and_after = [
        "expand",
        "-E",
        "%a",
        "-D",
        "a 1",
        "%a",
        "--undefine",
        "a",
        "-E",
        "%a",
    ];
    assert_eq!(said(&fixture, &before_and_after), "%a\n1\n%a\n");
    let loaded = [
        "expand",
        "%fromfile",
        "--load",
        "macros.x",
        "%fromfile%{load:macros.x}%(ls macros.x)",
    ];
    assert_eq!(said(&fixture, &loaded), "%fromfile\nyesmacros.x\n");
    let conditions = [
        "expand",
        "--with",
        "x",
        "%{?_with_x}",
        "--without",
        "x",
        "%{?_without_x}",
    ];
    assert_eq!(said(&fixture, &conditions), "--with-x\n--without-x\n");
    // What is empty has a line, but not with rpm 6; what macros write comes first.
    let empty = ["%{nil}", "a%{echo:b}%{lua:io.write('c')}"];
    assert_eq!(said(&fixture, &["expand", empty[0], empty[1]]), "\nb\nca\n");
    assert_eq!(
        said(&fixture, &["expand", "--rpm", "6", empty[0], empty[1]]),
        "b\nca\n"
    );
    assert_eq!(said(&fixture, &["expand", "-v", "%verbose"]), "1\n");
}

#[test]
fn query_names_packages_as_rpmspec_does() {
    let fixture = Fixture::new();
    fs::write(fixture.path("demo.spec"), SPEC).unwrap();
    assert_eq!(said(&fixture, &["query", "demo.spec"]), "demo-1-2.x86_64\n");
    assert_eq!(
        said(&fixture, &["query", "--srpm", "demo.spec"]),
        "demo-1-2.nosrc\n"
    );
    let format = [
        "query",
        "--qf",
        "%{nevr} %{sourcenevr}\n",
        "--rpm",
        "6",
        "-D",
        "_rpmformat 6",
        "demo.spec",
    ];
    assert_eq!(said(&fixture, &format), "demo-3:1-2 demo-3:1-2\n");
}

#[test]
fn answers_in_json_say_of_what_they_are() {
    let fixture = Fixture::new();
    fs::write(
        fixture.path("demo.spec"),
        SPEC.replace("%description", "Conflicts: x >= 2\n%description"),
    )
    .unwrap();
    let json = |what: &[&str]| -> serde_json::Value {
        let all = [&["query", "--output", "json"], what, &["demo.spec"]].concat();
        serde_json::from_str(&said(&fixture, &all)).unwrap()
    };
    let conflicts = json(&["--conflicts"]);
    assert_eq!(conflicts["package"], "demo-1-2.x86_64");
    assert_eq!(conflicts["conflicts"][0]["name"], "x");
    assert_eq!(json(&["--qf", "%{name}\n"])["text"], "demo\n");
    assert_eq!(json(&[])["name"], "demo");
    let expanded = said(
        &fixture,
        &["expand", "--output", "json", "%{lua:print(1) io.write(2)}"],
    );
    assert_eq!(
        expanded,
        "{\"text\":\"%{lua:print(1) io.write(2)}\",\"value\":\"1\",\"printed\":\"2\"}\n"
    );
}

#[test]
fn what_commands_complain_of_is_told_where_it_may_be_why() {
    let fixture = Fixture::new();
    let spec = SPEC.replace("Version: 1", "Version: %(echo why >&2)");
    fs::write(fixture.path("demo.spec"), spec).unwrap();
    let told = keel(&fixture, &["query", "demo.spec"]);
    assert!(
        told.code == Some(1) && told.stderr.starts_with("why\nerror: Empty tag"),
        "{}",
        told.stderr
    );
    let fine = keel(&fixture, &["expand", "%(echo why >&2)"]);
    assert!(fine.code == Some(0) && fine.stderr.is_empty(), "{}", fine.stderr);
    let more = keel(&fixture, &["expand", "--verbose", "%(echo why >&2)"]);
    assert_eq!(more.stderr, "why\n");
}

#[test]
fn a_rule_that_is_not_there_cannot_be_allowed() {
    let fixture = Fixture::new();
    fs::write(fixture.path("demo.spec"), SPEC).unwrap();
    fs::write(fixture.path("rules.toml"), "allow = [\"invalid-spec-nam\"]").unwrap();
    let told = keel(&fixture, &["lint", "--rules", "rules.toml", "demo.spec"]);
    assert_eq!(
        (told.code, told.stderr.as_str()),
        (
            Some(2),
            "error: rules.toml: there is no rule `invalid-spec-nam`\nhint: did you mean `invalid-spec-name`?\n"
        )
    );
}

#[test]
fn numbered_patches_ended_with_rpm_4_20() {
    let fixture = Fixture::new();
    let spec = SPEC
        .replace("%description", "Patch0: p\n%description")
        .replace("%files", "%prep\n%patch0 -p1\n%files");
    fs::write(fixture.path("demo.spec"), spec).unwrap();
    assert_eq!(
        keel(&fixture, &["parse", "--rpm", "4.18", "demo.spec"]).code,
        Some(0)
    );
    let ran = keel(&fixture, &["parse", "--rpm", "4.20", "demo.spec"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("%patchN is obsolete"), "{}", ran.stderr);
}

const PLAIN: &str = "Name: plain\nVersion: 1\n\n%description\nText.\n";

/// Two SPECs in a folder, one of which is no UTF-8, and `keel spec`.
fn specs(arguments: &[&str]) -> (Ran, [Vec<u8>; 2]) {
    let fixture = Fixture::new();
    let folder = fixture.path("specs-alone");
    fs::create_dir(&folder).unwrap();
    let files = [
        PLAIN.as_bytes().to_vec(),
        b"# Vorf\xfchrung\r\n%if 1\n%package b\n%endif".to_vec(),
    ];
    fs::write(folder.join("a.spec"), &files[0]).unwrap();
    fs::write(folder.join("b.spec"), &files[1]).unwrap();
    let ran = fixture.keel_in("specs-alone", &[&["spec"], arguments].concat());
    (ran.ok(), files)
}

#[test]
fn syntax_says_what_the_tree_prints() {
    let (ran, files) = specs(&["syntax", "--output", "json", "."]);
    let lines: Vec<serde_json::Value> = (ran.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for ((line, bytes), name) in lines.iter().zip(&files).zip(["a.spec", "b.spec"]) {
        assert_eq!(line["spec"], name);
        assert_eq!(line["sha256"], Sha256::of(bytes).to_string());
    }
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["sections"][1]["within"], serde_json::json!([2]));
}

#[test]
fn syntax_shows_an_outline() {
    let (ran, _) = specs(&["syntax", "a.spec"]);
    assert_eq!(
        ran.stdout,
        "1-3  preamble  (plain)\n  1    Name: plain\n  2    Version: 1\n4-5  %description  (plain)\n"
    );
    let (ran, _) = specs(&["syntax", "--jobs", "2", "."]);
    assert!(ran.stdout.starts_with("a.spec\n1-3  preamble"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nb.spec\n"), "{}", ran.stdout);
}
