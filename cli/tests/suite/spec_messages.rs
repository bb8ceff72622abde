//! What `keel spec` says of wrong SPECs, in both styles.

use std::fs;

use crate::harness::{Fixture, Ran};

const SPEC: &str = "\
%define foo %{error:boom}
%define bar x %foo y
Name: x
Version: 1
Release: 1
Sumary: s
License: l
Summary: s
Summary: s
%if 0%{?bar:1} == 1
Requires: %(cat /nowhere) %bar
%endif
%description
%files -z
";

/// `keel spec` on the SPEC, with macros that this machine has no part in.
fn spec(arguments: &[&str]) -> Ran {
    let fixture = Fixture::new();
    let folder = fixture.path("specs-alone");
    fs::create_dir_all(folder.join("rpm")).unwrap();
    fs::write(folder.join("rpm/macros"), "%_sourcedir /sources\n").unwrap();
    fs::write(folder.join("x.spec"), SPEC).unwrap();
    let all = [
        &[
            "spec",
            arguments[0],
            "--macros",
            "rpm",
            "--shell",
            "facts",
            "--rpm",
            "4.20",
        ],
        &arguments[1..],
    ];
    fixture.keel_in("specs-alone", &all.concat())
}

macro_rules! snapshot {
    ($name:literal, $arguments:expr, $code:literal) => {
        let ran = spec(&$arguments);
        assert_eq!(ran.code, Some($code), "{}", ran.stderr);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($name, said);
        });
    };
}

#[test]
fn all_errors_have_places_and_hints() {
    snapshot!("spec-messages", ["query", "x.spec"], 1);
}

#[test]
fn the_lines_of_rpm_are_rpms() {
    snapshot!("spec-messages-rpm", ["query", "--messages", "rpm", "x.spec"], 1);
}

#[test]
fn json_has_the_places() {
    snapshot!("spec-messages-json", ["eval", "--quiet", "x.spec"], 1);
}

#[test]
fn expand_shows_its_text() {
    let define = "foo %{error:boom}";
    snapshot!(
        "spec-messages-expand",
        ["expand", "-D", define, "ok", "a %{foo} b"],
        1
    );
}
